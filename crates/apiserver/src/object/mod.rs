//! Objects of the API: their fields, their JSON, their stored form.

pub(crate) mod codec;
pub(crate) mod decode;
pub(crate) mod json;
pub(crate) mod schema;
mod typed;

pub(crate) use typed::{ListItem, Object, whole_seconds};
