//! Secrets that pass through the plugin: wiped when dropped, never shown, read through `expose`.
//!
//! What the Azure SDK and the gRPC stack copy on the way is theirs and is not wiped.

use std::fmt;

use zeroize::Zeroizing;

/// The secret of a service principal.
pub struct ClientSecret(Zeroizing<String>);

impl ClientSecret {
    /// Takes the secret over.
    pub fn new(secret: String) -> Self {
        Self(Zeroizing::new(secret))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret([redacted])")
    }
}

/// What the API server wants encrypted, and what decrypting gives back: a seed.
pub(crate) struct Plaintext(Zeroizing<Vec<u8>>);

impl Plaintext {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plaintext([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        assert_eq!(format!("{:?}", ClientSecret::new("hunter2".to_owned())), "ClientSecret([redacted])");
        assert_eq!(format!("{:?}", Plaintext::new(b"hunter2".to_vec())), "Plaintext([redacted])");
    }
}
