//! Namespaces: the four that always are, and the emptying of those that go.

mod bootstrap;
mod terminate;

pub(crate) use bootstrap::bootstrap;
pub(crate) use terminate::{empty_terminating, terminate};
