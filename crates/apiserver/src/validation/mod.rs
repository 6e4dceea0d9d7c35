//! Validation of objects before they are stored, with upstream's texts.

mod config_map;
mod field;
mod metadata;
pub(crate) mod name;
mod namespace;
mod object;
mod secret;

pub(crate) use field::FieldProblem;
pub(crate) use object::{for_create, for_update};
