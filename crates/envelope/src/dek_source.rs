//! What data keys come from: a seed from which every write derives its own key, or (as 1.27 and 1.28 wrote) one key
//! for many writes. In memory as [`DekSource`], stored as [`EncryptedDekSource`].
//!
//! Imitates kube-apiserver's `value/encrypt/aes` (`extendedNonceGCM` and the plain GCM transformer). A seed gives
//! `DEK = HKDF-Expand-SHA256(seed, info)`, without extract and without salt, with 32 fresh random bytes of info for
//! every value; the body of a value is `info || nonce || ciphertext || tag`, or without info where the source is a key.
//!
//! Upstream keeps an inner cache of derived keys per seed. It is left out: deriving a key is one HMAC over 33 bytes and
//! an AES key schedule, about a microsecond, and a cache of plaintext keys would be one more place that holds them.

use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::{digest, hkdf};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::gcm::{self, BodyError};
use crate::material::KeyMaterial;
use crate::random::{self, Random, RandomError};

/// How a value's data key comes out of its DEK source; the numbers are those on the wire.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SourceType {
    /// 0: the source is the AES-GCM key itself. Read, never written; always stale.
    AesGcmKey,
    /// 1: the source is a seed, expanded with HKDF-SHA256 to one key per value.
    HkdfSha256XnonceAesGcmSeed,
}

impl SourceType {
    /// The number on the wire.
    pub fn number(self) -> u8 {
        match self {
            Self::AesGcmKey => 0,
            Self::HkdfSha256XnonceAesGcmSeed => 1,
        }
    }

    pub(crate) fn from_number(number: i32) -> Option<Self> {
        match number {
            0 => Some(Self::AesGcmKey),
            1 => Some(Self::HkdfSha256XnonceAesGcmSeed),
            _ => None,
        }
    }
}

/// A DEK source as the KMS plugin encrypted it, within its limits: 1 to 1024 bytes, stored verbatim.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EncryptedDekSource(Vec<u8>);

impl EncryptedDekSource {
    /// Longest encrypted DEK source, in bytes.
    pub const MAX_BYTES: usize = 1024;

    /// Checks the ciphertext as it came from a plugin or from storage.
    ///
    /// # Errors
    ///
    /// [`EncryptedDekSourceError`] if it is empty or longer than [`Self::MAX_BYTES`].
    pub fn new(ciphertext: Vec<u8>) -> Result<Self, EncryptedDekSourceError> {
        match ciphertext.len() {
            0 => Err(EncryptedDekSourceError::Empty),
            bytes if bytes > Self::MAX_BYTES => Err(EncryptedDekSourceError::TooLong { bytes }),
            _ => Ok(Self(ciphertext)),
        }
    }

    /// The ciphertext, as the plugin gave it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// An encrypted DEK source outside its limits.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum EncryptedDekSourceError {
    /// It has no bytes.
    #[error("encrypted DEK source is empty")]
    Empty,
    /// It has more than [`EncryptedDekSource::MAX_BYTES`] bytes.
    #[error("encrypted DEK source is {bytes} bytes, which exceeds the max size of {}", EncryptedDekSource::MAX_BYTES)]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

/// A decrypted DEK source, able to open values. Only [`Seed`] seals; a key read from storage never does, because its
/// nonce counter is unknown.
#[derive(Debug)]
pub(crate) enum DekSource {
    Key(LessSafeKey),
    Seed(Seed),
}

impl DekSource {
    /// Makes a source out of what the plugin decrypted.
    pub(crate) fn new(source_type: SourceType, material: KeyMaterial) -> Result<Self, DekSourceError> {
        let bytes = material.len();
        match source_type {
            SourceType::AesGcmKey => {
                gcm::key(material.expose()).map(Self::Key).ok_or(DekSourceError::KeyLength { bytes })
            }
            SourceType::HkdfSha256XnonceAesGcmSeed => Seed::new(material).map(Self::Seed),
        }
    }

