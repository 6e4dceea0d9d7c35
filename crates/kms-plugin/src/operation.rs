//! What a plugin does for the API server: encrypt, decrypt, tell its state. No gRPC here.

use std::sync::{Arc, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::FutureExt as _;
use jiff::SignedDuration;
use kms_api::v2::DecryptRequest;
use tokio::time::timeout_at;
use tracing::{info, warn};

use crate::algorithm::{Algorithm, MAX_MODULUS_BYTES, MODULUS_BYTES};
use crate::annotations::{AnnotationError, Annotations, annotations, require_ours, require_some};
use crate::budget::Budget;
use crate::difference::Difference;
use crate::health::{Begun, Operation};
use crate::in_flight::{Outcome, Question};
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
        algorithm: Algorithm,
        plaintext: &Plaintext,
        uid: &str,
        budget: Budget,
    ) -> Result<Sealed, OperationError> {
        self.check_plaintext(algorithm, plaintext.expose().len())?;
        let encrypted = self.encrypt_with_current(algorithm, plaintext.expose(), uid, budget).await?;
        Ok(Sealed {
            annotations: annotations(&encrypted.receipt),
            ciphertext: encrypted.ciphertext.into_bytes(),
            key_id: self.key_id(&encrypted.version),
        })
    }

    /// Azure's checks in Azure's order, then the vault.
    ///
    /// Differs: Azure's plugin decrypts with its one version and refuses every other key id.
    pub(crate) async fn decrypt(self: &Arc<Self>, request: &DecryptRequest, budget: Budget) -> Outcome {
        require_some(&request.annotations)?;
        let version = self.version_of(&request.key_id, budget).await?;
        require_ours(&request.annotations)?;
        let ciphertext = self.checked_ciphertext(&version, &request.ciphertext)?;
        self.decrypt_with(Algorithm::RsaOaep256, &version, ciphertext, &request.uid, budget).await
    }

    /// A ciphertext of KMS v1beta1, which names no key version: the current one first, then the others that are known.
    ///
    /// Differs: Azure's plugin has one version. A version that is not the ciphertext's opens it to noise once in some
    /// ten thousand times, for `RSA1_5` has no integrity of its own; the API server's AES-GCM then finds that out.
    pub(crate) async fn decrypt_unnamed(self: &Arc<Self>, ciphertext: &[u8], budget: Budget) -> Outcome {
        let current = self.require_current(budget).await?;
        let mut others: Vec<KeyVersion> = self.known.all().into_iter().map(|known| known.version).collect();
        others.retain(|version| *version != current && self.may_decrypt_with(version));
        let mut refusal = None;
        for version in std::iter::once(current).chain(others.into_iter().take(MAX_GUESSES)) {
            let outcome = match self.checked_ciphertext(&version, ciphertext) {
                Ok(bytes) => self.decrypt_with(Algorithm::Rsa15, &version, bytes, "", budget).await,
                Err(error) => Err(error),
            };
            match outcome {
                // Not this version's, or a version that is gone: the first refusal is the one to tell.
                Err(error) if matches!(error.class(), FailureClass::Rejected | FailureClass::Missing) => {
                    refusal.get_or_insert(error);
                }
                outcome => return outcome,
            }
        }
        Err(refusal.unwrap_or(OperationError::CiphertextText))
    }

    /// The current key id, if the key works: from recent results, or else by asking the vault.
    pub(crate) async fn status(&self, budget: Budget) -> Result<KeyId, OperationError> {
        // A look that fails has said so in the log; whether the current version works is another question.
        let _ = self.follow_if_due(budget.half()).await;
        let arrived = self.begin();
        if let Some(current) = self.current()
            && !self.is_like_azure(Difference::Health)
            && self.health.is_fresh(&current, self.clock.now(), self.status_freshness)
        {
            return Ok(self.key_id(&current));
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
        match self.client.encrypt(Algorithm::RsaOaep256, None, HEALTHCHECK, "", budget).await {
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
        algorithm: Algorithm,
        plaintext: &[u8],
        uid: &str,
        budget: Budget,
    ) -> Result<Encrypted, OperationError> {
        let current = self.current();
        let begun = self.begin();
        match self.client.encrypt(algorithm, current.as_ref(), plaintext, uid, budget).await {
            Ok(encrypted) => {
                self.health.succeeded(begun, Operation::Encrypt, &encrypted.version);
                self.learn_modulus(&encrypted);
                if current.is_none() {
                    self.adopt_first(&encrypted.version);
                }
                Ok(encrypted)
            }
            Err(error) => Err(self.failed(begun, Operation::Encrypt, current.as_ref(), error)),
        }
    }

    /// Callers with the same ciphertext share one call, each for as long as its own deadline lets it.
    async fn decrypt_with(
        self: &Arc<Self>,
        algorithm: Algorithm,
        version: &KeyVersion,
        ciphertext: Vec<u8>,
        uid: &str,
        budget: Budget,
    ) -> Outcome {
        let question = Question { algorithm, ciphertext, version: version.clone() };
        if self.is_like_azure(Difference::Joining) {
            return self.ask_to_decrypt(&question, uid, budget).await;
        }
        loop {
            let start = || {
                let (inner, asked, uid) = (Arc::clone(self), question.clone(), uid.to_owned());
                async move { inner.ask_to_decrypt(&asked, &uid, budget).await }.boxed()
            };
            let (call, is_ours) = self.in_flight.join_or_start(&question, start);
            match timeout_at(budget.until(), call).await {
                Err(_) => return Err(OperationError::vault(Operation::Decrypt, budget.no_answer())),
                // Whoever started it had less time than this caller.
                Ok(Err(error)) if !is_ours && error.class() == FailureClass::TimedOut => {}
                Ok(outcome) => return outcome,
            }
        }
    }

    async fn ask_to_decrypt(&self, question: &Question, uid: &str, budget: Budget) -> Outcome {
        let Question { algorithm, ciphertext, version } = question;
        let begun = self.begin();
        match self.client.decrypt(*algorithm, version, ciphertext, uid, budget).await {
            Ok(plaintext) => {
                self.health.succeeded(begun, Operation::Decrypt, version);
                Ok(Arc::new(plaintext))
            }
            Err(error) => Err(self.failed(begun, Operation::Decrypt, Some(version), error)),
        }
    }

    async fn make_round_trip(&self, budget: Budget) -> Result<KeyId, OperationError> {
        let algorithm = Algorithm::RsaOaep256;
        let encrypted = self.encrypt_with_current(algorithm, HEALTHCHECK, "", budget).await?;
        let ciphertext = decoded(encrypted.ciphertext.as_bytes())?;
        let question = Question { algorithm, ciphertext, version: encrypted.version.clone() };
        let opened = self.ask_to_decrypt(&question, "", budget).await?;
        if opened.expose() == HEALTHCHECK { Ok(self.key_id(&encrypted.version)) } else { Err(OperationError::Mismatch) }
    }

    /// The version that a key id names, if it may be decrypted with.
    async fn version_of(&self, key_id: &str, budget: Budget) -> Result<KeyVersion, OperationError> {
        if self.two_keys.is_none() && !self.is_like_azure(Difference::Decrypt) {
            return match self.known.find(key_id) {
                Some(version) => Ok(version),
                None => self.look_up(key_id, budget).await,
            };
        }
        let current = self.require_current(budget).await?;
        match self.known.find(key_id).filter(|version| *version == current || self.may_decrypt_with(version)) {
            Some(version) => Ok(version),
            None => Err(OperationError::OtherKey { key_id: shown(key_id), expected: self.key_id(&current) }),
        }
    }

    /// Whether a version that is not the current one is decrypted with.
    fn may_decrypt_with(&self, version: &KeyVersion) -> bool {
        match &self.two_keys {
            Some(previous) => version == previous,
            None => !self.is_like_azure(Difference::Decrypt),
        }
    }

    /// The current version, which a key that is followed may not have yet.
    async fn require_current(&self, budget: Budget) -> Result<KeyVersion, OperationError> {
        if let Some(current) = self.current() {
            return Ok(current);
        }
        self.encrypt_with_current(Algorithm::RsaOaep256, HEALTHCHECK, "", budget).await.map(|done| done.version)
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
        OperationError::UnknownKey { key_id: shown(key_id), key: self.client.key().url(), known, listing }
    }

    /// Unless another call was faster.
    fn adopt_first(&self, version: &KeyVersion) {
        self.known.remember([version.clone()]);
        if self.current().is_none() {
            self.adopt(version);
        }
    }

    fn adopt(&self, version: &KeyVersion) {
        self.known.adopt(version);
        if self.replace_current(version) {
            info!(%version, key_id = %self.key_id(version), "encrypting with this key version from now on");
        }
    }

    pub(crate) fn key_id(&self, version: &KeyVersion) -> KeyId {
        if self.is_like_azure(Difference::KeyIds) {
            self.client.key().key_id(version)
        } else {
            self.known.key_id_in_use(version)
        }
    }

    /// An RSA ciphertext is as long as its key's modulus.
    fn learn_modulus(&self, encrypted: &Encrypted) {
        if let Ok(bytes) = decoded(encrypted.ciphertext.as_bytes()) {
            let mut moduli = self.moduli.lock().unwrap_or_else(PoisonError::into_inner);
            moduli.insert(encrypted.version.clone(), bytes.len());
        }
    }

    fn modulus_bytes(&self, version: &KeyVersion) -> Option<usize> {
        self.moduli.lock().unwrap_or_else(PoisonError::into_inner).get(version).copied()
    }

    /// Before the key's size is known, what the largest key can hold.
    fn check_plaintext(&self, algorithm: Algorithm, bytes: usize) -> Result<(), OperationError> {
        let modulus = self.current().and_then(|current| self.modulus_bytes(&current));
        let limit = algorithm.max_plaintext_bytes(modulus.unwrap_or(MAX_MODULUS_BYTES));
        if self.is_like_azure(Difference::Checks) || (1..=limit).contains(&bytes) {
            Ok(())
        } else {
            Err(OperationError::PlaintextLength { bytes, limit })
        }
    }

    /// The bytes of the vault's text, if it can be a ciphertext of the version.
    fn checked_ciphertext(&self, version: &KeyVersion, text: &[u8]) -> Result<Vec<u8>, OperationError> {
        let bytes = decoded(text)?;
        let fits = match self.modulus_bytes(version) {
            Some(modulus) => bytes.len() == modulus,
            None => MODULUS_BYTES.contains(&bytes.len()),
        };
        if fits || self.is_like_azure(Difference::Checks) {
            Ok(bytes)
        } else {
            Err(OperationError::CiphertextModulus { bytes: bytes.len() })
        }
    }
}

/// Why an operation failed. The texts that Azure's plugin has too are its.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum OperationError {
    #[error(transparent)]
    Annotations(#[from] AnnotationError),
    #[error("KMS API version {version:?} is not supported, only v1beta1 is")]
    ApiVersion { version: String },
    #[error("ciphertext is of {bytes} bytes, which no ciphertext of this key has")]
    CiphertextModulus { bytes: usize },
    #[error("ciphertext is {bytes} bytes, which is not 1 to {MAX_CIPHERTEXT_BYTES}")]
    CiphertextLength { bytes: usize },
    #[error("ciphertext is not the base64url text of key vault")]
    CiphertextText,
    #[error("decrypted text does not match")]
    Mismatch,
    #[error("key id {key_id} does not match expected key id {expected} used for encryption")]
    OtherKey { key_id: String, expected: KeyId },
    #[error("plaintext is {bytes} bytes, which is not 1 to {limit}")]
    PlaintextLength { bytes: usize, limit: usize },
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
            | Self::ApiVersion { .. }
            | Self::CiphertextLength { .. }
            | Self::CiphertextModulus { .. }
            | Self::CiphertextText
            | Self::PlaintextLength { .. } => FailureClass::Rejected,
            Self::Mismatch => FailureClass::Corrupt,
            Self::OtherKey { .. } => FailureClass::Missing,
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

/// A key id of the caller, for a text.
fn shown(key_id: &str) -> String {
    key_id.chars().take(MAX_SHOWN_KEY_ID_CHARS).collect()
}

/// The bytes of the vault's text, or why nothing of the kind can be sent.
fn decoded(ciphertext: &[u8]) -> Result<Vec<u8>, OperationError> {
    if ciphertext.is_empty() || ciphertext.len() > MAX_CIPHERTEXT_BYTES {
        return Err(OperationError::CiphertextLength { bytes: ciphertext.len() });
    }
    URL_SAFE_NO_PAD.decode(ciphertext).map_err(|_| OperationError::CiphertextText)
}

/// What Azure's plugin encrypts for Status.
pub(crate) const HEALTHCHECK: &[u8] = b"healthcheck";

/// kube-apiserver's limit of an encrypted seed.
const MAX_CIPHERTEXT_BYTES: usize = 1024;

/// How often at most an unknown key id makes the plugin ask for the versions, in seconds of the stack's clock.
const LISTING_INTERVAL_SECS: i64 = 10;

/// How many versions are tried for a ciphertext that names none, besides the current one.
const MAX_GUESSES: usize = 7;

/// How many known versions an error lists.
const MAX_SHOWN: usize = 5;

/// A key id is 64 characters; kube-apiserver lets 1024 through.
const MAX_SHOWN_KEY_ID_CHARS: usize = 100;
