//! A provider with its seed and its cache: what reads, writes and health checks go through.
//!
//! Imitates `envelopeTransformer` of kube-apiserver's `kmsv2/envelope.go`.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use super::health::HealthError;
use super::lifecycle::{self, CHECK_INTERVAL, Check, EncryptAnswer, Lifecycle, PendingSeed, StatusAnswer};
use super::writer::{SealError, Writer};
use crate::cache::{CacheKey, DekCache};
use crate::dek_source::{DekSource, DekSourceError, SourceType};
use crate::gcm::BodyError;
use crate::keys::KeyCipher;
use crate::kms_v1::KmsV1Error;
use crate::material::KeyMaterial;
use crate::object::{DecodeError, EncryptedObject};
use crate::provider_name::ProviderName;
use crate::random::{Random, RandomError};
use crate::rpc::RpcError;
use crate::upstream::aggregate;

/// One KMS v2 provider. Nothing in here waits: hold it behind a lock for the length of a call.
#[derive(Debug)]
pub struct Kms {
    lifecycle: Lifecycle,
    cache: DekCache,
}

impl Kms {
    /// A provider that has never been heard of: it neither reads nor writes until a first check has succeeded.
    pub fn new(name: ProviderName) -> Self {
        Self { lifecycle: Lifecycle::new(name), cache: DekCache::default() }
    }

    /// Begins a health check: an outcome that is young enough is told again, otherwise the plugin is asked.
    /// One check at a time: the caller waits for the one under way.
    pub fn check(&self, now: Timestamp) -> Check {
        self.lifecycle.check(now)
    }

    /// Goes on with the plugin's answer to Status.
    pub fn status_answered(
        &mut self,
        answer: Result<StatusAnswer, RpcError>,
        now: Timestamp,
        random: &dyn Random,
    ) -> Check {
        self.lifecycle.status_answered(answer, now, random)
    }

    /// Ends a check with the plugin's answer to Encrypt.
    ///
    /// # Errors
    ///
    /// [`HealthError::Unhealthy`] if there is no new seed, or if something was wrong with the Status answer before.
    pub fn encrypt_answered(
        &mut self,
        pending: PendingSeed,
        answer: Result<EncryptAnswer, RpcError>,
        now: Timestamp,
    ) -> Result<(), HealthError> {
        self.lifecycle.encrypt_answered(pending, answer, now)
    }

    /// Whether more time has passed since the last check than the schedule ever leaves. That happens when a stack's
    /// clock has been advanced: real time does not jump.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        let interval = SignedDuration::try_from(CHECK_INTERVAL).unwrap_or(SignedDuration::MAX);
        self.lifecycle.last_check().is_none_or(|last| now.duration_since(last) > interval)
    }

    /// The seed to write with. Each write also keeps the seed in the cache for another 24 hours and sweeps the cache.
    ///
    /// # Errors
    ///
    /// [`SealError::NoSeed`] before the first good check, [`SealError::Expired`] three minutes after the last one.
    pub fn writer(&mut self, now: Timestamp) -> Result<Arc<Writer>, SealError> {
        let writer = Arc::clone(self.lifecycle.writer(now)?);
        self.cache.set(writer.cache_key, Arc::clone(&writer.source), now);
        Ok(writer)
    }

    /// Looks for the seed that opens `object`.
    ///
    /// # Errors
    ///
    /// [`OpenError::NoSeed`] before the first good check: then even cached seeds do not read.
    pub fn read(&self, object: EncryptedObject, random: &dyn Random) -> Result<Read, OpenError> {
        let current = self.lifecycle.current().ok_or(OpenError::NoSeed)?;
        // A different seed under the same key id is not stale.
        let stale =
            object.key_id() != &current.key_id || object.source_type() != SourceType::HkdfSha256XnonceAesGcmSeed;
        let cache_key =
            CacheKey::new(object.source_type(), object.encrypted_dek_source(), object.key_id(), object.annotations());
        if let Some(source) = self.cache.get(&cache_key) {
            return Ok(Read::Ready(Opener { object, source, stale }));
        }
        let uid = lifecycle::new_uid(random).map_err(OpenError::Random)?;
        Ok(Read::AskDecrypt(PendingRead { object, cache_key, stale, uid }))
    }

    /// Goes on with the plugin's answer to Decrypt. Failures are not kept: the next read asks again.
    ///
    /// # Errors
    ///
    /// [`OpenError::Decrypt`] if the plugin failed, [`OpenError::DekSource`] if what it gave cannot be a DEK source.
    pub fn decrypt_answered(
        &mut self,
        pending: PendingRead,
        answer: Result<KeyMaterial, RpcError>,
        now: Timestamp,
    ) -> Result<Opener, OpenError> {
        let PendingRead { object, cache_key, stale, uid: _ } = pending;
        let material = answer.map_err(OpenError::Decrypt)?;
        let source = Arc::new(DekSource::new(object.source_type(), material).map_err(OpenError::DekSource)?);
        self.cache.set(cache_key, Arc::clone(&source), now);
        Ok(Opener { object, source, stale })
    }

    /// How many decrypted DEK sources are kept (`dek_source_cache_size`).
    pub fn cached_dek_sources(&self) -> usize {
        self.cache.len()
    }
}

