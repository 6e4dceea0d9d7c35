//! What is wrong with a KMS provider, in upstream's words.
//!
//! Texts: `kmsv2PluginProbe` in kube-apiserver's `encryptionconfig/config.go`. Each `Display` is upstream's whole text,
//! cause included, so none of these has a `source()`.

use std::fmt;

use jiff::Timestamp;
use thiserror::Error;

use crate::key_id::KeyIdError;
use crate::kms_v1::KmsV1Error;
use crate::object::LimitError;
use crate::provider_name::ProviderName;
use crate::random::RandomError;
use crate::rpc::RpcError;
use crate::upstream::{ZERO_TIME, aggregate, quote, rfc3339};

/// A provider is not healthy.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum HealthError {
    /// A Status call that failed a moment ago, told again without asking: upstream drops the sentence around it.
    #[error("{0}")]
    Remembered(RpcError),
    /// The same of a KMS v1 plugin.
    #[error("{0}")]
    RememberedV1(KmsV1Error),
    /// Status could not be had.
    #[error("failed to perform status section of the healthz check for KMS Provider {provider}, error: {cause}")]
    Status {
        /// Whose.
        provider: ProviderName,
        /// Why.
        cause: RpcError,
    },
    /// Status was had and something in it, or in what followed, is wrong.
    #[error("kmsv2 Provider {provider} is not healthy, error: {}", aggregate(.problems))]
    Unhealthy {
        /// Whose.
        provider: ProviderName,
        /// Everything that is wrong.
        problems: Vec<StatusProblem>,
    },
    /// A KMS v1 plugin did not encrypt, or did not decrypt what it had encrypted.
    #[error("failed to perform {section} section of the healthz check for KMS Provider {provider}, error: {cause}")]
    V1 {
        /// Whose.
        provider: String,
        /// `encrypt` or `decrypt`.
        section: &'static str,
        /// Why.
        cause: KmsV1Error,
    },
}

/// One thing wrong with a Status answer.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum StatusProblem {
    /// `healthz` is not `ok`.
    #[error("got unexpected healthz status: {healthz}")]
    Healthz {
        /// What it is.
        healthz: String,
    },
    /// `key_id` is outside its limits.
    #[error("got invalid KMSv2 KeyID hash {}: {cause}", quote(.hash))]
    KeyId {
        /// The hash of the key id; empty for an empty one.
        hash: String,
        /// Which limit.
        cause: KeyIdError,
    },
    /// There should have been a new seed, and there is none.
    #[error("{0}")]
    Rotate(RotateError),
    /// `version` is neither `v2` nor `v2beta1`.
    #[error("expected KMSv2 API version v2, got {version}")]
    Version {
        /// What it is.
        version: String,
    },
    /// `version` is not what it was at first.
    #[error("KMSv2 API version should not change after the initial status response version {first}, got {now}")]
    VersionChanged {
        /// What it was.
        first: String,
        /// What it is.
        now: String,
    },
}

/// A new seed was needed and could not be had; the old one, if there is one, goes on until it expires.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RotateError {
    pub(super) uid: String,
    pub(super) had_no_seed: bool,
    pub(super) generate: Option<GenerateError>,
    pub(super) status_key_id_hash: String,
    pub(super) encrypt_key_id_hash: String,
    pub(super) state_key_id_hash: String,
    pub(super) expires: Option<Timestamp>,
}

impl RotateError {
    /// Why no seed could be made; `None` if one was made, under another key than Status names.
    pub fn generate_error(&self) -> Option<&GenerateError> {
        self.generate.as_ref()
    }
}

impl fmt::Display for RotateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state_error = if self.had_no_seed { "got unexpected nil transformer" } else { NIL };
        let generate_error = self.generate.as_ref().map_or_else(|| NIL.to_owned(), ToString::to_string);
        write!(
            f,
            "failed to rotate DEK uid={}, useSeed=true, errState={state_error}, errGen={generate_error}, \
             statusKeyIDHash={}, encryptKeyIDHash={}, stateKeyIDHash={}, expirationTimestamp={}",
            quote(&self.uid),
            quote(&self.status_key_id_hash),
            quote(&self.encrypt_key_id_hash),
            quote(&self.state_key_id_hash),
            self.expires.map_or_else(|| ZERO_TIME.to_owned(), rfc3339),
        )
    }
}

impl std::error::Error for RotateError {}

/// A new seed could not be made.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum GenerateError {
    /// The plugin's Encrypt failed.
    #[error("failed to encrypt DEK, error: {0}")]
    Encrypt(RpcError),
    /// The plugin's Encrypt answered something outside a limit.
    #[error("{0}")]
    Limit(LimitError),
    /// No random bytes.
    #[error("{0}")]
    Random(RandomError),
}

/// Go's print of an error that is none.
const NIL: &str = "<nil>";
