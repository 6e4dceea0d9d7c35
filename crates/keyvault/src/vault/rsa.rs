//! RSA key material and the three ways a vault encrypts with it, by aws-lc-rs.
//!
//! `RSA1_5` is RSAES-PKCS1-v1_5, `RSA-OAEP` is OAEP with SHA-1 and MGF1-SHA-1, `RSA-OAEP-256` is OAEP with SHA-256 in both
//! places (RFC 8017, RFC 7518 section 4.1). For RSA, Key Vault's wrapKey and unwrapKey are the same computation as encrypt
//! and decrypt.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{
    KeyPair, KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey,
    OaepPublicEncryptingKey, Pkcs1PrivateDecryptingKey, Pkcs1PublicEncryptingKey, PrivateDecryptingKey,
};
use aws_lc_rs::signature::KeyPair as _;
use zeroize::Zeroizing;

use crate::vault::VaultError;

/// An RSA key pair. The private half leaves only through [`RsaKey::expose`].
pub(crate) struct RsaKey {
    private: PrivateDecryptingKey,
    oaep_private: OaepPrivateDecryptingKey,
    oaep_public: OaepPublicEncryptingKey,
    pkcs1_private: Pkcs1PrivateDecryptingKey,
    pkcs1_public: Pkcs1PublicEncryptingKey,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
    size: RsaSize,
}

impl RsaKey {
    /// Makes a key. Takes tens of milliseconds for 2048 bits and a second or more for 4096: not for an async thread.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Generate`] if the random source or the library fails.
    pub(crate) fn generate(size: RsaSize) -> Result<Self, CryptoError> {
        let key_size = match size {
            RsaSize::Rsa2048 => KeySize::Rsa2048,
            RsaSize::Rsa3072 => KeySize::Rsa3072,
            RsaSize::Rsa4096 => KeySize::Rsa4096,
        };
        Self::from_private(PrivateDecryptingKey::generate(key_size).map_err(|_| CryptoError::Generate)?)
    }

    /// Reads a key from PKCS#8 DER.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Decode`] if it is not an RSA key of a size a vault has.
    pub(crate) fn from_pkcs8(der: &[u8]) -> Result<Self, CryptoError> {
        Self::from_private(PrivateDecryptingKey::from_pkcs8(der).map_err(|_| CryptoError::Decode)?)
    }

    fn from_private(private: PrivateDecryptingKey) -> Result<Self, CryptoError> {
        let decode = |_| CryptoError::Decode;
        let size = RsaSize::from_bits(private.key_size_bits()).ok_or(CryptoError::Decode)?;
        let der: Pkcs8V1Der<'_> = private.as_der().map_err(decode)?;
        let pair = KeyPair::from_pkcs8(der.as_ref()).map_err(|_| CryptoError::Decode)?;
        let public = pair.public_key();
        Ok(Self {
            oaep_private: OaepPrivateDecryptingKey::new(private.clone()).map_err(decode)?,
            oaep_public: OaepPublicEncryptingKey::new(private.public_key()).map_err(decode)?,
            pkcs1_private: Pkcs1PrivateDecryptingKey::new(private.clone()).map_err(decode)?,
            pkcs1_public: Pkcs1PublicEncryptingKey::new(private.public_key()).map_err(decode)?,
            modulus: public.modulus().big_endian_without_leading_zero().to_vec(),
            exponent: public.exponent().big_endian_without_leading_zero().to_vec(),
            private,
            size,
        })
    }

