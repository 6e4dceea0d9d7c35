//! The current seed of a provider, as writes use it.

use std::sync::Arc;

use jiff::Timestamp;
use thiserror::Error;

use crate::annotations::Annotations;
use crate::cache::CacheKey;
use crate::dek_source::{DekSource, EncryptedDekSource, SEALED_OVERHEAD_BYTES, SealBodyError, SourceType};
use crate::key_id::KeyId;
use crate::kms_v1::KmsV1Error;
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
        let record = object::Record {
            key_id: &self.key_id,
            encrypted_dek_source: &self.encrypted_dek_source,
            annotations: &self.annotations,
            source_type: SourceType::HkdfSha256XnonceAesGcmSeed,
        };
        record.write(&self.prefix, plain.len() + SEALED_OVERHEAD_BYTES, |stored| {
            seed.seal(plain, etcd_key.as_bytes(), random, stored).map_err(|error| match error {
                SealBodyError::Encrypt => SealError::Encrypt,
                SealBodyError::Random(error) => SealError::Random(error),
            })
        })
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
    /// No random bytes for a data key of KMS v1.
    #[error("{0}")]
    DataKey(RandomError),
    /// A KMS v1 plugin encrypted the data key to more than a stored value has room for.
    #[error("cryptobyte: pending child length {bytes} exceeds 2-byte length prefix")]
    DekLength {
        /// To how much.
        bytes: usize,
    },
    /// No random bytes for an initialisation vector or a nonce of secretbox.
    #[error("unable to read sufficient random bytes")]
    Entropy,
    /// The KMS v1 plugin did not encrypt the data key.
    #[error("{0}")]
    KmsV1(KmsV1Error),
    /// No random bytes for a nonce of AES-GCM.
    #[error("failed to write nonce for AES-GCM: {0}")]
    Nonce(RandomError),
    /// No random bytes.
    #[error("failed to generate info for KDF: {0}")]
    Random(RandomError),
}
