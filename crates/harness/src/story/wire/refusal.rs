//! What a peer says when it does not do what it was asked.

use crate::story::scenario::FailureClass;

/// An operation that was refused, or that nobody answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Refusal {
    /// The kind of failure.
    pub(crate) class: FailureClass,
    /// The peer's own code, if it has one.
    pub(crate) code: Option<String>,
    /// The peer's text.
    pub(crate) message: String,
}

impl Refusal {
    /// Nothing answers.
    pub(crate) fn unavailable(error: &(dyn std::error::Error + 'static)) -> Self {
        Self { class: FailureClass::Unavailable, code: None, message: chain(error) }
    }

    /// An answer that does not make sense is the server's failure.
    pub(crate) fn nonsense(message: impl Into<String>) -> Self {
        Self { class: FailureClass::Internal, code: None, message: message.into() }
    }

    /// The thing that was asked for does not exist.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self { class: FailureClass::NotFound, code: None, message: message.into() }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{} ({code}): {}", self.class, self.message),
            None => write!(f, "{}: {}", self.class, self.message),
        }
    }
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Several libraries repeat the cause in the message.
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
