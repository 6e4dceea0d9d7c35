//! The record that stands in etcd behind `k8s:enc:kms:v2:<name>:`: the sealed value and all that is needed to open it.
//!
//! Shape, limits and texts: `EncryptedObject` of kube-apiserver's `kmsv2/v2/api.proto` and `ValidateEncryptedObject`.

use thiserror::Error;

use super::wire;

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
    /// Fields may come in any order and more than once (the last one counts); unknown fields are skipped, and so is a
    /// known number with another wire type.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if `body` is no protobuf, or outside a limit.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let wire = wire::decode(body)?;
        // The order of these checks is upstream's: it decides which text a reader sees.
        let source_type = SourceType::from_number(wire.encrypted_dek_source_type)
            .ok_or(LimitError::SourceType { number: wire.encrypted_dek_source_type })?;
        if wire.encrypted_data.is_empty() {
            return Err(LimitError::EncryptedDataEmpty.into());
        }
        Ok(Self {
            encrypted_dek_source: EncryptedDekSource::new(wire.encrypted_dek_source).map_err(LimitError::DekSource)?,
            key_id: KeyId::new(wire.key_id).map_err(LimitError::KeyId)?,
            annotations: Annotations::new(wire.annotations).map_err(LimitError::Annotations)?,
            encrypted_data: wire.encrypted_data,
            source_type,
        })
    }

    /// The bytes that follow a provider's prefix.
    pub fn encode(&self) -> Vec<u8> {
        let record = Record {
            key_id: &self.key_id,
            encrypted_dek_source: &self.encrypted_dek_source,
            annotations: &self.annotations,
            source_type: self.source_type,
        };
        let write_data = |record: &mut Vec<u8>| {
            record.extend_from_slice(&self.encrypted_data);
            Ok::<_, std::convert::Infallible>(())
        };
        match record.write("", self.encrypted_data.len(), write_data) {
            Ok(record) => record,
            Err(never) => match never {},
        }
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

/// A record without its sealed value, which is made in its place so that no copy of it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'r> {
    pub(crate) key_id: &'r KeyId,
    pub(crate) encrypted_dek_source: &'r EncryptedDekSource,
    pub(crate) annotations: &'r Annotations,
    pub(crate) source_type: SourceType,
}

impl Record<'_> {
    /// `prefix` and the record; `write_data` appends the `data_bytes` bytes of `encryptedData`.
    pub(crate) fn write<E>(
        self,
        prefix: &str,
        data_bytes: usize,
        write_data: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Vec<u8>, E> {
        let rest = wire::Rest {
            key_id: self.key_id.as_str(),
            encrypted_dek_source: self.encrypted_dek_source.as_bytes(),
            annotations: self.annotations,
            encrypted_dek_source_type: self.source_type.number(),
        };
        let mut stored = Vec::with_capacity(prefix.len() + data_bytes + rest.room());
        stored.extend_from_slice(prefix.as_bytes());
        wire::encode_data_head(data_bytes, &mut stored);
        write_data(&mut stored)?;
        rest.encode(&mut stored);
        Ok(stored)
    }
}

/// The type that a record names, even if the record is outside its limits.
pub(crate) fn source_type_of(body: &[u8]) -> Option<SourceType> {
    SourceType::from_number(wire::decode(body).ok()?.encrypted_dek_source_type)
}