    /// The private key as PKCS#8 DER, for storage.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Encode`] if the library fails.
    pub(crate) fn expose(&self) -> Result<Pkcs8V1Der<'static>, CryptoError> {
        self.private.as_der().map_err(|_| CryptoError::Encode)
    }

    /// The modulus, big-endian, without leading zeros: `n` of the JWK.
    pub(crate) fn modulus(&self) -> &[u8] {
        &self.modulus
    }

    /// The public exponent, big-endian, without leading zeros: `e` of the JWK.
    pub(crate) fn exponent(&self) -> &[u8] {
        &self.exponent
    }

    /// The size of the modulus.
    pub(crate) fn size(&self) -> RsaSize {
        self.size
    }

    /// Encrypts with the public half.
    ///
    /// # Errors
    ///
    /// [`VaultError::PlaintextTooLong`] if `plaintext` does not fit under `algorithm`.
    pub(crate) fn encrypt(&self, algorithm: Algorithm, plaintext: &[u8]) -> Result<Vec<u8>, VaultError> {
        let limit_bytes = match algorithm.oaep() {
            Some(oaep) => self.oaep_public.max_plaintext_size(oaep),
            None => self.pkcs1_public.max_plaintext_size(),
        };
        let too_long = VaultError::PlaintextTooLong { limit_bytes, actual_bytes: plaintext.len() };
        if plaintext.len() > limit_bytes {
            return Err(too_long);
        }
        let mut block = vec![0; self.size.bytes()];
        let written = match algorithm.oaep() {
            Some(oaep) => self.oaep_public.encrypt(oaep, plaintext, &mut block, None),
            None => self.pkcs1_public.encrypt(plaintext, &mut block),
        };
        // The length was checked and the block is as long as the modulus: nothing is left to fail but the library.
        let length = written.map_err(|_| too_long)?.len();
        block.truncate(length);
        Ok(block)
    }

    /// Opens with the private half.
    ///
    /// # Errors
    ///
    /// [`VaultError::Decryption`], whatever is wrong with `ciphertext`.
    pub(crate) fn decrypt(&self, algorithm: Algorithm, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let mut block = Zeroizing::new(vec![0; self.size.bytes()]);
        let read = match algorithm.oaep() {
            Some(oaep) => self.oaep_private.decrypt(oaep, ciphertext, &mut block, None),
            None => self.pkcs1_private.decrypt(ciphertext, &mut block),
        };
        let length = read.map_err(|_| VaultError::Decryption)?.len();
        block.truncate(length);
        Ok(block)
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RsaKey").field("size", &self.size).finish_non_exhaustive()
    }
}

/// How to encrypt or wrap: the RSA part of `JsonWebKeyEncryptionAlgorithm`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Algorithm {
    Rsa15,
    RsaOaep,
    RsaOaep256,
}

impl Algorithm {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Rsa15, Self::RsaOaep, Self::RsaOaep256];

    /// The name in `alg`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Rsa15 => "RSA1_5",
            Self::RsaOaep => "RSA-OAEP",
            Self::RsaOaep256 => "RSA-OAEP-256",
        }
    }

    /// The algorithm with this name in `alg`.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    fn oaep(self) -> Option<&'static OaepAlgorithm> {
        match self {
            Self::Rsa15 => None,
            Self::RsaOaep => Some(&OAEP_SHA1_MGF1SHA1),
            Self::RsaOaep256 => Some(&OAEP_SHA256_MGF1SHA256),
        }
    }
}

/// The sizes of an RSA key that a vault makes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RsaSize {
    Rsa2048,
    Rsa3072,
    Rsa4096,
}

impl RsaSize {
    /// The size of this many bits, if a vault has it.
    pub(crate) fn from_bits(bits: usize) -> Option<Self> {
        match bits {
            2048 => Some(Self::Rsa2048),
            3072 => Some(Self::Rsa3072),
            4096 => Some(Self::Rsa4096),
            _ => None,
        }
    }

    /// The length of the modulus, and so of a ciphertext, in bytes.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::Rsa2048 => 256,
            Self::Rsa3072 => 384,
            Self::Rsa4096 => 512,
        }
    }
}

