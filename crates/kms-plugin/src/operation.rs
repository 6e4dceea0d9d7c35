//! What a plugin does for the API server: encrypt, decrypt, tell its state. No gRPC here.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use kms_api::v2::DecryptRequest;
use tokio::time::timeout_at;
use tracing::{info, warn};

use crate::annotations::{AnnotationError, Annotations, annotations, require_ours, require_some};
use crate::budget::Budget;
use crate::health::{Begun, Operation};
use crate::key::{KeyId, KeyVersion};
use crate::known_versions::KnownVersion;
use crate::plugin::Inner;
use crate::secret::Plaintext;
use crate::vault_client::Encrypted;
use crate::vault_error::{FailureClass, VaultClientError};

/// An encrypted seed, as Kubernetes stores it.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) annotations: Annotations,
    pub(crate) ciphertext: Vec<u8>,
    pub(crate) key_id: KeyId,
}

/// Whether the vault has told all versions of the key.
pub(crate) type Listed = Result<(), Arc<VaultClientError>>;

impl Inner {
    pub(crate) async fn encrypt(
        &self,
        plaintext: &Plaintext,
        uid: &str,
        budget: Budget,
    ) -> Result<Sealed, OperationError> {
        let bytes = plaintext.expose().len();
        if bytes == 0 || bytes > MAX_PLAINTEXT_BYTES {
            return Err(OperationError::PlaintextLength { bytes });
        }
        let encrypted = self.encrypt_with_current(plaintext.expose(), uid, budget).await?;
        Ok(Sealed {
            annotations: annotations(&encrypted.receipt),
            ciphertext: encrypted.ciphertext.into_bytes(),
            key_id: self.client.key().key_id(&encrypted.version),
        })
    }

    /// Azure's checks in Azure's order, then the vault.
    ///
    /// Differs: Azure's plugin decrypts with its one version and refuses every other key id.
    pub(crate) async fn decrypt(&self, request: &DecryptRequest, budget: Budget) -> Result<Plaintext, OperationError> {
        require_some(&request.annotations)?;
        let version = match self.known.find(&request.key_id) {
            Some(version) => version,
            None => self.look_up(&request.key_id, budget).await?,
        };
        require_ours(&request.annotations)?;
        let ciphertext = decoded(&request.ciphertext)?;
        self.decrypt_with(&version, &ciphertext, &request.uid, budget).await
    }

    /// The current key id, if the key works: from recent results, or else by asking the vault.
    pub(crate) async fn status(&self, budget: Budget) -> Result<KeyId, OperationError> {
        // A look that fails has said so in the log; whether the current version works is another question.
        let _ = self.follow_if_due(budget.half()).await;
        let arrived = self.begin();
        if let Some(current) = self.current()
            && self.health.is_fresh(&current, self.clock.now(), self.status_freshness)
        {
            return Ok(self.client.key().key_id(&current));
        }
        let Ok(mut latest) = timeout_at(budget.until(), self.round_trip.lock()).await else {
            return Err(OperationError::vault(Operation::Encrypt, budget.no_answer()));
        };
        // Whoever waited here shares the outcome of a round trip that began after they came.
        if let Some((begun, outcome)) = &*latest
            && begun.is_after(arrived)
        {
            return outcome.clone();
        }
        let begun = self.begin();
        let outcome = self.make_round_trip(budget).await;
        *latest = Some((begun, outcome.clone()));
        outcome
    }

    /// Looks for a newer version of a key that is followed, unless that was done within the interval. Both the task
    /// beside the service and Status do it, so that the first Status after the interval tells the new version.
    ///
    /// It encrypts without a version, and the answer names the one that was used: that takes no other permission than
    /// `encrypt`, and the new version has then proved itself before any Status announces it.
    pub(crate) async fn follow_if_due(&self, budget: Budget) -> Result<(), OperationError> {
        let Some(interval) = self.follow_interval else { return Ok(()) };
        let Ok(mut looked) = timeout_at(budget.until(), self.looked.lock()).await else { return Ok(()) };
        let now = self.clock.now();
        let limit = SignedDuration::try_from(interval).unwrap_or(SignedDuration::MAX);
        if looked.is_some_and(|at| now.duration_since(at) < limit) {
            return Ok(());
        }
        *looked = Some(now);
        let begun = self.begin();
        match self.client.encrypt(None, HEALTHCHECK, "", budget).await {
            Ok(encrypted) => {
                self.health.succeeded(begun, Operation::Encrypt, &encrypted.version);
                self.adopt(&encrypted.version);
                Ok(())
            }
            Err(error) => {
                let error = self.failed(begun, Operation::Encrypt, None, error);
                warn!("looking for a newer key version: {}", error.text());
                Err(error)
            }
        }
    }

