//! `v1.ConfigMap`.

use super::entry::{BytesEntry, StringEntry};
use super::meta::ObjectMeta;
use super::unknown::Kind;

/// A ConfigMap.
#[derive(Clone, Eq, PartialEq, prost::Message)]
pub struct ConfigMap {
    /// Metadata; always written.
    #[prost(message, required, tag = "1")]
    pub metadata: ObjectMeta,
    /// The data, sorted by key.
    #[prost(message, repeated, tag = "2")]
    pub data: Vec<StringEntry>,
    /// Data that is no text, sorted by key.
    #[prost(message, repeated, tag = "3")]
    pub binary_data: Vec<BytesEntry>,
    /// Whether it may not change any more.
    #[prost(bool, optional, tag = "4")]
    pub immutable: Option<bool>,
}

impl Kind for ConfigMap {
    const KIND: &'static str = "ConfigMap";
}
