//! Clearing away what a killed stack left on disk. Its etcd process is gone already (see `etcd::guard`); its
//! containers are cleared by `etcd::containers`.

use std::fs;
use std::path::Path;

use super::directory::{LOCK, is_locked};

/// Removes the directories of stacks that no longer run. The caller holds the lock of the base directory.
pub(super) fn sweep_directories(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let directory = entry.path();
        // Only what looks like a stack's directory is touched.
        if directory.join(LOCK).is_file() && !is_locked(&directory) {
            tracing::debug!(directory = %directory.display(), "removing what a killed stack left behind");
            if let Err(error) = fs::remove_dir_all(&directory) {
                tracing::warn!(directory = %directory.display(), %error, "cannot remove what a killed stack left behind");
            }
        }
    }
}