    /// Asks the vault for all versions. A vault that does not let us list them is no failure of the plugin.
    pub(crate) async fn list_versions(&self, budget: Budget) -> Listed {
        let begun = self.begin();
        match self.client.list_versions(budget).await {
            Ok(versions) => {
                self.known.remember(versions);
                Ok(())
            }
            Err(error) => {
                let current = self.current();
                self.health.failed(begun, Operation::ListVersions, None, current.as_ref(), &error);
                Err(Arc::new(error))
            }
        }
    }

    fn begin(&self) -> Begun {
        self.health.begin(self.clock.now())
    }

    fn failed(
        &self,
        begun: Begun,
        operation: Operation,
        version: Option<&KeyVersion>,
        error: VaultClientError,
    ) -> OperationError {
        self.health.failed(begun, operation, version, self.current().as_ref(), &error);
        OperationError::vault(operation, error)
    }

    async fn encrypt_with_current(
        &self,
        plaintext: &[u8],
        uid: &str,
        budget: Budget,
    ) -> Result<Encrypted, OperationError> {
        let current = self.current();
        let begun = self.begin();
        match self.client.encrypt(current.as_ref(), plaintext, uid, budget).await {
            Ok(encrypted) => {
                self.health.succeeded(begun, Operation::Encrypt, &encrypted.version);
                if current.is_none() {
                    self.adopt_first(&encrypted.version);
                }
                Ok(encrypted)
            }
            Err(error) => Err(self.failed(begun, Operation::Encrypt, current.as_ref(), error)),
        }
    }

    async fn decrypt_with(
        &self,
        version: &KeyVersion,
        ciphertext: &[u8],
        uid: &str,
        budget: Budget,
    ) -> Result<Plaintext, OperationError> {
        let begun = self.begin();
        match self.client.decrypt(version, ciphertext, uid, budget).await {
            Ok(plaintext) => {
                self.health.succeeded(begun, Operation::Decrypt, version);
                Ok(plaintext)
            }
            Err(error) => Err(self.failed(begun, Operation::Decrypt, Some(version), error)),
        }
    }

    async fn make_round_trip(&self, budget: Budget) -> Result<KeyId, OperationError> {
        let encrypted = self.encrypt_with_current(HEALTHCHECK, "", budget).await?;
        let ciphertext = decoded(encrypted.ciphertext.as_bytes())?;
        let opened = self.decrypt_with(&encrypted.version, &ciphertext, "", budget).await?;
        if opened.expose() == HEALTHCHECK {
            Ok(self.client.key().key_id(&encrypted.version))
        } else {
            Err(OperationError::Mismatch)
        }
    }

    /// The version of a key id that has not been seen, by asking the vault for all versions.
    async fn look_up(&self, key_id: &str, budget: Budget) -> Result<KeyVersion, OperationError> {
        let Ok(mut latest) = timeout_at(budget.until(), self.listing.lock()).await else {
            return Err(OperationError::vault(Operation::ListVersions, budget.no_answer()));
        };
        if let Some(version) = self.known.find(key_id) {
            return Ok(version);
        }
        let now = self.clock.now();
        let recent = latest.as_ref().filter(|(at, _)| now.duration_since(*at).as_secs() < LISTING_INTERVAL_SECS);
        let listing = if let Some((_, outcome)) = recent {
            outcome.clone()
        } else {
            let outcome = self.list_versions(budget).await;
            *latest = Some((now, outcome.clone()));
            outcome
        };
        self.known.find(key_id).ok_or_else(|| {
            let error = self.unknown(key_id, listing.err());
            warn!("{error}");
            error
        })
    }

    fn unknown(&self, key_id: &str, listing: Option<Arc<VaultClientError>>) -> OperationError {
        let known = self.known.all();
        OperationError::UnknownKey {
            key_id: key_id.chars().take(MAX_SHOWN_KEY_ID_CHARS).collect(),
            key: self.client.key().url(),
            known,
            listing,
        }
    }

