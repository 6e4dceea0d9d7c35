//! The keys of one provider: the first writes, any may read, each behind its own name.
//!
//! Imitates `aesPrefixTransformer` and `secretboxPrefixTransformer` of kube-apiserver's `encryptionconfig/config.go`.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::LessSafeKey;

use super::cipher::KeyCipher;
use super::{cbc, secretbox};
use crate::gcm::{self, BodyError};
use crate::kms::{OpenError, Opened, SealError};
use crate::material::KeyMaterial;
use crate::random::{self, Random};

/// A provider `aescbc`, `aesgcm` or `secretbox` with its keys. Clones share them. Never empty.
#[derive(Clone, Debug)]
pub struct KeyList {
    cipher: KeyCipher,
    keys: Arc<[NamedKey]>,
}

impl KeyList {
    /// `None` without keys, or if one is not as long as the cipher wants it.
    pub fn new(cipher: KeyCipher, keys: impl IntoIterator<Item = (String, KeyMaterial)>) -> Option<Self> {
        let keys: Option<Arc<[NamedKey]>> =
            keys.into_iter().map(|(name, key)| NamedKey::new(cipher, name, key)).collect();
        Some(Self { cipher, keys: keys.filter(|keys| !keys.is_empty())? })
    }

    /// How it seals.
    pub fn cipher(&self) -> KeyCipher {
        self.cipher
    }

    /// The key that writes.
    pub fn writer(&self) -> Option<&NamedKey> {
        self.keys.first()
    }

    /// Seals `plain` for the full etcd key `etcd_key` into a stored value, prefixes included.
    ///
    /// # Errors
    ///
    /// [`SealError::Nonce`] or [`SealError::Entropy`] without random bytes, [`SealError::Encrypt`] for a value that is
    /// longer than the cipher allows.
    pub fn seal(&self, etcd_key: &str, plain: &[u8], random: &dyn Random) -> Result<Vec<u8>, SealError> {
        let writer = self.writer().ok_or(SealError::Encrypt)?;
        let prefix = self.cipher.prefix();
        let mut stored =
            Vec::with_capacity(prefix.len() + writer.prefix.len() + plain.len() + ROOM_FOR_NONCE_AND_PADDING);
        stored.extend_from_slice(prefix.as_bytes());
        stored.extend_from_slice(writer.prefix.as_bytes());
        writer.key.seal(etcd_key, plain, random, &mut stored)?;
        Ok(stored)
    }

    /// Opens what stands behind the provider's prefix, by the first key that has the name in it and opens it. A key
    /// other than the first makes the value stale. `tried` hears of every key that had the name, by its prefix, and of
    /// `unknown` if none had.
    ///
    /// # Errors
    ///
    /// [`OpenError::Body`] if no key opens it (several keys may have one name: then [`OpenError::Several`]),
    /// [`OpenError::NoMatchingKey`] if none has the name.
    pub fn open(
        &self,
        etcd_key: &str,
        body: &[u8],
        mut tried: impl FnMut(&str, Option<&OpenError>),
    ) -> Result<Opened, OpenError> {
        let mut errors = Vec::new();
        for (position, key) in self.keys.iter().enumerate() {
            let Some(sealed) = body.strip_prefix(key.prefix.as_bytes()) else { continue };
            match key.key.open(etcd_key, sealed).map_err(OpenError::Body) {
                Ok(plain) => {
                    tried(&key.prefix, None);
                    return Ok(Opened { plain, stale: position != 0 });
                }
                Err(error) => {
                    tried(&key.prefix, Some(&error));
                    errors.push(error);
                }
            }
        }
        Err(OpenError::of_all(errors).unwrap_or_else(|| {
            let error = OpenError::NoMatchingKey(self.cipher);
            tried("unknown", Some(&error));
            error
        }))
    }
}

/// A key and its name.
pub struct NamedKey {
    /// The name and a colon.
    prefix: String,
    key: Key,
}

impl NamedKey {
    fn new(cipher: KeyCipher, name: String, key: KeyMaterial) -> Option<Self> {
        if !cipher.key_bytes().contains(&key.len()) {
            return None;
        }
        let key = match cipher {
            KeyCipher::AesCbc => Key::AesCbc(key),
            KeyCipher::AesGcm => Key::AesGcm(gcm::key(key.expose())?),
            KeyCipher::Secretbox => Key::Secretbox(key),
        };
        Some(Self { prefix: name + ":", key })
    }

    /// What follows the provider's prefix: the name and a colon.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl fmt::Debug for NamedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedKey").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

enum Key {
    AesCbc(KeyMaterial),
    AesGcm(LessSafeKey),
    Secretbox(KeyMaterial),
}

impl Key {
    fn seal(&self, etcd_key: &str, plain: &[u8], random: &dyn Random, stored: &mut Vec<u8>) -> Result<(), SealError> {
        match self {
            Self::AesCbc(key) => {
                let iv = random::bytes(random).map_err(|_| SealError::Entropy)?;
                cbc::seal(key.expose(), iv, plain, stored)
            }
            Self::AesGcm(key) => {
                let nonce = random::bytes(random).map_err(SealError::Nonce)?;
                gcm::seal(key, nonce, plain, etcd_key.as_bytes(), stored)
            }
            Self::Secretbox(key) => {
                let nonce = random::bytes(random).map_err(|_| SealError::Entropy)?;
                secretbox::seal(key.expose(), nonce, plain, stored)
            }
        }
        .ok_or(SealError::Encrypt)
    }

    fn open(&self, etcd_key: &str, sealed: &[u8]) -> Result<Vec<u8>, BodyError> {
        match self {
            Self::AesCbc(key) => cbc::open(key.expose(), sealed),
            Self::AesGcm(key) => gcm::open(key, sealed, etcd_key.as_bytes()),
            Self::Secretbox(key) => secretbox::open(key.expose(), sealed),
        }
    }
}

/// The most that any of the three adds to a value.
const ROOM_FOR_NONCE_AND_PADDING: usize = 40;
