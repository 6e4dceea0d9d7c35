//! The name a KMS plugin gives to the key it encrypts with (`key_id`), and its limits.
//!
//! Rules and texts: `ValidateKeyID` and `GetHashIfNotEmpty` of kube-apiserver's `kmsv2/envelope.go`.

use std::fmt;

use thiserror::Error;

use crate::upstream::sha256_label;

/// A key id within its limits: 1 to 1024 bytes of public text.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct KeyId(String);

impl KeyId {
    /// Longest key id, in bytes.
    pub const MAX_BYTES: usize = 1024;

    /// Checks a key id as it came from a plugin or from storage.
    ///
    /// # Errors
    ///
    /// [`KeyIdError`] if it is empty or longer than [`Self::MAX_BYTES`].
    pub fn new(text: impl Into<String>) -> Result<Self, KeyIdError> {
        let text = text.into();
        match text.len() {
            0 => Err(KeyIdError::Empty),
            bytes if bytes > Self::MAX_BYTES => Err(KeyIdError::TooLong { bytes }),
            _ => Ok(Self(text)),
        }
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `sha256:` and hex: how metrics and error texts show a key id.
    pub fn hash(&self) -> String {
        sha256_label(self.0.as_bytes())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key id outside its limits.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum KeyIdError {
    /// It has no bytes.
    #[error("keyID is empty")]
    Empty,
    /// It has more than [`KeyId::MAX_BYTES`] bytes.
    #[error("keyID is {bytes} bytes, which exceeds the max size of {}", KeyId::MAX_BYTES)]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

/// The hash of a key id that may be empty or too long, as upstream shows it: nothing for nothing.
pub(crate) fn hash_if_not_empty(text: &str) -> String {
    if text.is_empty() { String::new() } else { sha256_label(text.as_bytes()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_itself_is_allowed() {
        assert!(KeyId::new("k".repeat(1024)).is_ok());
        let error = KeyId::new("k".repeat(1025)).unwrap_err();
        assert_eq!(error.to_string(), "keyID is 1025 bytes, which exceeds the max size of 1024");
        assert_eq!(KeyId::new("").unwrap_err().to_string(), "keyID is empty");
    }

    #[test]
    fn the_hash_is_that_of_the_text() {
        // spec/kms.md section 6: the metric label of key id "1".
        let hash = KeyId::new("1").unwrap().hash();
        assert_eq!(hash, "sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b");
    }
}
