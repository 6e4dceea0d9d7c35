//! Everything that is wrong with a configuration file, each with its field, line and column.

use std::fmt;

use super::yaml::Place;
use crate::upstream::quote;

/// One thing wrong with the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigProblem {
    /// The field, as upstream writes it: `resources[0].providers[1].kms.name`. Empty for the file as a whole.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// What is wrong, in upstream's words where upstream has them.
    pub message: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: ", self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// Every problem of a file, in the order of the file. Never empty.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigProblems(Vec<ConfigProblem>);

impl ConfigProblems {
    /// The problems, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigProblem> {
        self.0.iter()
    }
}

impl fmt::Display for ConfigProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigProblems {}

/// The problems found so far.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<ConfigProblem>);

impl Problems {
    pub(super) fn add(&mut self, place: &Place, message: impl Into<String>) {
        let Place { path, line, column } = place.clone();
        self.0.push(ConfigProblem { path, line, column, message: message.into() });
    }

    /// A field that is missing or empty (`field.Required`).
    pub(super) fn required(&mut self, place: &Place, why: &str) {
        self.add(place, format!("Required value: {why}"));
    }

    /// A value that is not allowed (`field.Invalid`), shown as a string.
    pub(super) fn invalid(&mut self, place: &Place, value: &str, why: &str) {
        self.add(place, format!("Invalid value: {}: {why}", quote(value)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The result: `value` if nothing is wrong with it.
    pub(super) fn into_result<T>(mut self, value: Option<T>) -> Result<T, ConfigProblems> {
        self.0.sort_by_key(|problem| (problem.line, problem.column));
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(ConfigProblems(self.0)),
        }
    }
}
