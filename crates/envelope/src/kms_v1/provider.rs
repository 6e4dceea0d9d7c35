//! The values of a KMS v1 provider: length of the encrypted data key in two bytes, the encrypted data key, the body.
//!
//! Imitates `envelopeTransformer` of kube-apiserver's `envelope/envelope.go`.

use std::num::NonZeroUsize;
use std::sync::Arc;

use super::cache::DekLru;
use super::dek::Dek;
use super::health::KmsV1Error;
use crate::kms::{OpenError, Opened, SealError};
use crate::material::KeyMaterial;
use crate::random::Random;

/// One KMS v1 provider. Nothing in here waits: hold it behind a lock for the length of a call.
#[derive(Debug)]
pub struct KmsV1 {
    prefix: String,
    cache: Option<DekLru>,
}

impl KmsV1 {
    /// A provider that keeps so many data keys, or none.
    pub fn new(name: &str, cache_size: Option<NonZeroUsize>) -> Self {
        Self { prefix: prefix(name), cache: cache_size.map(DekLru::new) }
    }

    /// Begins a write with a new data key, which the plugin must Encrypt.
    ///
    /// # Errors
    ///
    /// [`SealError::DataKey`] without random bytes.
    pub fn new_dek(random: &dyn Random) -> Result<PendingDek, SealError> {
        let mut bytes = vec![0; DEK_BYTES];
        random.fill(&mut bytes).map_err(SealError::DataKey)?;
        Ok(PendingDek(KeyMaterial::new(bytes)))
    }

    /// Goes on with the plugin's answer to Encrypt, and keeps the data key for reads.
    ///
    /// # Errors
    ///
    /// [`SealError::KmsV1`] if the plugin failed.
    pub fn encrypt_answered(
        &mut self,
        pending: PendingDek,
        answer: Result<Vec<u8>, KmsV1Error>,
    ) -> Result<DekV1, SealError> {
        let encrypted = answer.map_err(SealError::KmsV1)?;
        let dek = Arc::new(Dek::new(pending.0).map_err(|_| SealError::Encrypt)?);
        if let Some(cache) = &mut self.cache {
            cache.set(&encrypted, Arc::clone(&dek));
        }
        Ok(DekV1 { dek, encrypted, prefix: self.prefix.clone() })
    }

    /// Looks for the data key of what stands behind the provider's prefix.
    ///
    /// # Errors
    ///
    /// [`OpenError::EnvelopeV1`] if no encrypted data key can be read.
    pub fn read(&mut self, body: &[u8]) -> Result<ReadV1, OpenError> {
        let (encrypted, sealed) = split(body).ok_or(OpenError::EnvelopeV1)?;
        match self.cache.as_mut().and_then(|cache| cache.get(encrypted)) {
            Some(dek) => Ok(ReadV1::Ready(OpenerV1 { dek, sealed: sealed.to_vec() })),
            None => Ok(ReadV1::AskDecrypt(PendingReadV1 { encrypted: encrypted.to_vec(), sealed: sealed.to_vec() })),
        }
    }

    /// Goes on with the plugin's answer to Decrypt. Failures are not kept: the next read asks again.
    ///
    /// # Errors
    ///
    /// [`OpenError::KmsV1`] if the plugin failed, [`OpenError::DekSource`] if what it gave is no AES key.
    pub fn decrypt_answered(
        &mut self,
        pending: PendingReadV1,
        answer: Result<KeyMaterial, KmsV1Error>,
    ) -> Result<OpenerV1, OpenError> {
        let material = answer.map_err(OpenError::KmsV1)?;
        let dek = Arc::new(Dek::new(material).map_err(OpenError::DekSource)?);
        if let Some(cache) = &mut self.cache {
            cache.set(&pending.encrypted, Arc::clone(&dek));
        }
        Ok(OpenerV1 { dek, sealed: pending.sealed })
    }

    /// How much of the cache is taken, from 0 to 1; `None` without one.
    pub fn cache_fill(&self) -> Option<f64> {
        self.cache.as_ref().map(DekLru::fill)
    }
}

/// A data key that the plugin has yet to encrypt.
#[derive(Debug)]
pub struct PendingDek(KeyMaterial);

impl PendingDek {
    /// `plain` of the Encrypt request: the data key itself, in the clear.
    pub fn expose_plaintext(&self) -> &[u8] {
        self.0.expose()
    }
}

/// A data key for one write.
#[derive(Debug)]
pub struct DekV1 {
    dek: Arc<Dek>,
    encrypted: Vec<u8>,
    prefix: String,
}

impl DekV1 {
    /// Seals `plain` for the full etcd key `etcd_key` into a stored value, prefix included.
    ///
    /// # Errors
    ///
    /// [`SealError::DekLength`] if the encrypted data key has more than 65,535 bytes, [`SealError::Nonce`] without
    /// random bytes.
    pub fn seal(&self, etcd_key: &str, plain: &[u8], random: &dyn Random) -> Result<Vec<u8>, SealError> {
        let bytes = self.encrypted.len();
        let length = u16::try_from(bytes).map_err(|_| SealError::DekLength { bytes })?;
        let mut stored = Vec::with_capacity(self.prefix.len() + bytes + plain.len() + ROOM_FOR_THE_REST);
        stored.extend_from_slice(self.prefix.as_bytes());
        stored.extend_from_slice(&length.to_be_bytes());
        stored.extend_from_slice(&self.encrypted);
        self.dek.seal(etcd_key, plain, random, &mut stored)?;
        Ok(stored)
    }
}

/// The next move of a read.
#[derive(Debug)]
#[must_use = "a read goes on until it is opened"]
pub enum ReadV1 {
    /// Ask the plugin to Decrypt, then call [`KmsV1::decrypt_answered`].
    AskDecrypt(PendingReadV1),
    /// The data key was in the cache.
    Ready(OpenerV1),
}

/// A read whose data key the plugin has yet to decrypt.
#[derive(Debug)]
pub struct PendingReadV1 {
    encrypted: Vec<u8>,
    sealed: Vec<u8>,
}

impl PendingReadV1 {
    /// `cipher` of the Decrypt request.
    pub fn encrypted_dek(&self) -> &[u8] {
        &self.encrypted
    }
}

/// A sealed body together with its data key.
#[derive(Debug)]
pub struct OpenerV1 {
    dek: Arc<Dek>,
    sealed: Vec<u8>,
}

impl OpenerV1 {
    /// Opens the value that was stored under the full etcd key `etcd_key`. One that only AES-CBC opens is stale.
    ///
    /// # Errors
    ///
    /// [`OpenError::Several`]: what AES-GCM says of it, and AES-CBC.
    pub fn open(&self, etcd_key: &str) -> Result<Opened, OpenError> {
        self.dek.open(etcd_key, &self.sealed)
    }
}

/// `k8s:enc:kms:v1:<name>:`.
pub(crate) fn prefix(name: &str) -> String {
    format!("{KMS_V1_PREFIX}{name}:")
}

/// The encrypted data key and the sealed body.
pub(crate) fn split(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = body.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// What every KMS v1 value in etcd starts with; the provider's name and a colon follow.
pub(crate) const KMS_V1_PREFIX: &str = "k8s:enc:kms:v1:";
/// Bytes of a data key.
const DEK_BYTES: usize = 32;
/// Length, nonce and tag.
const ROOM_FOR_THE_REST: usize = 2 + 12 + 16;
