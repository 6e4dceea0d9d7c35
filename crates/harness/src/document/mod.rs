//! YAML files that people write, a stack's configuration and scenarios: read, checked against their schema, and
//! reported with every problem at once, each with line and column.
//!
//! What this module does not do: it knows no stack and no scenario. A type that derives `Deserialize` and `JsonSchema`
//! is all it needs; what a schema cannot say is checked by the type's owner, who reports through
//! [`Document::problem`] and [`Document::reject`] with the same positions.

mod load;
mod problem;
mod schema;
mod tree;

pub use load::{Document, load, schema_text};
pub use problem::{LoadError, Problem};

#[cfg(test)]
pub(crate) use schema::testing;
