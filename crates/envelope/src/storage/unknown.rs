//! The wrapper around every stored object: `k8s\0`, then `runtime.Unknown` with the object's type and bytes.

use std::fmt;

use prost::Message;
use thiserror::Error;

use super::{ConfigMap, Namespace, Secret};

/// What a stored object in protobuf starts with.
pub(crate) const MAGIC: &[u8] = b"k8s\0";

/// A kind that is stored as protobuf. All of them are `v1` so far.
pub trait Kind: Message + Default {
    /// `apiVersion`.
    const API_VERSION: &'static str = "v1";
    /// `kind`.
    const KIND: &'static str;
}

/// `runtime.Unknown`.
#[derive(Clone, Eq, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Unknown {
    /// The type of the object; always written.
    #[prost(message, required, tag = "1")]
    pub type_meta: TypeMeta,
    /// The object.
    #[prost(bytes = "vec", optional, tag = "2")]
    pub raw: Option<Vec<u8>>,
    /// Empty: not compressed. Always written.
    #[prost(string, required, tag = "3")]
    pub content_encoding: String,
    /// Empty: protobuf. Always written.
    #[prost(string, required, tag = "4")]
    pub content_type: String,
}

impl fmt::Debug for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unknown").field("type_meta", &self.type_meta).finish_non_exhaustive()
    }
}

/// `runtime.TypeMeta`.
#[derive(Clone, Eq, PartialEq, Message)]
pub struct TypeMeta {
    /// `v1`.
    #[prost(string, required, tag = "1")]
    pub api_version: String,
    /// `Secret`.
    #[prost(string, required, tag = "2")]
    pub kind: String,
}

/// An object of one of the kinds known here.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum StoredObject {
    /// A ConfigMap.
    ConfigMap(ConfigMap),
    /// A Namespace.
    Namespace(Namespace),
    /// A Secret.
    Secret(Secret),
}

/// The plain storage value of an object.
pub fn encode<K: Kind>(object: &K) -> Vec<u8> {
    let unknown = Unknown {
        type_meta: TypeMeta { api_version: K::API_VERSION.to_owned(), kind: K::KIND.to_owned() },
        raw: Some(object.encode_to_vec()),
        content_encoding: String::new(),
        content_type: String::new(),
    };
    let mut value = Vec::with_capacity(MAGIC.len() + unknown.encoded_len());
    value.extend_from_slice(MAGIC);
    // A `Vec` grows: it never lacks room.
    let _ = unknown.encode(&mut value);
    value
}

/// The object in a plain storage value, which must be of kind `K`. Fields it does not know are skipped.
///
/// # Errors
///
/// [`StorageError`] if `plain` is not such a value.
pub fn decode<K: Kind>(plain: &[u8]) -> Result<K, StorageError> {
    let unknown = decode_unknown(plain)?;
    let TypeMeta { api_version, kind } = &unknown.type_meta;
    if api_version != K::API_VERSION || kind != K::KIND {
        return Err(StorageError::Kind { expected: K::KIND, api_version: api_version.clone(), kind: kind.clone() });
    }
    decode_raw(&unknown)
}

/// The object in a plain storage value, of whichever kind it says.
///
/// # Errors
///
/// [`StorageError`] if `plain` is no such value, or of a kind that is not known here.
pub fn decode_any(plain: &[u8]) -> Result<StoredObject, StorageError> {
    let unknown = decode_unknown(plain)?;
    let TypeMeta { api_version, kind } = &unknown.type_meta;
    match (api_version.as_str(), kind.as_str()) {
        ("v1", ConfigMap::KIND) => decode_raw(&unknown).map(StoredObject::ConfigMap),
        ("v1", Namespace::KIND) => decode_raw(&unknown).map(StoredObject::Namespace),
        ("v1", Secret::KIND) => decode_raw(&unknown).map(StoredObject::Secret),
        _ => Err(StorageError::UnknownKind { api_version: api_version.clone(), kind: kind.clone() }),
    }
}

/// The kind that a `runtime.Unknown` names, if it can be read.
pub(crate) fn kind_of(message: &[u8]) -> Option<String> {
    Unknown::decode(message).ok().map(|unknown| unknown.type_meta.kind)
}

fn decode_unknown(plain: &[u8]) -> Result<Unknown, StorageError> {
    let message = plain.strip_prefix(MAGIC).ok_or(StorageError::NoMagic)?;
    Unknown::decode(message).map_err(|_| StorageError::Malformed { what: "runtime.Unknown" })
}

