//! The material of a key, whatever its kind, and what it does with which algorithm.

use std::fmt;

use aws_lc_rs::digest::Digest;
use zeroize::Zeroizing;

use crate::vault::VaultError;
use crate::vault::material::{CryptoError, EcKey, EncryptionAlgorithm, KeyShape, OctKey, RsaKey, SignatureAlgorithm};

/// The secret of one version of a key. It leaves only through [`KeyMaterial::expose`].
#[derive(Debug)]
pub(crate) enum KeyMaterial {
    Ec(EcKey),
    Oct(OctKey),
    Rsa(RsaKey),
}

impl KeyMaterial {
    /// Makes a key. Takes a second or more for the larger RSA keys: not for an async thread.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Generate`] or [`CryptoError::Random`] if the library fails.
    pub(crate) fn generate(shape: KeyShape) -> Result<Self, CryptoError> {
        Ok(match shape {
            KeyShape::Ec(curve) => Self::Ec(EcKey::generate(curve)?),
            KeyShape::Oct(size) => Self::Oct(OctKey::generate(size)?),
            KeyShape::Rsa(size) => Self::Rsa(RsaKey::generate(size)?),
        })
    }

    /// The secret, for storage: PKCS#8 DER, or the bytes of a symmetric key.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Encode`] if the library fails.
    pub(crate) fn expose(&self) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        match self {
            Self::Ec(key) => key.expose(),
            Self::Oct(key) => Ok(Zeroizing::new(key.expose().to_vec())),
            Self::Rsa(key) => Ok(Zeroizing::new(key.expose().to_vec())),
        }
    }

    /// Family and size.
    pub(crate) fn shape(&self) -> KeyShape {
        match self {
            Self::Ec(key) => KeyShape::Ec(key.curve()),
            Self::Oct(key) => KeyShape::Oct(key.size()),
            Self::Rsa(key) => KeyShape::Rsa(key.size()),
        }
    }

    /// Encrypts or wraps.
    ///
    /// # Errors
    ///
    /// [`VaultError::AlgorithmMismatch`], and what the input's length or `iv` gives cause for.
    pub(crate) fn encrypt(
        &self,
        algorithm: EncryptionAlgorithm,
        plaintext: &[u8],
        iv: Option<&[u8]>,
        aad: &[u8],
    ) -> Result<Sealed, VaultError> {
        match (self, algorithm) {
            (Self::Rsa(key), EncryptionAlgorithm::Rsa(padding)) => Ok(Sealed::plain(key.encrypt(padding, plaintext)?)),
            (Self::Oct(key), algorithm) => key.encrypt(algorithm, plaintext, iv, aad),
            _ => Err(self.mismatch(algorithm.as_str())),
        }
    }

    /// Decrypts or unwraps.
    ///
    /// # Errors
    ///
    /// [`VaultError::AlgorithmMismatch`], [`VaultError::Decryption`].
    pub(crate) fn decrypt(
        &self,
        algorithm: EncryptionAlgorithm,
        input: &Opening<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        match (self, algorithm) {
            (Self::Rsa(key), EncryptionAlgorithm::Rsa(padding)) => key.decrypt(padding, input.value),
            (Self::Oct(key), algorithm) => key.decrypt(algorithm, input),
            _ => Err(self.mismatch(algorithm.as_str())),
        }
    }

    /// Signs a digest; with HMAC, the message itself.
    ///
    /// # Errors
    ///
    /// [`VaultError::AlgorithmMismatch`], [`VaultError::DigestLength`], [`VaultError::Crypto`] if the library fails.
    pub(crate) fn sign(&self, algorithm: SignatureAlgorithm, digest: &[u8]) -> Result<Vec<u8>, VaultError> {
        let signed = match (self, algorithm) {
            (Self::Oct(key), SignatureAlgorithm::Hs(hash)) => return Ok(key.mac(hash, digest)),
            (Self::Ec(key), algorithm) if key.curve().signature_algorithm() == algorithm => {
                key.sign(&imported(algorithm, digest)?)
            }
            (Self::Rsa(key), SignatureAlgorithm::Ps(hash)) => key.sign_pss(hash, &imported(algorithm, digest)?),
            (Self::Rsa(key), SignatureAlgorithm::Rs(hash)) => key.sign_pkcs1(hash, &imported(algorithm, digest)?),
            _ => return Err(self.mismatch(algorithm.as_str())),
        };
        signed.map_err(VaultError::Crypto)
    }

    /// Whether `signature` is one of this key over `digest`; with HMAC, over the message itself.
    ///
    /// # Errors
    ///
    /// As [`KeyMaterial::sign`]; a signature of the wrong length is no error, it is not one of this key.
    pub(crate) fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        digest: &[u8],
        signature: &[u8],
    ) -> Result<bool, VaultError> {
        match (self, algorithm) {
            (Self::Oct(key), SignatureAlgorithm::Hs(hash)) => Ok(key.verify(hash, digest, signature)),
            (Self::Ec(key), algorithm) if key.curve().signature_algorithm() == algorithm => {
                Ok(key.verify(&imported(algorithm, digest)?, signature))
            }
            (Self::Rsa(key), SignatureAlgorithm::Ps(hash)) => {
                key.verify_pss(hash, &imported(algorithm, digest)?, signature).map_err(VaultError::Crypto)
            }
            (Self::Rsa(key), SignatureAlgorithm::Rs(hash)) => {
                key.verify_pkcs1(hash, &imported(algorithm, digest)?, signature).map_err(VaultError::Crypto)
            }
            _ => Err(self.mismatch(algorithm.as_str())),
        }
    }

    fn mismatch(&self, algorithm: &'static str) -> VaultError {
        let key = match self {
            Self::Ec(key) => key.curve().as_str(),
            Self::Oct(_) => "oct",
            Self::Rsa(_) => "RSA",
        };
        VaultError::AlgorithmMismatch { algorithm, key }
    }
}

/// What an encryption gives.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Sealed {
    pub(crate) value: Vec<u8>,
    pub(crate) iv: Option<Vec<u8>>,
    pub(crate) tag: Option<Vec<u8>>,
}

impl Sealed {
    pub(super) fn plain(value: Vec<u8>) -> Self {
        Self { value, iv: None, tag: None }
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed").field("bytes", &self.value.len()).finish_non_exhaustive()
    }
}

/// What a decryption takes.
#[derive(Clone, Copy)]
pub(crate) struct Opening<'a> {
    pub(crate) value: &'a [u8],
    pub(crate) iv: Option<&'a [u8]>,
    pub(crate) tag: Option<&'a [u8]>,
    pub(crate) aad: &'a [u8],
}

fn imported(algorithm: SignatureAlgorithm, digest: &[u8]) -> Result<Digest, VaultError> {
    Digest::import_less_safe(digest, algorithm.hash().digest()).map_err(|_| VaultError::DigestLength {
        algorithm: algorithm.as_str(),
        expected_bytes: algorithm.hash().digest_bytes(),
        actual_bytes: digest.len(),
    })
}
