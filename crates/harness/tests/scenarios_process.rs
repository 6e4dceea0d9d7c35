//! Every story in `scenarios/`, each on a stack of its own whose etcd is a child process. One test a file.
//!
//! It needs an `etcd` on the search path; without one it fails and says so.

mod stories;

use std::path::Path;

use harness::etcd::EtcdSource;
use stories::Failure;

fn replay(file: &Path) -> datatest_stable::Result<()> {
    match stories::replay(file, EtcdSource::Process) {
        Ok(()) => Ok(()),
        Err(Failure::NoEngine(reason) | Failure::Story(reason)) => Err(reason.into()),
    }
}

datatest_stable::harness! {
    { test = replay, root = stories::SCENARIOS, pattern = r"\.ya?ml$" },
}
