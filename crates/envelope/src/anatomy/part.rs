//! A named range of bytes.

use std::ops::Range;

/// A range of bytes of a stored value. Never empty.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Part {
    /// Which bytes.
    pub range: Range<usize>,
    /// What they are: `encryptedData.nonce`, `Secret.metadata.name (tag, length)`.
    pub name: String,
    /// What that is for, in a sentence or less.
    pub about: &'static str,
    /// The bytes as text or number, where they are one that may be shown.
    pub value: Option<String>,
}
