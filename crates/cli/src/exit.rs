//! How the command ends, for the shell.

use std::process::ExitCode;

/// How the command ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    /// All is well.
    Passed,
    /// A story did not end as expected.
    Failed,
    /// The arguments or a file are no good.
    Usage,
    /// The environment lacks something, or failed.
    Stack,
    /// A mistake in Kyanite.
    Bug,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Passed => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Stack => 3,
            Exit::Bug => 70,
        })
    }
}

/// The same as the end of the help screen.
pub(crate) const TABLE: &str = "\
Exit codes:
  0   passed
  1   a scenario failed
  2   bad input: an argument, or a file with what is wrong and where
  3   the environment: no etcd, a port taken, no stack running
  70  a bug in Kyanite";
