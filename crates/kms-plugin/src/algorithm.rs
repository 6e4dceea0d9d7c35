//! Which algorithm goes with which KMS protocol. Azure's plugin chooses by protocol, not by key.

/// An RSA encryption algorithm of Key Vault.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Algorithm {
    /// `RSA1_5`, of KMS v1beta1.
    Rsa15,
    /// `RSA-OAEP-256`, of KMS v2.
    RsaOaep256,
}

impl Algorithm {
    /// What of a modulus the padding takes, in bytes: RFC 8017, 7.2.1 and 7.1.1 with SHA-256.
    fn overhead_bytes(self) -> usize {
        match self {
            Self::Rsa15 => 11,
            Self::RsaOaep256 => 66,
        }
    }

    /// The longest plaintext that a key with this modulus can encrypt, in bytes.
    pub(crate) fn max_plaintext_bytes(self, modulus_bytes: usize) -> usize {
        modulus_bytes.saturating_sub(self.overhead_bytes())
    }
}

/// The moduli of Key Vault's RSA keys, 2048, 3072 and 4096 bits, in bytes.
pub(crate) const MODULUS_BYTES: [usize; 3] = [256, 384, 512];

/// The largest of them.
pub(crate) const MAX_MODULUS_BYTES: usize = 512;
