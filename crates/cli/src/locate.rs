//! Finding the runtime directory, and the running stack that a command is about.

use std::env;
use std::path::{Path, PathBuf};

use harness::control::ControlClient;
use harness::ready::ReadyFile;
use harness::runtime::RuntimeDir;

use crate::args::Locate;
use crate::failure::{Failure, OrEnvironment as _, sentence};

/// Where stacks of this user live: `$XDG_RUNTIME_DIR/kyanite`, else `/tmp/kyanite-{uid}`.
pub(crate) fn runtime_path() -> PathBuf {
    match env::var_os("XDG_RUNTIME_DIR").filter(|path| Path::new(path).is_absolute()) {
        Some(base) => PathBuf::from(base).join("kyanite"),
        None => env::temp_dir().join(format!("kyanite-{}", harness::runtime::user_id())),
    }
}

/// The runtime directory, made if there is none.
pub(crate) fn runtime_dir() -> Result<RuntimeDir, Failure> {
    RuntimeDir::open(&runtime_path()).or_environment()
}

/// The ready file of the stack that is meant: the one that is named, else the last one this user started.
pub(crate) fn ready_file(locate: &Locate) -> Result<ReadyFile, Failure> {
    if let Some(path) = &locate.ready_file {
        return ReadyFile::read(path).or_environment();
    }
    let running = runtime_dir()?.running().or_environment()?;
    let Some(last) = running.into_iter().next() else {
        let error = sentence("find a running stack: none of yours runs");
        let hint = "start one with `kyanite up`, or name its ready file with --ready-file";
        return Err(Failure::environment(error).with_hint(hint));
    };
    Ok(last.ready)
}

/// The control door of the stack that is meant.
pub(crate) fn control(locate: &Locate) -> Result<ControlClient, Failure> {
    Ok(ControlClient::new(&ready_file(locate)?)?)
}
