//! The record that stands in etcd behind `k8s:enc:kms:v2:<name>:`: the sealed value and all that is needed to open it.
//!
//! Shape, limits and texts: `EncryptedObject` of kube-apiserver's `kmsv2/v2/api.proto` and `ValidateEncryptedObject`.

use std::collections::BTreeMap;

use prost::Message as _;
use thiserror::Error;

use crate::annotations::{Annotations, AnnotationsError};
use crate::dek_source::{EncryptedDekSource, EncryptedDekSourceError, SourceType};
use crate::key_id::{KeyId, KeyIdError};

/// A stored value as KMS v2 writes it, within every limit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EncryptedObject {
    /// `encryptedData`: info, nonce, ciphertext and tag. Never empty.
    encrypted_data: Vec<u8>,
    key_id: KeyId,
    encrypted_dek_source: EncryptedDekSource,
    annotations: Annotations,
    source_type: SourceType,
}

impl EncryptedObject {
    /// Reads what stands behind a provider's prefix.
    ///
    /// Fields may come in any order and more than once (the last one counts); unknown fields are skipped.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if `body` is no protobuf, or outside a limit.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let wire = wire::EncryptedObject::decode(body).map_err(|_| DecodeError::Malformed)?;
        // The order of these checks is upstream's: it decides which text a reader sees.
        let source_type = SourceType::from_number(wire.encrypted_dek_source_type)
            .ok_or(LimitError::SourceType { number: wire.encrypted_dek_source_type })?;
        if wire.encrypted_data.is_empty() {
            return Err(LimitError::EncryptedDataEmpty.into());
        }
        let annotations: BTreeMap<_, _> = wire.annotations.into_iter().map(|entry| (entry.key, entry.value)).collect();
        Ok(Self {
            encrypted_dek_source: EncryptedDekSource::new(wire.encrypted_dek_source).map_err(LimitError::DekSource)?,
            key_id: KeyId::new(wire.key_id).map_err(LimitError::KeyId)?,
            annotations: Annotations::new(annotations).map_err(LimitError::Annotations)?,
            encrypted_data: wire.encrypted_data,
            source_type,
        })
    }

    /// The bytes that follow a provider's prefix.
    pub fn encode(&self) -> Vec<u8> {
        encode(&self.encrypted_data, &self.key_id, &self.encrypted_dek_source, &self.annotations, self.source_type)
    }

    /// `encryptedData`: info, nonce, ciphertext and tag.
    pub fn encrypted_data(&self) -> &[u8] {
        &self.encrypted_data
    }

    /// `keyID`: the key that the plugin encrypted the DEK source with.
    pub fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    /// `encryptedDEKSource`: what the plugin's Encrypt answered, verbatim.
    pub fn encrypted_dek_source(&self) -> &EncryptedDekSource {
        &self.encrypted_dek_source
    }

    /// `annotations`: what the plugin asked to be stored with it.
    pub fn annotations(&self) -> &Annotations {
        &self.annotations
    }

    /// `encryptedDEKSourceType`.
    pub fn source_type(&self) -> SourceType {
        self.source_type
    }
}

/// Writes a record from parts, without copying the sealed value first.
pub(crate) fn encode(
    encrypted_data: &[u8],
    key_id: &KeyId,
    encrypted_dek_source: &EncryptedDekSource,
    annotations: &Annotations,
    source_type: SourceType,
) -> Vec<u8> {
    wire::EncryptedObject {
        encrypted_data: encrypted_data.to_vec(),
        key_id: key_id.as_str().to_owned(),
        encrypted_dek_source: encrypted_dek_source.as_bytes().to_vec(),
        annotations: annotations
            .iter()
            .map(|(key, value)| wire::Annotation { key: key.to_owned(), value: value.to_vec() })
            .collect(),
        encrypted_dek_source_type: i32::from(source_type.number()),
    }
    .encode_to_vec()
}

/// The type that a record names, even if the record is outside its limits.
pub(crate) fn source_type_of(body: &[u8]) -> Option<SourceType> {
    SourceType::from_number(wire::EncryptedObject::decode(body).ok()?.encrypted_dek_source_type)
}

/// A stored record cannot be read. `Display` is upstream's whole text, cause included, so there is no `source()`.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum DecodeError {
    /// It is outside a limit.
    #[error("{0}")]
    Limit(LimitError),
    /// It is no protobuf of this shape.
    #[error("proto: cannot parse invalid wire-format data")]
    Malformed,
}

impl From<LimitError> for DecodeError {
    fn from(error: LimitError) -> Self {
        Self::Limit(error)
    }
}

