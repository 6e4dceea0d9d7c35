//! `v1.Secret`.

use std::fmt;

use super::entry::{BytesEntry, StringEntry};
use super::meta::ObjectMeta;
use super::unknown::Kind;

/// A Secret. Its `Debug` shows the keys of its data and none of the values.
#[derive(Clone, Eq, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct Secret {
    /// Metadata; always written.
    #[prost(message, required, tag = "1")]
    pub metadata: ObjectMeta,
    /// The secret data, sorted by key.
    #[prost(message, repeated, tag = "2")]
    pub data: Vec<BytesEntry>,
    /// The type; always written.
    #[prost(string, required, tag = "3")]
    pub r#type: String,
    /// Only in requests, never in storage.
    #[prost(message, repeated, tag = "4")]
    pub string_data: Vec<StringEntry>,
    /// Whether it may not change any more.
    #[prost(bool, optional, tag = "5")]
    pub immutable: Option<bool>,
}

impl Kind for Secret {
    const KIND: &'static str = "Secret";
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.data.iter().map(|entry| entry.key.as_str()).collect();
        f.debug_struct("Secret").field("name", &self.metadata.name).field("keys", &keys).finish_non_exhaustive()
    }
}