/// A stored record cannot be read. `Display` is upstream's whole text, cause included, so there is no `source()`.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum DecodeError {
    /// It is outside a limit.
    #[error("{0}")]
    Limit(LimitError),
    /// It is no protobuf of this shape. (Go's protobuf library writes a no-break space behind the colon in half of all
    /// builds, on purpose; the released server has a plain one.)
    #[error("proto: cannot parse invalid wire-format data")]
    Malformed,
    /// A text in it is not UTF-8.
    #[error("string field contains invalid UTF-8")]
    NotText,
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

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: &[u8] = b"\x0a\x01\x00";
    const KEY_ID: &[u8] = b"\x12\x011";
    const SOURCE: &[u8] = b"\x1a\x04EDEK";
    const ANNOTATION: &[u8] = b"\x22\x08\x0a\x04a.io\x12\x00";
    const SEED: &[u8] = b"\x28\x01";

    fn decode(fields: &[&[u8]]) -> Result<EncryptedObject, String> {
        EncryptedObject::decode(&fields.concat()).map_err(|error| error.to_string())
    }

    fn valid() -> EncryptedObject {
        decode(&[DATA, KEY_ID, SOURCE, ANNOTATION, SEED]).unwrap()
    }

    #[test]
    fn limits_are_told_in_upstreams_words() {
        let told = |fields: &[&[u8]]| decode(fields).unwrap_err();
        let long_source = [b"\x1a\x81\x08".as_slice(), &[0; 1025]].concat();
        let minus_one = b"\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        assert_eq!(told(&[DATA, KEY_ID, SOURCE, b"\x28\x07"]), "unknown encryptedDEKSourceType: 7");
        assert_eq!(told(&[DATA, KEY_ID, SOURCE, minus_one]), "unknown encryptedDEKSourceType: -1");
        assert_eq!(told(&[DATA, SOURCE, SEED]), "failed to validate key id: keyID is empty");
        assert_eq!(told(&[KEY_ID, SOURCE, SEED]), "encrypted data is empty");
        assert_eq!(told(&[]), "encrypted data is empty");
        assert_eq!(
            told(&[DATA, KEY_ID, SEED]),
            "failed to validate encrypted DEK source: encrypted DEK source is empty"
        );
        assert_eq!(
            told(&[DATA, KEY_ID, &long_source, SEED]),
            "failed to validate encrypted DEK source: encrypted DEK source is 1025 bytes, which exceeds the max size of 1024"
        );
        assert_eq!(
            told(&[DATA, KEY_ID, SOURCE, b"\x22\x03\x0a\x01x"]),
            "failed to validate annotations: annotations: Invalid value: \"x\": should be a domain with at least two segments \
             separated by dots"
        );
    }

    #[test]
    fn bytes_that_are_no_record_are_told() {
        let told = |fields: &[&[u8]]| decode(fields).unwrap_err();
        for malformed in
            [b"\x0a\x05ab".as_slice(), b"\x0a", b"\x00\x00", b"\x2a\xff", b"\x4c", b"\x4b\x54", b"\xff\xff\xff\xff\xff"]
        {
            assert_eq!(told(&[DATA, malformed]), "proto: cannot parse invalid wire-format data", "{malformed:02x?}");
        }
        let not_text = "string field contains invalid UTF-8";
        assert_eq!(told(&[b"\x12\x01\xff"]), not_text, "a key id");
        assert_eq!(told(&[b"\x22\x03\x0a\x01\xff"]), not_text, "an annotation's name");
    }

    #[test]
    fn any_order_repeats_and_unknown_fields_are_read() {
        let unknown: [&[u8]; 4] = [b"\x4a\x01z", b"\x48\x01", b"\x4d1234", b"\x4b\x08\x01\x4c"];
        let fields =
            [&[b"\x12\x010".as_slice(), SEED, SOURCE], unknown.as_slice(), &[ANNOTATION, DATA, KEY_ID]].concat();
        assert_eq!(decode(&fields).unwrap(), valid(), "the last key id counts");
        let earlier_annotation = b"\x22\x09\x0a\x04a.io\x12\x01x";
        let fields = [DATA, KEY_ID, SOURCE, earlier_annotation, ANNOTATION, SEED];
        assert_eq!(decode(&fields).unwrap(), valid(), "the last annotation of a name counts");
    }

    /// As Go's protobuf has it: what has another wire type is not the field.
    #[test]
    fn a_known_number_with_another_type_is_an_unknown_field() {
        assert_eq!(decode(&[b"\x08\x01", KEY_ID, SOURCE, SEED]).unwrap_err(), "encrypted data is empty");
        assert_eq!(decode(&[DATA, KEY_ID, SOURCE, ANNOTATION, SEED, b"\x2a\x01\x07"]).unwrap(), valid());
    }

    #[test]
    fn an_annotation_may_lack_what_is_empty_and_is_written_whole() {
        let without_value = b"\x22\x06\x0a\x04a.io";
        let object = decode(&[DATA, KEY_ID, SOURCE, without_value, SEED]).unwrap();
        assert_eq!(object, valid());
        assert_eq!(object.encode(), [DATA, KEY_ID, SOURCE, ANNOTATION, SEED].concat());
    }

    #[test]
    fn type_0_is_not_written() {
        let object = decode(&[DATA, KEY_ID, SOURCE]).unwrap();
        assert_eq!(object.source_type(), SourceType::AesGcmKey);
        assert_eq!(object.encode(), [DATA, KEY_ID, SOURCE].concat());
    }
}
