//! What differs between the three: prefix, key lengths, and a text.

/// How a provider with its own keys seals.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyCipher {
    /// `aescbc`: AES-CBC with PKCS#7 padding. The etcd key is not authenticated, and neither is anything else.
    AesCbc,
    /// `aesgcm`: AES-GCM with a random nonce; the etcd key is authenticated.
    AesGcm,
    /// `secretbox`: `XSalsa20` and Poly1305. The etcd key is not authenticated.
    Secretbox,
}

impl KeyCipher {
    /// All three, in the order of their names.
    pub const ALL: [Self; 3] = [Self::AesCbc, Self::AesGcm, Self::Secretbox];

    /// The name of the provider in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::AesCbc => "aescbc",
            Self::AesGcm => "aesgcm",
            Self::Secretbox => "secretbox",
        }
    }

    /// What its values start with in etcd; the name of the key and a colon follow.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::AesCbc => "k8s:enc:aescbc:v1:",
            Self::AesGcm => "k8s:enc:aesgcm:v1:",
            Self::Secretbox => "k8s:enc:secretbox:v1:",
        }
    }

    /// The lengths a key may have, in bytes (`aesKeySizes`, `secretBoxKeySizes`).
    pub(crate) fn key_bytes(self) -> &'static [usize] {
        match self {
            Self::AesCbc | Self::AesGcm => &[16, 24, 32],
            Self::Secretbox => &[32],
        }
    }

    /// How upstream calls it where no key has the name in a value.
    pub(crate) fn family(self) -> &'static str {
        match self {
            Self::AesCbc | Self::AesGcm => "AES",
            Self::Secretbox => "Secretbox",
        }
    }
}