/// The next move of a read.
#[derive(Debug)]
#[must_use = "a read goes on until it is opened"]
pub enum Read {
    /// Ask the plugin to Decrypt, then call [`Kms::decrypt_answered`].
    AskDecrypt(PendingRead),
    /// The seed was in the cache.
    Ready(Opener),
}

/// A read whose DEK source the plugin has yet to decrypt.
#[derive(Debug)]
pub struct PendingRead {
    object: EncryptedObject,
    cache_key: CacheKey,
    stale: bool,
    uid: String,
}

impl PendingRead {
    /// The record being read: its encrypted DEK source, key id and annotations make the Decrypt request.
    pub fn object(&self) -> &EncryptedObject {
        &self.object
    }

    /// `uid` of the Decrypt request.
    pub fn uid(&self) -> &str {
        &self.uid
    }
}

/// A record together with the source of its key.
#[derive(Debug)]
pub struct Opener {
    object: EncryptedObject,
    source: Arc<DekSource>,
    stale: bool,
}

impl Opener {
    /// The record being read.
    pub fn object(&self) -> &EncryptedObject {
        &self.object
    }

    /// Opens the value that was stored under the full etcd key `etcd_key`.
    ///
    /// # Errors
    ///
    /// [`OpenError::Body`] if a byte or the key differs, or bytes are missing.
    pub fn open(&self, etcd_key: &str) -> Result<Opened, OpenError> {
        let plain = self.source.open(self.object.encrypted_data(), etcd_key.as_bytes()).map_err(OpenError::Body)?;
        Ok(Opened { plain, stale: self.stale })
    }
}

/// A value as it was before it was sealed.
#[derive(Clone, Eq, PartialEq)]
pub struct Opened {
    /// The plain storage value (`k8s\0` and protobuf).
    pub plain: Vec<u8>,
    /// Whether a write would store it otherwise: another provider, key id or type of DEK source. Even an update that
    /// changes nothing then rewrites it.
    pub stale: bool,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("stale", &self.stale).finish_non_exhaustive()
    }
}

/// A stored value was not opened. `Display` is upstream's whole text, cause included, so there is no `source()`.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum OpenError {
    /// The sealed bytes do not open.
    #[error("{0}")]
    Body(BodyError),
    /// The record behind the prefix cannot be read.
    #[error("{0}")]
    Decode(DecodeError),
    /// The plugin did not decrypt the DEK source.
    #[error("failed to decrypt DEK, error: {0}")]
    Decrypt(RpcError),
    /// What the plugin decrypted is no DEK source.
    #[error("{0}")]
    DekSource(DekSourceError),
    /// The value is encrypted, and only `identity` could read it.
    #[error("identity transformer tried to read encrypted data")]
    Encrypted,
    /// A KMS v1 value is too short to hold its encrypted data key.
    #[error("invalid data encountered by envelope transformer: failed to read uint16 length prefixed data")]
    EnvelopeV1,
    /// The KMS v1 plugin did not decrypt the data key.
    #[error("{0}")]
    KmsV1(KmsV1Error),
    /// The provider has no key of the name in the value.
    #[error("no matching key was found for the provided {} transformer", .0.family())]
    NoMatchingKey(KeyCipher),
    /// No configured provider has the prefix of the value.
    #[error("no matching prefix found")]
    NoMatchingPrefix,
    /// The plugin has never been healthy since this server started.
    #[error("got unexpected nil transformer")]
    NoSeed,
    /// No random bytes for a request id.
    #[error("{0}")]
    Random(RandomError),
    /// Several providers or keys have the prefix of the value, and none opens it.
    #[error("{}", aggregate(self.leaves()))]
    Several(Vec<Self>),
}

impl OpenError {
    /// One error out of those of every provider that was tried: one is told as it is. `None` for none.
    pub fn of_all(mut errors: Vec<Self>) -> Option<Self> {
        if errors.len() > 1 { Some(Self::Several(errors)) } else { errors.pop() }
    }

    /// The errors that this one is made of, at any depth.
    fn leaves(&self) -> Vec<&Self> {
        match self {
            Self::Several(errors) => errors.iter().flat_map(Self::leaves).collect(),
            other => vec![other],
        }
    }
}
