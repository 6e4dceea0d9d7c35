//! A log: its latest entries in memory, all of them in a file.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::chain::chain;

/// A log of `T`.
#[derive(Debug)]
pub(crate) struct Log<T> {
    entries: Mutex<Entries<T>>,
}

#[derive(Debug)]
struct Entries<T> {
    tail: VecDeque<T>,
    file: Option<File>,
}

impl<T: Clone + Serialize> Log<T> {
    /// How many entries are kept in memory.
    pub(crate) const TAIL: usize = 10_000;

    /// A log that appends to `path`, which is made with mode 0600 if it does not exist. Without a path it is in memory only.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub(crate) fn open(path: Option<&Path>) -> io::Result<Self> {
        let open = |path| OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        let file = path.map(open).transpose()?;
        Ok(Self { entries: Mutex::new(Entries { tail: VecDeque::new(), file }) })
    }

    /// Appends an entry. A line is one write, so that lines of several processes do not mix; a file that refuses is
    /// reported and the entry kept in memory.
    pub(crate) fn append(&self, entry: T) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &mut entries.file {
            let written = serde_json::to_vec(&entry).map_err(io::Error::from).and_then(|mut line| {
                line.push(b'\n');
                file.write_all(&line)
            });
            if let Err(error) = written {
                tracing::error!(error = %chain(&error), "an entry is missing in the log's file");
            }
        }
        if entries.tail.len() >= Self::TAIL {
            entries.tail.pop_front();
        }
        entries.tail.push_back(entry);
    }

    /// The last `limit` entries, oldest first.
    pub(crate) fn tail(&self, limit: usize) -> Vec<T> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let skip = entries.tail.len().saturating_sub(limit);
        entries.tail.iter().skip(skip).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn entries_are_lines_of_a_private_file_and_memory_is_bounded() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("log.jsonl");
        for round in 0..2 {
            let log = Log::open(Some(&path)).unwrap();
            log.append(format!("round {round}"));
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "\"round 0\"\n\"round 1\"\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let log = Log::open(None).unwrap();
        (0..Log::<usize>::TAIL + 3).for_each(|number| log.append(number));
        assert_eq!(log.tail(usize::MAX).len(), Log::<usize>::TAIL);
        assert_eq!(log.tail(2), [Log::<usize>::TAIL + 1, Log::<usize>::TAIL + 2]);
        assert!(Log::<usize>::open(Some(&temp.path().join("no/such/directory"))).is_err());
    }
}