/// A record, or a plugin's answer that would become one, is outside a limit. `Display` is upstream's whole text.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum LimitError {
    /// An annotation's name, or all annotations together.
    #[error("failed to validate annotations: {0}")]
    Annotations(AnnotationsError),
    /// The encrypted DEK source.
    #[error("failed to validate encrypted DEK source: {0}")]
    DekSource(EncryptedDekSourceError),
    /// There is no sealed value.
    #[error("encrypted data is empty")]
    EncryptedDataEmpty,
    /// The key id.
    #[error("failed to validate key id: {0}")]
    KeyId(KeyIdError),
    /// A type of DEK source that is neither 0 nor 1.
    #[error("unknown encryptedDEKSourceType: {number}")]
    SourceType {
        /// The number found.
        number: i32,
    },
}

mod wire {
    /// proto3, package `v2`: empty scalars are left out, and so is type 0.
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct EncryptedObject {
        #[prost(bytes = "vec", tag = "1")]
        pub(super) encrypted_data: Vec<u8>,
        #[prost(string, tag = "2")]
        pub(super) key_id: String,
        #[prost(bytes = "vec", tag = "3")]
        pub(super) encrypted_dek_source: Vec<u8>,
        #[prost(message, repeated, tag = "4")]
        pub(super) annotations: Vec<Annotation>,
        #[prost(int32, tag = "5")]
        pub(super) encrypted_dek_source_type: i32,
    }

    /// An entry of the map: Go writes its key and value even when they are empty, which prost's own maps do not.
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Annotation {
        #[prost(string, required, tag = "1")]
        pub(super) key: String,
        #[prost(bytes = "vec", required, tag = "2")]
        pub(super) value: Vec<u8>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(wire: &wire::EncryptedObject) -> Result<EncryptedObject, String> {
        EncryptedObject::decode(&wire.encode_to_vec()).map_err(|error| error.to_string())
    }

    fn valid() -> wire::EncryptedObject {
        wire::EncryptedObject {
            encrypted_data: vec![0],
            key_id: "1".into(),
            encrypted_dek_source: b"EDEK".to_vec(),
            annotations: vec![wire::Annotation { key: "a.io".into(), value: vec![] }],
            encrypted_dek_source_type: 1,
        }
    }

    #[test]
    fn limits_are_told_in_upstreams_words() {
        let with = |change: fn(&mut wire::EncryptedObject)| {
            let mut object = valid();
            change(&mut object);
            decode(&object).unwrap_err()
        };
        assert_eq!(with(|o| o.encrypted_dek_source_type = 7), "unknown encryptedDEKSourceType: 7");
        assert_eq!(with(|o| o.encrypted_dek_source_type = -1), "unknown encryptedDEKSourceType: -1");
        assert_eq!(with(|o| o.key_id.clear()), "failed to validate key id: keyID is empty");
        assert_eq!(with(|o| o.encrypted_data.clear()), "encrypted data is empty");
        assert_eq!(
            with(|o| o.encrypted_dek_source.clear()),
            "failed to validate encrypted DEK source: encrypted DEK source is empty"
        );
        assert_eq!(
            with(|o| o.encrypted_dek_source = vec![0; 1025]),
            "failed to validate encrypted DEK source: encrypted DEK source is 1025 bytes, which exceeds the max size of 1024"
        );
        assert_eq!(
            with(|o| o.annotations.push(wire::Annotation { key: "x".into(), value: vec![] })),
            "failed to validate annotations: annotations: Invalid value: \"x\": should be a domain with at least two segments \
             separated by dots"
        );
        assert_eq!(
            EncryptedObject::decode(b"\x0a\x05ab").unwrap_err().to_string(),
            "proto: cannot parse invalid wire-format data"
        );
    }

    #[test]
    fn any_order_repeats_and_unknown_fields_are_read() {
        // keyID "0", type 1, unknown field 9, the rest, then keyID "1": the last one counts.
        let bytes = b"\x12\x010\x28\x01\x4a\x01z\x1a\x04EDEK\x22\x06\x0a\x04a.io\x0a\x01\x00\x12\x011";
        assert_eq!(EncryptedObject::decode(bytes).unwrap(), decode(&valid()).unwrap());
    }

    #[test]
    fn an_empty_annotation_is_written_with_key_and_value() {
        let encoded = decode(&valid()).unwrap().encode();
        assert!(encoded.windows(10).any(|bytes| bytes == b"\x22\x08\x0a\x04a.io\x12\x00"), "{encoded:02x?}");
    }
}