/// The cryptographic library failed; no fault of the caller.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum CryptoError {
    /// Stored bytes are not a key of this vault.
    #[error("read an RSA key from PKCS#8")]
    Decode,
    /// The key could not be written out.
    #[error("write an RSA key as PKCS#8")]
    Encode,
    /// No key could be made.
    #[error("generate an RSA key")]
    Generate,
    /// The system's random source failed.
    #[error("draw random bytes")]
    Random,
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    static KEYS: LazyLock<Vec<RsaKey>> = LazyLock::new(|| {
        let sizes = [RsaSize::Rsa2048, RsaSize::Rsa3072, RsaSize::Rsa4096];
        sizes.map(|size| RsaKey::generate(size).unwrap()).into()
    });

    #[test]
    fn limits_are_those_of_the_algorithms() {
        for key in &*KEYS {
            let modulus_bytes = key.size().bytes();
            assert_eq!((key.modulus().len(), key.exponent()), (modulus_bytes, [1, 0, 1].as_slice()));
            for (algorithm, overhead) in [(Algorithm::Rsa15, 11), (Algorithm::RsaOaep, 42), (Algorithm::RsaOaep256, 66)]
            {
                let limit_bytes = modulus_bytes - overhead;
                for length in [0, 1, 32, limit_bytes] {
                    let plain = vec![0xa5; length];
                    let sealed = key.encrypt(algorithm, &plain).unwrap();
                    assert_eq!(sealed.len(), modulus_bytes);
                    assert_eq!(*key.decrypt(algorithm, &sealed).unwrap(), plain);
                }
                let too_long = VaultError::PlaintextTooLong { limit_bytes, actual_bytes: limit_bytes + 1 };
                assert_eq!(key.encrypt(algorithm, &vec![0; limit_bytes + 1]), Err(too_long));
            }
        }
    }

    #[test]
    fn a_ciphertext_opens_under_its_own_key_and_algorithm_only() {
        let [key, other, _] = &KEYS[..] else { panic!("three keys") };
        let sealed = key.encrypt(Algorithm::RsaOaep256, b"seed").unwrap();
        let refused = Err(VaultError::Decryption);
        let opened = |key: &RsaKey, algorithm, ciphertext: &[u8]| key.decrypt(algorithm, ciphertext).map(|_| ());
        assert_eq!(opened(other, Algorithm::RsaOaep256, &sealed), refused);
        assert_eq!(opened(key, Algorithm::RsaOaep, &sealed), refused);
        assert_eq!(opened(key, Algorithm::RsaOaep256, &sealed[1..]), refused);
        assert_eq!(opened(key, Algorithm::RsaOaep256, &[]), refused);
        assert_eq!(opened(key, Algorithm::RsaOaep256, &[0xff; 256]), refused);
    }

    #[test]
    fn a_stored_key_is_the_same_key() {
        let key = &KEYS[0];
        let again = RsaKey::from_pkcs8(key.expose().unwrap().as_ref()).unwrap();
        let sealed = key.encrypt(Algorithm::Rsa15, b"seed").unwrap();
        assert_eq!(*again.decrypt(Algorithm::Rsa15, &sealed).unwrap(), b"seed");
        assert_eq!(RsaKey::from_pkcs8(b"not a key").map(|_| ()), Err(CryptoError::Decode));
    }

    #[test]
    fn a_private_key_is_never_shown() {
        let key = &KEYS[0];
        let shown = format!("{key:?} {key:#?}");
        assert!(shown.starts_with("RsaKey { size: Rsa2048, .. }"), "{shown}");
        assert!(!shown.contains('['), "{shown}");
    }

    proptest! {
        #[test]
        fn what_is_encrypted_decrypts(
            key in 0_usize..3,
            algorithm in prop::sample::select(Algorithm::ALL.to_vec()),
            plain in prop::collection::vec(any::<u8>(), 0..=190),
            flip in any::<prop::sample::Index>(),
        ) {
            let key = &KEYS[key];
            let mut sealed = key.encrypt(algorithm, &plain).unwrap();
            prop_assert_eq!(&*key.decrypt(algorithm, &sealed).unwrap(), &plain);
            sealed[flip.index(plain.len() + 1)] ^= 1;
            // RSA1_5 has no integrity of its own: damage may, with a small chance, open as something else.
            if let Ok(opened) = key.decrypt(algorithm, &sealed) {
                prop_assert!(algorithm == Algorithm::Rsa15 && *opened != plain);
            }
        }

        #[test]
        fn decryption_never_panics(
            algorithm in prop::sample::select(Algorithm::ALL.to_vec()),
            ciphertext in prop::collection::vec(any::<u8>(), 0..=600),
        ) {
            let _ = KEYS[0].decrypt(algorithm, &ciphertext);
        }
    }
}
