//! Scenario files: one YAML file is one story is one test.
//!
//! `file` is the shape of the file and [`operation`] its vocabulary, both with serde and schemars, so that the schema
//! in `schemas/scenario.json` cannot drift from the code. `load` reads files and reports every problem at once;
//! `meaning` finds the problems that a schema cannot express (a version that no step makes, an expectation that its
//! operation can never meet). [`catalogue`] writes `scenarios/README.md`.
//!
//! What a scenario file is not: a programming language. There are no expressions, templates or loops; a story that
//! needs logic is a Rust test.

pub mod catalogue;
mod expect;
mod file;
mod load;
mod meaning;
pub mod operation;
mod words;

pub use expect::{Expect, Failure, FailureClass};
pub use file::{Scenario, StackSpec, Step};
pub use load::{StoryError, files, load, load_text, schema_text};
pub use operation::Operation;
pub use words::{LookName, Span, VersionName};
