//! What is wrong with a file, and where.

use std::ops::Range;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, NamedSource, SourceSpan};
use thiserror::Error;

use super::tree::Places;

/// A file that cannot be used, with every problem that was found in it, in the order of the file.
///
/// As a [`miette::Diagnostic`] it renders each problem under the line it is about.
#[derive(Debug, Diagnostic, Error)]
#[error("{} has {} problem{}", self.code.name(), self.problems.len(), plural(self.problems.len()))]
pub struct LoadError {
    #[source_code]
    code: NamedSource<String>,
    #[related]
    problems: Vec<Problem>,
}

impl LoadError {
    pub(super) fn new(source: Source, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.span.offset());
        Self { code: NamedSource::new(source.name, source.text), problems }
    }

    /// The problems; never empty.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The report as text without colour, for logs and snapshots.
    pub fn plain(&self) -> String {
        let mut text = String::new();
        // Writing to a `String` cannot fail.
        let _ = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
            .with_links(false)
            .with_width(100)
            .render_report(&mut text, self);
        text
    }
}

/// One thing that is wrong with a file.
#[derive(Debug, Diagnostic, Error)]
#[error("{message}")]
pub struct Problem {
    message: String,
    #[help]
    help: Option<String>,
    #[label]
    span: SourceSpan,
    line: usize,
    column: usize,
    pointer: String,
}

impl Problem {
    /// The same problem with a hint on how to mend it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Line in the file, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Column in the line, in characters, from 1.
    pub fn column(&self) -> usize {
        self.column
    }

    /// JSON pointer of the node that the problem is about.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// A hint on how to mend it, if there is one.
    pub fn hint(&self) -> Option<&str> {
        self.help.as_deref()
    }

    pub(super) fn at_value(source: &Source, places: &Places, pointer: &str, message: String) -> Self {
        Self::at(source, places.value(pointer), pointer, message)
    }

    pub(super) fn at_key(source: &Source, places: &Places, pointer: &str, message: String) -> Self {
        Self::at(source, places.key(pointer), pointer, message)
    }

    /// A problem at a range of bytes, cut at the end of its first line: a whole block under a label would hide the label.
    pub(super) fn at(source: &Source, range: Range<usize>, pointer: &str, message: String) -> Self {
        let first_line = source.text.get(range.clone()).and_then(|text| text.lines().next()).unwrap_or("").trim_end();
        let (line, column) = source.position(range.start);
        let span = SourceSpan::from((range.start, first_line.len()));
        Self { message, help: None, span, line, column, pointer: pointer.to_owned() }
    }
}

/// A file's name and text.
#[derive(Clone, Debug)]
pub(super) struct Source {
    name: String,
    text: String,
    /// Byte offset of each character, if the two differ.
    offsets: Option<Vec<usize>>,
}

impl Source {
    pub(super) fn new(name: &str, text: &str) -> Self {
        let offsets = (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect());
        Self { name: name.to_owned(), text: text.to_owned(), offsets }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The byte at which the character with this index starts; the end of the text for an index beyond it.
    pub(super) fn byte_of(&self, character: usize) -> usize {
        let end = self.text.len();
        match &self.offsets {
            None => character.min(end),
            Some(offsets) => offsets.get(character).copied().unwrap_or(end),
        }
    }

    /// Line and column (in characters) of a byte, both from 1.
    pub(super) fn position(&self, byte: usize) -> (usize, usize) {
        let before = self.text.get(..byte).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(line_start..).map_or(0, |line| line.chars().count());
        (before.matches('\n').count() + 1, column + 1)
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
