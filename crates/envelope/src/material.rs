//! Secret bytes in memory: seeds and data keys while they are not inside a cipher.
//!
//! The only way to read them is [`KeyMaterial::expose`], so that one search finds every reader.

use std::fmt;

use zeroize::Zeroize;

/// Secret bytes: wiped when dropped, never printed, never copied.
pub struct KeyMaterial(Vec<u8>);

impl KeyMaterial {
    /// Takes ownership of secret bytes; the caller keeps no copy.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes themselves. The one reader of a secret.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Drop for KeyMaterial {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyMaterial(redacted)")
    }
}