    /// Opens the body of a value; `aad` is the full etcd key.
    pub(crate) fn open(&self, body: &[u8], aad: &[u8]) -> Result<Vec<u8>, BodyError> {
        match self {
            Self::Key(key) => gcm::open(key, body, aad),
            Self::Seed(seed) => {
                let (info, body) = body.split_first_chunk::<INFO_BYTES>().ok_or(BodyError::TooShort)?;
                gcm::open(&seed.data_key(info).ok_or(BodyError::Authentication)?, body, aad)
            }
        }
    }
}

/// A seed of at least 32 bytes.
#[derive(Debug)]
pub(crate) struct Seed(KeyMaterial);

impl Seed {
    pub(crate) fn new(material: KeyMaterial) -> Result<Self, DekSourceError> {
        match material.len() {
            bytes if bytes < SEED_BYTES => Err(DekSourceError::SeedLength { bytes }),
            _ => Ok(Self(material)),
        }
    }

    pub(crate) fn generate(random: &dyn Random) -> Result<Self, RandomError> {
        let mut seed = vec![0; SEED_BYTES];
        random.fill(&mut seed)?;
        Ok(Self(KeyMaterial::new(seed)))
    }

    pub(crate) fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    /// Appends `plain`, sealed under a key that is used for nothing else, to `record`; `aad` is the full etcd key.
    pub(crate) fn seal(
        &self,
        plain: &[u8],
        aad: &[u8],
        random: &dyn Random,
        record: &mut Vec<u8>,
    ) -> Result<(), SealBodyError> {
        let info = random::bytes::<INFO_BYTES>(random)?;
        let nonce = random::bytes(random)?;
        let key = self.data_key(&info).ok_or(SealBodyError::Encrypt)?;
        record.extend_from_slice(&info);
        gcm::seal(&key, nonce, plain, aad, record).ok_or(SealBodyError::Encrypt)
    }

    fn data_key(&self, info: &[u8; INFO_BYTES]) -> Option<LessSafeKey> {
        let mut data_key = Zeroizing::new([0; DATA_KEY_BYTES]);
        let hashed;
        // aws-lc-rs takes at most 64 bytes here. HMAC itself hashes a key that is longer than SHA-256's block of 64
        // bytes, so hashing first gives the same data key.
        let prk = if self.0.len() > HMAC_BLOCK_BYTES {
            hashed = digest::digest(&digest::SHA256, self.expose());
            hashed.as_ref()
        } else {
            self.expose()
        };
        hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, prk)
            .expand(&[info], hkdf::HKDF_SHA256)
            .and_then(|expanded| expanded.fill(data_key.as_mut_slice()))
            .ok()?;
        gcm::key(data_key.as_slice())
    }
}

/// What the plugin decrypted cannot be a DEK source of the type the value names.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum DekSourceError {
    /// It is no AES key.
    #[error("crypto/aes: invalid key size {bytes}")]
    KeyLength {
        /// Its length.
        bytes: usize,
    },
    /// It is too short for a seed.
    #[error("invalid seed length {bytes} used for key generation")]
    SeedLength {
        /// Its length; at least 32 are needed.
        bytes: usize,
    },
}

