//! Whether a KMS v1 plugin is healthy: it is when it decrypts what it encrypted a moment ago.
//!
//! Imitates `kmsPluginProbe` of kube-apiserver's `encryptionconfig/config.go`, and the errors of
//! `envelope/grpc_service.go`.

use jiff::Timestamp;
use thiserror::Error;

use crate::kms::{HEALTHY_TTL, HealthError, UNHEALTHY_TTL};
use crate::rpc::RpcError;

/// A call to a KMS v1 plugin failed. `Display` is upstream's whole text.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum KmsV1Error {
    /// The call itself.
    #[error("{0}")]
    Rpc(RpcError),
    /// The plugin speaks another version of the protocol.
    #[error("KMS provider api version {found} is not supported, only v1beta1 is supported now")]
    Version {
        /// Which.
        found: String,
    },
    /// The plugin did not say which version it speaks.
    #[error("failed get version from remote KMS provider: {0}")]
    VersionCall(RpcError),
}

/// The memory of one plugin's health checks.
#[derive(Debug)]
pub struct ProbeV1 {
    provider: String,
    last: Option<(Timestamp, Result<(), HealthError>)>,
}

impl ProbeV1 {
    /// Of a plugin that has not been checked.
    pub fn new(provider: String) -> Self {
        Self { provider, last: None }
    }

    /// The outcome of the last check if it is young enough; otherwise the plugin must be asked to Encrypt
    /// [`Self::PLAINTEXT`], and to Decrypt what it answers.
    pub fn remembered(&self, now: Timestamp) -> Option<Result<(), HealthError>> {
        let (at, outcome) = self.last.as_ref()?;
        let ttl = if outcome.is_ok() { HEALTHY_TTL } else { UNHEALTHY_TTL };
        (now.duration_since(*at) < ttl).then(|| outcome.clone())
    }

    /// Both calls went well.
    pub fn succeeded(&mut self, now: Timestamp) {
        self.last = Some((now, Ok(())));
    }

    /// Encrypt failed.
    pub fn encrypt_failed(&mut self, cause: KmsV1Error, now: Timestamp) -> HealthError {
        self.failed("encrypt", cause, now)
    }

    /// Decrypt failed.
    pub fn decrypt_failed(&mut self, cause: KmsV1Error, now: Timestamp) -> HealthError {
        self.failed("decrypt", cause, now)
    }

    /// As with v2, a repeat tells the bare cause.
    fn failed(&mut self, section: &'static str, cause: KmsV1Error, now: Timestamp) -> HealthError {
        self.last = Some((now, Err(HealthError::RememberedV1(cause.clone()))));
        HealthError::V1 { provider: self.provider.clone(), section, cause }
    }

    /// What a check has encrypted.
    pub const PLAINTEXT: &[u8] = b"ping";
}
