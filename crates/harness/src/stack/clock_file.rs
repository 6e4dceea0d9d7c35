//! How far a stack's clock is ahead, kept with its data.
//!
//! Keys made, deleted or expired after the clock was moved carry its times; a clock that fell back to real time at the
//! next start would make them things of the future.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clock::Clock;

use super::error::StackError;
use crate::runtime::write_public;

/// The file that a clock's lead is kept in; none for a stack that keeps nothing.
#[derive(Debug)]
pub(super) struct ClockFile {
    path: Option<PathBuf>,
}

impl ClockFile {
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        Self { path }
    }

    /// Moves `clock` to where an earlier run left it, unless it is beyond that already.
    pub(super) fn restore(&self, clock: &Clock) -> Result<(), StackError> {
        let Some(path) = &self.path else { return Ok(()) };
        let failed = |source| StackError::File { path: path.clone(), source };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        let invalid = |reason: &str| failed(io::Error::new(io::ErrorKind::InvalidData, reason.to_owned()));
        let seconds: i64 = text.trim().parse().map_err(|_| invalid("it holds no number of seconds"))?;
        let left = seconds.saturating_sub(clock.offset().as_secs());
        if let Ok(left) = u64::try_from(left) {
            clock.advance(Duration::from_secs(left)).map_err(|error| invalid(&error.to_string()))?;
        }
        Ok(())
    }

    /// Keeps how far `clock` is ahead, in whole seconds.
    pub(super) fn store(&self, clock: &Clock) -> Result<(), StackError> {
        let Some(path) = &self.path else { return Ok(()) };
        let written = write_public(path, format!("{}\n", clock.offset().as_secs()).as_bytes());
        written.map_err(|source| StackError::File { path: path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_comes_back_and_never_falls_back() {
        let temp = tempfile::tempdir().unwrap();
        let file = ClockFile::new(Some(temp.path().join("clock")));
        let clock = Clock::new();
        file.restore(&clock).unwrap();
        clock.advance(Duration::from_hours(48)).unwrap();
        file.store(&clock).unwrap();

        let next = Clock::new();
        file.restore(&next).unwrap();
        assert_eq!(next.offset().as_hours(), 48);
        next.advance(Duration::from_hours(1)).unwrap();
        file.restore(&next).unwrap();
        assert_eq!(next.offset().as_hours(), 49);

        for bad in ["", "soon", "9223372036854775807"] {
            fs::write(temp.path().join("clock"), bad).unwrap();
            assert!(file.restore(&Clock::new()).is_err(), "{bad}");
        }
    }
}
