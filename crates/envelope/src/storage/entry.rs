//! Entries of protobuf maps, in the order in which gogo-protobuf writes them: by key.

use std::fmt;

/// An entry of a `map<string, bytes>`. Its `Debug` shows no value: most are secret.
#[derive(Clone, Eq, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct BytesEntry {
    /// The key; always written.
    #[prost(string, required, tag = "1")]
    pub key: String,
    /// The value; an empty one is written, a missing one (a Go `nil`) is not.
    #[prost(bytes = "vec", optional, tag = "2")]
    pub value: Option<Vec<u8>>,
}

impl fmt::Debug for BytesEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BytesEntry").field("key", &self.key).finish_non_exhaustive()
    }
}

/// An entry of a `map<string, string>`.
#[derive(Clone, Eq, PartialEq, prost::Message)]
pub struct StringEntry {
    /// The key; always written.
    #[prost(string, required, tag = "1")]
    pub key: String,
    /// The value; always written.
    #[prost(string, required, tag = "2")]
    pub value: String,
}

/// The entries of a map of bytes, sorted by key as upstream writes them.
pub fn bytes_entries(map: impl IntoIterator<Item = (String, Vec<u8>)>) -> Vec<BytesEntry> {
    let mut entries: Vec<_> = map.into_iter().map(|(key, value)| BytesEntry { key, value: Some(value) }).collect();
    entries.sort_by(|one, other| one.key.cmp(&other.key));
    entries
}

/// The entries of a map of strings, sorted by key as upstream writes them.
pub fn string_entries(map: impl IntoIterator<Item = (String, String)>) -> Vec<StringEntry> {
    let mut entries: Vec<_> = map.into_iter().map(|(key, value)| StringEntry { key, value }).collect();
    entries.sort_by(|one, other| one.key.cmp(&other.key));
    entries
}
