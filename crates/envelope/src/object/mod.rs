//! The record behind a KMS v2 prefix, as a type with limits and as bytes.

mod record;
mod wire;

pub use record::{DecodeError, EncryptedObject, LimitError};
pub(crate) use record::{Record, source_type_of};
