//! The names of algorithms: `JsonWebKeyEncryptionAlgorithm` and `JsonWebKeySignatureAlgorithm` of the service contract.
//!
//! Which key has which is decided by the key's material. `RSNULL` is not here: it signs anything, and no client offers it.

use aws_lc_rs::{digest, hmac};

use crate::vault::material::{AesSize, RsaPadding};

/// How to encrypt or to wrap.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum EncryptionAlgorithm {
    /// AES-CBC, whole blocks only.
    AesCbc(AesSize),
    /// AES-CBC with the padding of PKCS #7.
    AesCbcPad(AesSize),
    /// AES-GCM with a 12-byte nonce and a 16-byte tag.
    AesGcm(AesSize),
    /// RFC 3394.
    AesKw(AesSize),
    /// RFC 5649.
    AesKwPad(AesSize),
    /// PKCS #11's name for RFC 3394, whatever the size of the key.
    CkmAesKeyWrap,
    /// PKCS #11's name for RFC 5649, whatever the size of the key.
    CkmAesKeyWrapPad,
    Rsa(RsaPadding),
}

impl EncryptionAlgorithm {
    /// The name in `alg`.
    pub(crate) fn as_str(self) -> &'static str {
        name_of(&ENCRYPTION, &self)
    }

    /// The algorithm with this name in `alg`.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        named(&ENCRYPTION, name)
    }

    /// Whether it wraps keys and nothing else; those that encrypt data do not wrap, but for RSA's, which do both.
    pub(crate) fn wraps(self) -> bool {
        match self {
            Self::AesCbc(_) | Self::AesCbcPad(_) | Self::AesGcm(_) => false,
            Self::AesKw(_) | Self::AesKwPad(_) | Self::CkmAesKeyWrap | Self::CkmAesKeyWrapPad | Self::Rsa(_) => true,
        }
    }

    /// Whether it encrypts data.
    pub(crate) fn encrypts(self) -> bool {
        !self.wraps() || matches!(self, Self::Rsa(_))
    }
}

/// How to sign.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SignatureAlgorithm {
    Es256,
    Es256k,
    Es384,
    Es512,
    /// HMAC (RFC 2104).
    Hs(Hash),
    /// RSASSA-PSS, the salt as long as the digest.
    Ps(Hash),
    /// RSASSA-PKCS1-v1_5.
    Rs(Hash),
}

impl SignatureAlgorithm {
    /// The name in `alg`.
    pub(crate) fn as_str(self) -> &'static str {
        name_of(&SIGNATURE, &self)
    }

    /// The algorithm with this name in `alg`.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        named(&SIGNATURE, name)
    }

    /// The hash whose digest is signed.
    pub(crate) fn hash(self) -> Hash {
        match self {
            Self::Es256 | Self::Es256k => Hash::Sha256,
            Self::Es384 => Hash::Sha384,
            Self::Es512 => Hash::Sha512,
            Self::Hs(hash) | Self::Ps(hash) | Self::Rs(hash) => hash,
        }
    }
}

/// The hashes that signatures are made over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// The length of its digests in bytes.
    pub(crate) fn digest_bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    pub(super) fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }

    pub(super) fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha384 => hmac::HMAC_SHA384,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }
}

fn name_of<T: PartialEq>(table: &[(&'static str, T)], wanted: &T) -> &'static str {
    table.iter().find(|(_, algorithm)| algorithm == wanted).map_or("", |(name, _)| name)
}

fn named<T: Copy>(table: &[(&'static str, T)], wanted: &str) -> Option<T> {
    table.iter().find(|(name, _)| *name == wanted).map(|(_, algorithm)| *algorithm)
}

pub(super) const ENCRYPTION: [(&str, EncryptionAlgorithm); 20] = [
    ("A128CBC", EncryptionAlgorithm::AesCbc(AesSize::Aes128)),
    ("A128CBCPAD", EncryptionAlgorithm::AesCbcPad(AesSize::Aes128)),
    ("A128GCM", EncryptionAlgorithm::AesGcm(AesSize::Aes128)),
    ("A128KW", EncryptionAlgorithm::AesKw(AesSize::Aes128)),
    ("A128KWPAD", EncryptionAlgorithm::AesKwPad(AesSize::Aes128)),
    ("A192CBC", EncryptionAlgorithm::AesCbc(AesSize::Aes192)),
    ("A192CBCPAD", EncryptionAlgorithm::AesCbcPad(AesSize::Aes192)),
    ("A192GCM", EncryptionAlgorithm::AesGcm(AesSize::Aes192)),
    ("A192KW", EncryptionAlgorithm::AesKw(AesSize::Aes192)),
    ("A192KWPAD", EncryptionAlgorithm::AesKwPad(AesSize::Aes192)),
    ("A256CBC", EncryptionAlgorithm::AesCbc(AesSize::Aes256)),
    ("A256CBCPAD", EncryptionAlgorithm::AesCbcPad(AesSize::Aes256)),
    ("A256GCM", EncryptionAlgorithm::AesGcm(AesSize::Aes256)),
    ("A256KW", EncryptionAlgorithm::AesKw(AesSize::Aes256)),
    ("A256KWPAD", EncryptionAlgorithm::AesKwPad(AesSize::Aes256)),
    ("CKM_AES_KEY_WRAP", EncryptionAlgorithm::CkmAesKeyWrap),
    ("CKM_AES_KEY_WRAP_PAD", EncryptionAlgorithm::CkmAesKeyWrapPad),
    ("RSA-OAEP", EncryptionAlgorithm::Rsa(RsaPadding::Oaep)),
    ("RSA-OAEP-256", EncryptionAlgorithm::Rsa(RsaPadding::Oaep256)),
    ("RSA1_5", EncryptionAlgorithm::Rsa(RsaPadding::Pkcs1)),
];

pub(super) const SIGNATURE: [(&str, SignatureAlgorithm); 13] = [
    ("ES256", SignatureAlgorithm::Es256),
    ("ES256K", SignatureAlgorithm::Es256k),
    ("ES384", SignatureAlgorithm::Es384),
    ("ES512", SignatureAlgorithm::Es512),
    ("HS256", SignatureAlgorithm::Hs(Hash::Sha256)),
    ("HS384", SignatureAlgorithm::Hs(Hash::Sha384)),
    ("HS512", SignatureAlgorithm::Hs(Hash::Sha512)),
    ("PS256", SignatureAlgorithm::Ps(Hash::Sha256)),
    ("PS384", SignatureAlgorithm::Ps(Hash::Sha384)),
    ("PS512", SignatureAlgorithm::Ps(Hash::Sha512)),
    ("RS256", SignatureAlgorithm::Rs(Hash::Sha256)),
    ("RS384", SignatureAlgorithm::Rs(Hash::Sha384)),
    ("RS512", SignatureAlgorithm::Rs(Hash::Sha512)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_algorithms_are_one_to_one() {
        for (name, algorithm) in ENCRYPTION {
            assert_eq!((EncryptionAlgorithm::parse(name), algorithm.as_str()), (Some(algorithm), name));
            assert!(algorithm.wraps() || algorithm.encrypts(), "{name}");
        }
        for (name, algorithm) in SIGNATURE {
            assert_eq!((SignatureAlgorithm::parse(name), algorithm.as_str()), (Some(algorithm), name));
        }
        assert_eq!(EncryptionAlgorithm::parse("rsa1_5"), None);
        assert_eq!(SignatureAlgorithm::parse("RSNULL"), None);
    }
}