    /// Unless another call was faster.
    fn adopt_first(&self, version: &KeyVersion) {
        self.known.remember([version.clone()]);
        if self.current().is_none() {
            self.adopt(version);
        }
    }

    fn adopt(&self, version: &KeyVersion) {
        self.known.remember([version.clone()]);
        if self.replace_current(version) {
            info!(%version, key_id = %self.client.key().key_id(version), "encrypting with this key version from now on");
        }
    }
}

/// Why an operation failed. The texts that Azure's plugin has too are its.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum OperationError {
    #[error(transparent)]
    Annotations(#[from] AnnotationError),
    #[error("ciphertext is {bytes} bytes, which is not 1 to {MAX_CIPHERTEXT_BYTES}")]
    CiphertextLength { bytes: usize },
    #[error("ciphertext is not the base64url text of key vault")]
    CiphertextText,
    #[error("decrypted text does not match")]
    Mismatch,
    #[error("plaintext is {bytes} bytes, which is not 1 to {MAX_PLAINTEXT_BYTES}")]
    PlaintextLength { bytes: usize },
    #[error("key id {key_id} is of no known version of {key} ({})", known_and_listing(known, listing.as_deref()))]
    UnknownKey { key_id: String, key: String, known: Vec<KnownVersion>, listing: Option<Arc<VaultClientError>> },
    #[error("failed to {operation}")]
    Vault { operation: Operation, source: Arc<VaultClientError> },
}

impl OperationError {
    fn vault(operation: Operation, error: VaultClientError) -> Self {
        Self::Vault { operation, source: Arc::new(error) }
    }

    /// The whole text for the peer and the log, joined as Azure's plugin joins it.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Vault { source, .. } => format!("{self}, error: {source}"),
            _ => self.to_string(),
        }
    }

    /// The class, for the gRPC code and the log.
    pub(crate) fn class(&self) -> FailureClass {
        match self {
            Self::Annotations(_)
            | Self::CiphertextLength { .. }
            | Self::CiphertextText
            | Self::PlaintextLength { .. } => FailureClass::Rejected,
            Self::Mismatch => FailureClass::Corrupt,
            // If the vault could not be asked, it may well know the version.
            Self::UnknownKey { listing, .. } => match listing.as_ref().map(|error| error.class()) {
                Some(class @ (FailureClass::Throttled | FailureClass::TimedOut | FailureClass::Unavailable)) => class,
                _ => FailureClass::Missing,
            },
            Self::Vault { source, .. } => source.class(),
        }
    }
}

fn known_and_listing(known: &[KnownVersion], listing: Option<&VaultClientError>) -> String {
    let mut text = match known {
        [] => "known: none".to_owned(),
        some => {
            let shown: Vec<String> =
                some.iter().take(MAX_SHOWN).map(|known| format!("{} is {}", known.version, known.key_id)).collect();
            let more = if some.len() > MAX_SHOWN { ", …" } else { "" };
            format!("known: {}{more}", shown.join(", "))
        }
    };
    if let Some(error) = listing {
        text.push_str("; listing the versions failed: ");
        text.push_str(&error.to_string());
    }
    text
}

/// The bytes of the vault's text, or why nothing of the kind can be sent.
fn decoded(ciphertext: &[u8]) -> Result<Vec<u8>, OperationError> {
    if ciphertext.is_empty() || ciphertext.len() > MAX_CIPHERTEXT_BYTES {
        return Err(OperationError::CiphertextLength { bytes: ciphertext.len() });
    }
    URL_SAFE_NO_PAD.decode(ciphertext).map_err(|_| OperationError::CiphertextText)
}

/// What Azure's plugin encrypts for Status.
const HEALTHCHECK: &[u8] = b"healthcheck";

/// What RSA-OAEP-256 holds with a 4096-bit key: the largest there is.
const MAX_PLAINTEXT_BYTES: usize = 512 - 66;

/// kube-apiserver's limit of an encrypted seed.
const MAX_CIPHERTEXT_BYTES: usize = 1024;

/// How often at most an unknown key id makes the plugin ask for the versions, in seconds of the stack's clock.
const LISTING_INTERVAL_SECS: i64 = 10;

/// How many known versions an error lists.
const MAX_SHOWN: usize = 5;

/// A key id is 64 characters; kube-apiserver lets 1024 through.
const MAX_SHOWN_KEY_ID_CHARS: usize = 100;
