//! The three patches that kubectl and client libraries send.

mod apply;
mod strategic;

pub(crate) use apply::{Patch, PatchError};
