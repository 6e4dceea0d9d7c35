//! The current seed of a provider, as writes use it.

use std::sync::Arc;

use jiff::Timestamp;
use thiserror::Error;

use crate::annotations::Annotations;
use crate::cache::CacheKey;
use crate::dek_source::{DekSource, EncryptedDekSource, SealBodyError, SourceType};
use crate::key_id::KeyId;
use crate::object;
use crate::random::{Random, RandomError};
use crate::upstream::{quote, rfc3339};

/// A seed that the plugin has encrypted, with all that is stored beside the values it seals.
#[derive(Debug)]
pub struct Writer {
    pub(super) source: Arc<DekSource>,
    pub(super) key_id: KeyId,
    pub(super) encrypted_dek_source: EncryptedDekSource,
    pub(super) annotations: Annotations,
    pub(super) cache_key: CacheKey,
    pub(super) uid: String,
    pub(super) prefix: String,
}

impl Writer {
    /// Seals `plain` for the full etcd key `etcd_key` into a stored value, prefix included.
    ///
    /// # Errors
    ///
    /// [`SealError::Random`] without random bytes, [`SealError::Encrypt`] for a value that AES-GCM cannot take and for
    /// an empty etcd key (upstream panics there).
    pub fn seal(&self, etcd_key: &str, plain: &[u8], random: &dyn Random) -> Result<Vec<u8>, SealError> {
        let DekSource::Seed(seed) = self.source.as_ref() else { return Err(SealError::Encrypt) };
        if etcd_key.is_empty() {
            return Err(SealError::Encrypt);
        }
        let body = seed.seal(plain, etcd_key.as_bytes(), random).map_err(|error| match error {
            SealBodyError::Encrypt => SealError::Encrypt,
            SealBodyError::Random(error) => SealError::Random(error),
        })?;
        let object = object::encode(
            &body,
            &self.key_id,
            &self.encrypted_dek_source,
            &self.annotations,
            SourceType::HkdfSha256XnonceAesGcmSeed,
        );
        Ok([self.prefix.as_bytes(), &object].concat())
    }

    /// The key that encrypted the seed.
    pub fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    /// The request id of the Encrypt call that made this seed.
    pub fn uid(&self) -> &str {
        &self.uid
    }
}

/// A value was not sealed. `Display` is upstream's text where upstream has one.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum SealError {
    /// AES-GCM refused the value, or the etcd key is empty.
    #[error("encrypt the value: it is too long for AES-GCM, or its etcd key is empty")]
    Encrypt,
    /// The plugin has not been heard of for three minutes: it could have moved to another key.
    #[error("encryptedDEKSource with keyID hash {} expired at {} (current time is {})",
        quote(&.key_id.hash()), rfc3339(*.expired), rfc3339(*.now))]
    Expired {
        /// The key of the seed that may no longer write.
        key_id: KeyId,
        /// Since when.
        expired: Timestamp,
        /// When the write was tried.
        now: Timestamp,
    },
    /// The plugin has never been healthy since this server started.
    #[error("got unexpected nil transformer")]
    NoSeed,
    /// No random bytes.
    #[error("failed to generate info for KDF: {0}")]
    Random(RandomError),
}
