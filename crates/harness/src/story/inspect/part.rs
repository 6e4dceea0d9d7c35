//! A named range of a stored value, with its bytes.

use envelope::anatomy;
use schemars::JsonSchema;
use serde::Serialize;

/// A range of bytes with its meaning.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct PartView {
    /// The first byte, from 0.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
    /// What the bytes are.
    pub name: String,
    /// What that is for.
    pub about: String,
    /// The bytes as text or number, where they are one.
    pub value: Option<String>,
    /// The bytes, in hexadecimal.
    pub hex: String,
}

impl PartView {
    /// The parts of a value, covering every byte of it in order.
    pub(super) fn all(bytes: &[u8]) -> Vec<Self> {
        let parts = anatomy(bytes).into_iter().map(|part| {
            let own = bytes.get(part.range.clone()).unwrap_or_default();
            Self {
                start: part.range.start,
                end: part.range.end,
                name: part.name,
                about: part.about.to_owned(),
                value: part.value.or_else(|| printable(own)),
                hex: hex::encode(own),
            }
        });
        parts.collect()
    }

    /// Whether the bytes only tell where others begin and end.
    pub(super) fn is_framing(&self) -> bool {
        self.name.ends_with(')')
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        // The field was made by `hex::encode`.
        hex::decode(&self.hex).unwrap_or_default()
    }
}

/// Bytes that are nothing but text; single ones are that by chance.
fn printable(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let readable = bytes.len() > 1 && text.chars().all(|character| !character.is_control());
    readable.then(|| text.to_owned())
}