/// A value's body could not be made.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub(crate) enum SealBodyError {
    #[error("encrypt the value: it is longer than AES-GCM allows")]
    Encrypt,
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// Bytes of info in front of the nonce of a value sealed under a seed (`infoSizeExtendedNonceGCM`).
pub(crate) const INFO_BYTES: usize = 32;
/// Bytes that sealing under a seed adds to a value.
pub(crate) const SEALED_OVERHEAD_BYTES: usize = INFO_BYTES + gcm::NONCE_BYTES + gcm::TAG_BYTES;
/// Bytes of a new seed, and the fewest of one that is read (`MinSeedSizeExtendedNonceGCM`).
const SEED_BYTES: usize = 32;
/// Bytes of a derived data key: AES-256.
const DATA_KEY_BYTES: usize = 32;
/// Bytes of SHA-256's block.
const HMAC_BLOCK_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemRandom;

    const AAD: &[u8] = b"/registry/secrets/default/vec1";

    fn seed(bytes: usize) -> DekSource {
        DekSource::new(SourceType::HkdfSha256XnonceAesGcmSeed, KeyMaterial::new(vec![7; bytes])).unwrap()
    }

    #[test]
    fn a_data_key_is_hmac_over_info_and_one() {
        // spec/kms.md section 6: seed 00..1f, info 40..5f.
        let seed: Vec<u8> = (0..32).collect();
        let info: Vec<u8> = (0x40..0x60).collect();
        let hmac = |key: &[u8]| {
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
            aws_lc_rs::hmac::sign(&key, &[info.as_slice(), &[1]].concat())
        };
        assert_eq!(hex::encode(hmac(&seed)), "bbbb40f2c542c2c58846dc609224829eae0a8b9a5d31f500caff2964dc6bf9de");
        for length in [32, 33, 64, 65, 200] {
            let bytes = vec![9; length];
            let key = Seed::new(KeyMaterial::new(bytes.clone())).unwrap();
            let data_key = key.data_key(info.as_slice().try_into().unwrap()).unwrap();
            let mut sealed = Vec::new();
            gcm::seal(&data_key, [0; 12], b"v", b"", &mut sealed).unwrap();
            let by_hmac = gcm::key(hmac(&bytes).as_ref()).unwrap();
            assert_eq!(gcm::open(&by_hmac, &sealed, b""), Ok(b"v".to_vec()), "{length}");
        }
    }

    #[test]
    fn lengths_of_seeds_and_keys_are_checked() {
        let of = |source_type, bytes| {
            DekSource::new(source_type, KeyMaterial::new(vec![0; bytes])).map(drop).map_err(|error| error.to_string())
        };
        for bytes in [32, 33, 64, 65] {
            assert_eq!(of(SourceType::HkdfSha256XnonceAesGcmSeed, bytes), Ok(()));
        }
        for bytes in [0, 16, 31] {
            assert_eq!(
                of(SourceType::HkdfSha256XnonceAesGcmSeed, bytes),
                Err(format!("invalid seed length {bytes} used for key generation"))
            );
        }
        for bytes in [16, 24, 32] {
            assert_eq!(of(SourceType::AesGcmKey, bytes), Ok(()));
        }
        assert_eq!(of(SourceType::AesGcmKey, 33), Err("crypto/aes: invalid key size 33".to_owned()));
    }

    #[test]
    fn short_bodies_are_told_from_wrong_ones() {
        let source = seed(32);
        for bytes in [0, 31, 32, 43] {
            assert_eq!(source.open(&vec![0; bytes], AAD), Err(BodyError::TooShort), "{bytes}");
        }
        for bytes in [44, 59, 60, 100] {
            assert_eq!(source.open(&vec![0; bytes], AAD), Err(BodyError::Authentication), "{bytes}");
        }
        let key = DekSource::new(SourceType::AesGcmKey, KeyMaterial::new(vec![7; 32])).unwrap();
        assert_eq!(key.open(&[0; 11], AAD), Err(BodyError::TooShort));
        assert_eq!(key.open(&[0; 12], AAD), Err(BodyError::Authentication));
    }

    #[test]
    fn two_seals_of_one_plaintext_share_nothing() {
        let DekSource::Seed(seed) = seed(32) else { panic!("a seed") };
        let (mut one, mut two) = (Vec::new(), Vec::new());
        seed.seal(b"v", AAD, &SystemRandom, &mut one).unwrap();
        seed.seal(b"v", AAD, &SystemRandom, &mut two).unwrap();
        assert_eq!(one.len(), 61);
        assert_ne!(one[..32], two[..32]);
        assert_ne!(one[32..44], two[32..44]);
    }
}
