//! The protobuf of the record: proto3, message `v2.EncryptedObject`.
//!
//! Written by hand over prost's primitives, because it must be read as Go reads it, byte for byte of the error: a known
//! field number with another wire type is an unknown field there and an error in derived prost code, and Go writes the key
//! and the value of every map entry, prost's maps only what is not empty.

use std::collections::BTreeMap;

use prost::encoding::{self, DecodeContext, WireType};

use super::record::DecodeError;
use crate::annotations::Annotations;

/// The fields, before any limit.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) encrypted_data: Vec<u8>,
    pub(super) key_id: String,
    pub(super) encrypted_dek_source: Vec<u8>,
    pub(super) annotations: BTreeMap<String, Vec<u8>>,
    pub(super) encrypted_dek_source_type: i32,
}

pub(super) fn decode(body: &[u8]) -> Result<Fields, DecodeError> {
    let mut fields = Fields::default();
    each_field(body, |number, value| {
        match (number, value) {
            (ENCRYPTED_DATA, Value::Bytes(bytes)) => fields.encrypted_data = bytes.to_vec(),
            (KEY_ID, Value::Bytes(bytes)) => fields.key_id = text(bytes)?,
            (ENCRYPTED_DEK_SOURCE, Value::Bytes(bytes)) => fields.encrypted_dek_source = bytes.to_vec(),
            (ANNOTATIONS, Value::Bytes(entry)) => {
                let (key, value) = decode_annotation(entry)?;
                fields.annotations.insert(key, value);
            }
            (ENCRYPTED_DEK_SOURCE_TYPE, Value::Varint(number)) => {
                fields.encrypted_dek_source_type = low_32_bits(number);
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(fields)
}

/// Tag and length of `encryptedData`, whose bytes must follow.
pub(super) fn encode_data_head(data_bytes: usize, record: &mut Vec<u8>) {
    push_head(record, ENCRYPTED_DATA, data_bytes);
}

/// The fields behind `encryptedData`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest<'r> {
    pub(super) key_id: &'r str,
    pub(super) encrypted_dek_source: &'r [u8],
    pub(super) annotations: &'r Annotations,
    pub(super) encrypted_dek_source_type: u8,
}

impl Rest<'_> {
    /// Not less than the bytes that a record has besides its data.
    pub(super) fn room(&self) -> usize {
        let annotations: usize =
            self.annotations.iter().map(|(key, value)| key.len() + value.len() + ROOM_FOR_TAGS).sum();
        self.key_id.len() + self.encrypted_dek_source.len() + annotations + ROOM_FOR_THE_REST
    }

    /// Fields in the order of their numbers, annotations as they come; type 0 is left out.
    pub(super) fn encode(&self, record: &mut Vec<u8>) {
        push_bytes(record, KEY_ID, self.key_id.as_bytes());
        push_bytes(record, ENCRYPTED_DEK_SOURCE, self.encrypted_dek_source);
        for (key, value) in self.annotations.iter() {
            let entry = |number, bytes: &[u8]| {
                encoding::key_len(number) + encoding::encoded_len_varint(wide(bytes.len())) + bytes.len()
            };
            push_head(record, ANNOTATIONS, entry(ENTRY_KEY, key.as_bytes()) + entry(ENTRY_VALUE, value));
            push_bytes(record, ENTRY_KEY, key.as_bytes());
            push_bytes(record, ENTRY_VALUE, value);
        }
        if self.encrypted_dek_source_type != 0 {
            encoding::encode_key(ENCRYPTED_DEK_SOURCE_TYPE, WireType::Varint, record);
            encoding::encode_varint(u64::from(self.encrypted_dek_source_type), record);
        }
    }
}

enum Value<'b> {
    Bytes(&'b [u8]),
    Varint(u64),
    /// Of a wire type that no field of these messages has.
    Other,
}

/// Calls `take` with the number and value of every field.
fn each_field<'b>(
    mut bytes: &'b [u8],
    mut take: impl FnMut(u32, Value<'b>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let malformed = |_| DecodeError::Malformed;
    while !bytes.is_empty() {
        let (number, wire_type) = encoding::decode_key(&mut bytes).map_err(malformed)?;
        let value = match wire_type {
            WireType::LengthDelimited => {
                let length = encoding::decode_varint(&mut bytes).map_err(malformed)?;
                let length = usize::try_from(length).map_err(|_| DecodeError::Malformed)?;
                let (value, rest) = bytes.split_at_checked(length).ok_or(DecodeError::Malformed)?;
                bytes = rest;
                Value::Bytes(value)
            }
            WireType::Varint => Value::Varint(encoding::decode_varint(&mut bytes).map_err(malformed)?),
            other => {
                encoding::skip_field(other, number, &mut bytes, DecodeContext::default()).map_err(malformed)?;
                Value::Other
            }
        };
        take(number, value)?;
    }
    Ok(())
}

fn decode_annotation(entry: &[u8]) -> Result<(String, Vec<u8>), DecodeError> {
    let (mut key, mut value) = (String::new(), Vec::new());
    each_field(entry, |number, field| {
        match (number, field) {
            (ENTRY_KEY, Value::Bytes(bytes)) => key = text(bytes)?,
            (ENTRY_VALUE, Value::Bytes(bytes)) => value = bytes.to_vec(),
            _ => {}
        }
        Ok(())
    })?;
    Ok((key, value))
}

fn text(bytes: &[u8]) -> Result<String, DecodeError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| DecodeError::NotText)
}

/// An enum on the wire is a varint cut to 32 bits.
fn low_32_bits(number: u64) -> i32 {
    let [one, two, three, four, ..] = number.to_le_bytes();
    i32::from_le_bytes([one, two, three, four])
}

fn push_bytes(record: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    push_head(record, number, bytes.len());
    record.extend_from_slice(bytes);
}

fn push_head(record: &mut Vec<u8>, number: u32, bytes: usize) {
    encoding::encode_key(number, WireType::LengthDelimited, record);
    encoding::encode_varint(wide(bytes), record);
}

/// A length in memory always fits.
fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

const ENCRYPTED_DATA: u32 = 1;
const KEY_ID: u32 = 2;
const ENCRYPTED_DEK_SOURCE: u32 = 3;
const ANNOTATIONS: u32 = 4;
const ENCRYPTED_DEK_SOURCE_TYPE: u32 = 5;
const ENTRY_KEY: u32 = 1;
const ENTRY_VALUE: u32 = 2;
/// More than the tags and lengths of a map entry take.
const ROOM_FOR_TAGS: usize = 18;
/// More than all other tags and lengths take.
const ROOM_FOR_THE_REST: usize = 32;
