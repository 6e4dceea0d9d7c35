//! Every story in `scenarios/`, each on a stack of its own whose etcd runs in a container. One test a file.
//!
//! A machine without a Docker engine cannot run them: there each test says that it was not run and why, or fails if
//! `KYANITE_REQUIRE_DOCKER` is set, as it is where an engine must be (CI).

mod stories;

use std::path::Path;

use harness::etcd::EtcdSource;
use stories::Failure;

#[expect(clippy::print_stderr, reason = "a test that is not run says so")]
fn replay(file: &Path) -> datatest_stable::Result<()> {
    match stories::replay(file, EtcdSource::Container) {
        Ok(()) => Ok(()),
        Err(Failure::Story(transcript)) => Err(transcript.into()),
        Err(Failure::NoEngine(reason)) if std::env::var_os("KYANITE_REQUIRE_DOCKER").is_some() => {
            Err(format!("no Docker engine answers, and KYANITE_REQUIRE_DOCKER is set: {reason}").into())
        }
        Err(Failure::NoEngine(reason)) => {
            eprintln!("NOT RUN: {} needs a Docker engine, and none answers: {reason}", file.display());
            Ok(())
        }
    }
}

datatest_stable::harness! {
    { test = replay, root = stories::SCENARIOS, pattern = r"\.ya?ml$" },
}
