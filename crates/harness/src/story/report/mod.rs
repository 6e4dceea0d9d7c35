//! Readers of the stream of events: the transcript for people, `JUnit` and JSON for programs.
//!
//! Each reader sees every event once, in order, and needs nothing else.

mod json;
mod junit;
mod record;
mod terminal;
mod wrap;

#[cfg(test)]
mod tests;

pub use json::json;
pub use junit::{JunitError, junit};
pub use record::{EvidenceRecord, RunRecord, StepRecord, StoryRecord};
pub use terminal::{Depth, Terminal};
pub(crate) use wrap::wrapped;