fn decode_raw<K: Kind>(unknown: &Unknown) -> Result<K, StorageError> {
    let raw = unknown.raw.as_deref().unwrap_or_default();
    K::decode(raw).map_err(|_| StorageError::Malformed { what: K::KIND })
}

/// A plain storage value that holds no object.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum StorageError {
    /// It holds an object of another kind.
    #[error("decode a {expected}: the stored object is {api_version} {kind}")]
    Kind {
        /// The kind asked for.
        expected: &'static str,
        /// What it says.
        api_version: String,
        /// What it says.
        kind: String,
    },
    /// It is not protobuf of this shape.
    #[error("decode a {what}: it is not the protobuf of one")]
    Malformed {
        /// The message that could not be read.
        what: &'static str,
    },
    /// It does not start as protobuf objects do.
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    NoMagic,
    /// It holds an object of a kind that is not emulated.
    #[error("decode the stored object: {api_version} {kind} is not emulated")]
    UnknownKind {
        /// What it says.
        api_version: String,
        /// What it says.
        kind: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{BytesEntry, ObjectMeta, Time, bytes_entries};

    #[test]
    fn the_vector_is_written_and_read() {
        // spec/kms.md section 6.
        let vector = "6b3873000a0c0a027631120653656372657412590a470a047665633112001a0764656661756c7422002a2430303030\
                      303030302d303030302d343030302d383030302d3030303030303030303030313200380042080880e2cfaa06100012\
                      060a016b1201761a064f70617175651a002200";
        let secret = Secret {
            metadata: ObjectMeta {
                name: "vec1".into(),
                namespace: "default".into(),
                uid: "00000000-0000-4000-8000-000000000001".into(),
                creation_timestamp: Time::new("2023-11-14T22:13:20.7Z".parse().unwrap()),
                ..ObjectMeta::default()
            },
            data: bytes_entries([("k".to_owned(), b"v".to_vec())]),
            r#type: "Opaque".into(),
            ..Secret::default()
        };
        assert_eq!(hex::encode(encode(&secret)), vector);
        assert_eq!(decode(&hex::decode(vector).unwrap()), Ok(secret));
    }

    #[test]
    fn an_empty_value_is_told_from_none() {
        let empty = Secret { data: vec![BytesEntry { key: "k".into(), value: Some(vec![]) }], ..Secret::default() };
        let none = Secret { data: vec![BytesEntry { key: "k".into(), value: None }], ..Secret::default() };
        assert!(empty.encode_to_vec().windows(5).any(|bytes| bytes == b"\x0a\x01k\x12\x00"));
        assert!(!none.encode_to_vec().windows(5).any(|bytes| bytes == b"\x0a\x01k\x12\x00"));
        assert_eq!(decode(&encode(&empty)), Ok(empty));
        assert_eq!(decode(&encode(&none)), Ok(none));
    }

    #[test]
    fn scalars_are_written_even_when_they_are_empty() {
        let written = hex::encode(Namespace::default().encode_to_vec());
        assert_eq!(
            written,
            "0a100a0012001a0022002a003200380042001200\
                             1a020a00"
        );
    }

    #[test]
    fn fields_of_older_servers_are_skipped() {
        // 15 was clusterName.
        let mut raw =
            Secret { metadata: ObjectMeta { name: "a".into(), ..ObjectMeta::default() }, ..Secret::default() }
                .encode_to_vec();
        let metadata_bytes = raw[1];
        raw[1] = metadata_bytes + 2;
        raw.splice(usize::from(metadata_bytes) + 2..usize::from(metadata_bytes) + 2, [0x7a, 0x00]);
        assert_eq!(Secret::decode(raw.as_slice()).unwrap().metadata.name, "a");
    }

    #[test]
    fn other_values_are_refused_with_their_reason() {
        assert_eq!(decode::<Secret>(b"{}"), Err(StorageError::NoMagic));
        assert_eq!(decode::<Secret>(b"k8s\0\x0a"), Err(StorageError::Malformed { what: "runtime.Unknown" }));
        let map = encode(&ConfigMap::default());
        assert_eq!(
            decode::<Secret>(&map).unwrap_err().to_string(),
            "decode a Secret: the stored object is v1 ConfigMap"
        );
        assert_eq!(decode_any(&map), Ok(StoredObject::ConfigMap(ConfigMap::default())));
    }
}
