//! The base directory of one user and the directories of stacks in it.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use uuid::Uuid;

use super::files::write_private;
use super::stale;
use crate::ready::ReadyFile;

/// The base directory: mode 0700 and the user's own.
#[derive(Clone, Debug)]
pub struct RuntimeDir {
    path: PathBuf,
    host_id: String,
}

/// The directory of one stack, locked for as long as this value lives; dropping it deletes the directory.
#[derive(Debug)]
pub struct StackDir {
    path: PathBuf,
    id: String,
    base: RuntimeDir,
    _lock: File,
}

/// A running stack of this user, as its ready file describes it.
#[derive(Debug)]
pub struct Running {
    /// Path of the ready file.
    pub path: PathBuf,
    /// What it says.
    pub ready: ReadyFile,
}

impl RuntimeDir {
    /// Opens the base directory at `path`, making it if it does not exist.
    ///
    /// # Errors
    ///
    /// [`RuntimeError::Foreign`] if it belongs to somebody else or others may look into it (a planted `/tmp` directory
    /// would hand over secrets); [`RuntimeError::Io`] if it cannot be made or read.
    pub fn open(path: &Path) -> Result<Self, RuntimeError> {
        let failed = RuntimeError::io(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(&failed)?;
        }
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
            _ => {}
        }
        let found = fs::symlink_metadata(path).map_err(&failed)?;
        let for_others = found.permissions().mode() & 0o077;
        let private = found.is_dir() && for_others == 0;
        if !private || found.uid() != user_id() {
            return Err(RuntimeError::Foreign { path: path.to_owned() });
        }
        let base = Self { path: path.to_owned(), host_id: host_id(path)? };
        Ok(base)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names this user on this machine, for marks on things that live outside the directory (containers).
    pub(crate) fn host_id(&self) -> &str {
        &self.host_id
    }

    /// Makes the directory of a new stack, after clearing away what killed stacks left behind.
    ///
    /// # Errors
    ///
    /// [`RuntimeError::Io`].
    pub fn create(&self) -> Result<StackDir, RuntimeError> {
        // Held while a directory exists that is not locked yet, so that nobody sweeps it away.
        let _guard = self.lock_base()?;
        stale::sweep_directories(&self.path);
        let id: String = Uuid::new_v4().simple().to_string().chars().take(STACK_ID_CHARACTERS).collect();
        let path = self.path.join(&id);
        let failed = RuntimeError::io(&path);
        DirBuilder::new().mode(0o700).create(&path).map_err(&failed)?;
        let lock = File::create(path.join(LOCK)).map_err(&failed)?;
        lock.lock().map_err(&failed)?;
        Ok(StackDir { path, id, base: self.clone(), _lock: lock })
    }

    /// The running stacks of this user, the last started first. Stale entries are left out.
    ///
    /// # Errors
    ///
    /// [`RuntimeError::Io`] if the base directory cannot be read. A stack that vanishes meanwhile is no error.
    pub fn running(&self) -> Result<Vec<Running>, RuntimeError> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(RuntimeError::io(&self.path))? {
            let directory = entry.map_err(RuntimeError::io(&self.path))?.path();
            let path = directory.join(READY);
            let Ok(written) = fs::metadata(&path).and_then(|found| found.modified()) else { continue };
            if !is_locked(&directory) {
                continue;
            }
            if let Ok(ready) = ReadyFile::read(&path) {
                found.push((written, Running { path, ready }));
            }
        }
        found.sort_by_key(|(written, _)| std::cmp::Reverse(*written));
        Ok(found.into_iter().map(|(_, running)| running).collect())
    }

    /// Ids of the stacks that run now, with or without a ready file yet.
    pub(crate) fn alive(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        entries
            .filter(|entry| is_locked(&entry.path()))
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    }

    fn lock_base(&self) -> Result<File, RuntimeError> {
        let path = self.path.join(BASE_LOCK);
        let failed = RuntimeError::io(&path);
        let lock = File::create(&path).map_err(&failed)?;
        lock.lock().map_err(&failed)?;
        Ok(lock)
    }
}

impl StackDir {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names the stack; unique on this machine.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The directory it is in.
    pub fn base(&self) -> &RuntimeDir {
        &self.base
    }

    /// Path of the ready file by which other commands find this stack.
    pub fn ready_file(&self) -> PathBuf {
        self.path.join(READY)
    }
}

impl Drop for StackDir {
    fn drop(&mut self) {
        // A process that was killed without a wait for its end, as in a panic, may still make a file or two.
        for _ in 0..REMOVE_ATTEMPTS {
            match fs::remove_dir_all(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                    std::thread::park_timeout(REMOVE_PAUSE);
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(path = %self.path.display(), %error, "cannot remove the stack's directory");
                    return;
                }
                _ => return,
            }
        }
        tracing::warn!(path = %self.path.display(), "something keeps writing into the stack's directory");
    }
}

/// The number of the user whose process this is, for a directory's name.
pub fn user_id() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// What is wrong with a runtime directory.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The directory is another user's, a link, or open to others.
    #[error("use {}: it must be a directory of your own with mode 0700", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
    /// The file system refuses.
    #[error("use {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl RuntimeError {
    pub(crate) fn io(path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { path: path.clone(), source }
    }
}

/// Whether a process holds the lock of the stack in `directory`.
pub(super) fn is_locked(directory: &Path) -> bool {
    let Ok(lock) = File::open(directory.join(LOCK)) else { return false };
    matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock))
}

fn host_id(base: &Path) -> Result<String, RuntimeError> {
    let path = base.join(HOST_ID);
    match fs::read_to_string(&path) {
        Ok(id) if !id.is_empty() => Ok(id),
        _ => {
            let id = Uuid::new_v4().simple().to_string();
            write_private(&path, id.as_bytes()).map_err(RuntimeError::io(&path))?;
            Ok(id)
        }
    }
}

const BASE_LOCK: &str = ".lock";
const HOST_ID: &str = ".host";
pub(super) const LOCK: &str = "lock";
const READY: &str = "ready.json";
const REMOVE_ATTEMPTS: u32 = 50;
const REMOVE_PAUSE: Duration = Duration::from_millis(10);
/// Short, since the path of a socket must stay under 108 bytes; 32 bits are plenty for the stacks of one user.
const STACK_ID_CHARACTERS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_that_ended_is_swept_and_one_that_runs_is_not() {
        let temp = tempfile::tempdir().unwrap();
        let base = RuntimeDir::open(&temp.path().join("kyanite")).unwrap();
        let first = base.create().unwrap();
        // What a killed process leaves: the directory, and a lock that nobody holds.
        let killed = base.path().join("deadbeef");
        fs::create_dir(&killed).unwrap();
        File::create(killed.join(LOCK)).unwrap();

        let second = base.create().unwrap();
        assert!(!killed.exists());
        assert!(first.path().exists());
        let mut alive = base.alive();
        alive.sort();
        let mut expected = vec![first.id().to_owned(), second.id().to_owned()];
        expected.sort();
        assert_eq!(alive, expected);

        let path = first.path().to_owned();
        drop(first);
        assert!(!path.exists());
    }

    #[test]
    fn a_directory_that_others_may_read_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("open");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(RuntimeDir::open(&path), Err(RuntimeError::Foreign { .. })));

        let link = temp.path().join("link");
        std::os::unix::fs::symlink(temp.path(), &link).unwrap();
        assert!(matches!(RuntimeDir::open(&link), Err(RuntimeError::Foreign { .. })));
    }
}
