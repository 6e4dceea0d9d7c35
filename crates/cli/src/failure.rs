//! Why a command could not do its work, and what the shell is told.

use std::error::Error;

use anyhow::anyhow;
use harness::control::ControlError;
use harness::document::LoadError;
use harness::stack::StackError;

use crate::exit::Exit;

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) cause: Cause,
    pub(crate) hint: Option<String>,
}

/// What is told.
#[derive(Debug)]
pub(crate) enum Cause {
    /// An error with its sources, in one line.
    Error(anyhow::Error),
    /// A file with everything that is wrong with it.
    File(Box<LoadError>),
}

impl Failure {
    /// Bad input.
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Usage, cause: Cause::Error(error.into()), hint: None }
    }

    /// The environment lacks something, or failed.
    pub(crate) fn environment(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Stack, cause: Cause::Error(error.into()), hint: None }
    }

    /// The same with a hint on what to do next.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self { exit: Exit::Usage, cause: Cause::File(Box::new(error)), hint: None }
    }
}

impl From<StackError> for Failure {
    fn from(error: StackError) -> Self {
        let exit = if error.is_bad_input() { Exit::Usage } else { Exit::Stack };
        let hint = error.help();
        Self { exit, cause: Cause::Error(error.into()), hint }
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        let exit = match &error {
            ControlError::Refused { status, .. } if status.is_client_error() && status.as_u16() != 409 => Exit::Usage,
            _ => Exit::Stack,
        };
        let hint = error.help().map(str::to_owned);
        Self { exit, cause: Cause::Error(error.into()), hint }
    }
}

/// For `?` where a failure can only be the environment's.
pub(crate) trait OrEnvironment<T> {
    /// The value, or a failure of the environment.
    fn or_environment(self) -> Result<T, Failure>;
}

impl<T, E: Error + Send + Sync + 'static> OrEnvironment<T> for Result<T, E> {
    fn or_environment(self) -> Result<T, Failure> {
        self.map_err(Failure::environment)
    }
}

/// An error and its sources in one line, none of them twice.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// An error that is only a sentence.
pub(crate) fn sentence(text: impl Into<String>) -> anyhow::Error {
    anyhow!(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_says_nothing_twice() {
        let error = anyhow!("os error 2").context("read b: os error 2").context("load a");
        assert_eq!(chain(&error), "load a: read b: os error 2");
    }
}
