//! One KMS v2 provider: the state that `envelope` keeps, and the calls it asks for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use clock::Clock;
use envelope::{
    Check, EncryptedObject, GenerateError, HealthError, KeyId, Kms, OpenError, Opened, ProviderName, Read, SealError,
    StatusProblem, SystemRandom, Writer,
};
use jiff::Timestamp;

use super::client::KmsClient;
use super::metrics::{Direction, Metrics};

/// A KMS v2 provider and its plugin.
#[derive(Debug)]
pub(super) struct KmsDriver {
    name: ProviderName,
    client: KmsClient,
    clock: Clock,
    metrics: Arc<Metrics>,
    /// Held for moments, never across a wait.
    state: Mutex<Kms>,
    /// Held by the check under way: whoever wants another waits for its outcome.
    checking: tokio::sync::Mutex<()>,
}

impl KmsDriver {
    pub(super) fn new(
        name: ProviderName,
        endpoint: &str,
        timeout: Duration,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            client: KmsClient::new(name.clone(), endpoint, timeout, Arc::clone(&metrics)),
            clock,
            metrics,
            state: Mutex::new(Kms::new(name.clone())),
            name,
            checking: tokio::sync::Mutex::new(()),
        }
    }

    pub(super) fn name(&self) -> &ProviderName {
        &self.name
    }

    /// Checks the plugin, or tells again what a check found a moment ago.
    pub(super) async fn check(&self) -> Result<(), HealthError> {
        let _one_at_a_time = self.checking.lock().await;
        match self.state().check(self.clock.now()) {
            Check::Done(outcome) => return outcome,
            Check::AskEncrypt(_) | Check::AskStatus => {}
        }
        let status = self.client.status().await;
        let now = self.clock.now();
        if let Ok(status) = &status {
            match KeyId::new(status.key_id.as_str()) {
                Ok(key_id) => self.metrics.status_key_id(&self.name, &key_id, now),
                Err(error) => self.metrics.invalid_key_id(&self.name, error),
            }
        }
        let started = Instant::now();
        let next = self.state().status_answered(status, now, &SystemRandom);
        match next {
            Check::AskEncrypt(seed) => {
                self.metrics.data_key_generated(started);
                let answer = self.client.encrypt(seed.uid(), seed.expose_plaintext()).await;
                self.state().encrypt_answered(seed, answer, self.clock.now())
            }
            Check::Done(outcome) => {
                if outcome.as_ref().is_err_and(lacks_random_bytes) {
                    self.metrics.data_key_failed();
                }
                outcome
            }
            // Status has been answered; should it ever be wanted again, the next check asks.
            Check::AskStatus => Ok(()),
        }
    }

    /// Seals with the current seed.
    pub(super) async fn seal(&self, key: &str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let writer = self.writer().await?;
        let sealed = writer.seal(key, plain, &SystemRandom)?;
        self.metrics.key_id_used(Direction::ToStorage, &self.name, writer.key_id(), self.clock.now());
        Ok(sealed)
    }

    /// Opens what stands behind this provider's prefix.
    pub(super) async fn open(&self, key: &str, body: &[u8]) -> Result<Opened, OpenError> {
        let object = EncryptedObject::decode(body).map_err(OpenError::Decode)?;
        let read = self.state().read(object, &SystemRandom)?;
        let opener = match read {
            Read::Ready(opener) => opener,
            Read::AskDecrypt(pending) => {
                self.metrics.cache_missed();
                tracing::debug!(uid = pending.uid(), key, "a seed is not cached: asking the plugin");
                let answer = self.client.decrypt(pending.uid(), pending.object()).await;
                let mut state = self.state();
                let opener = state.decrypt_answered(pending, answer, self.clock.now())?;
                self.metrics.cache_size(&self.name, state.cached_dek_sources());
                opener
            }
        };
        self.metrics.key_id_used(Direction::FromStorage, &self.name, opener.object().key_id(), self.clock.now());
        opener.open(key)
    }

    /// Differs: a real clock cannot jump over the interval between two checks, a stack's can, and then a healthy seed
    /// has expired before any check could prolong it. A write that meets such a seed has the plugin checked first.
    async fn writer(&self) -> Result<Arc<Writer>, SealError> {
        let now = self.clock.now();
        match self.writer_at(now) {
            Err(SealError::Expired { .. }) if self.state().is_overdue(now) => {
                // Its outcome shows in what the second try says.
                let _ = self.check().await;
                self.writer_at(self.clock.now())
            }
            first => first,
        }
    }

    fn writer_at(&self, now: Timestamp) -> Result<Arc<Writer>, SealError> {
        let mut state = self.state();
        let writer = state.writer(now)?;
        self.metrics.cache_size(&self.name, state.cached_dek_sources());
        Ok(writer)
    }

    /// The state is whole between any two calls on it, so a panic elsewhere does not spoil it.
    fn state(&self) -> MutexGuard<'_, Kms> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lacks_random_bytes(error: &HealthError) -> bool {
    let HealthError::Unhealthy { problems, .. } = error else { return false };
    problems.iter().any(|problem| match problem {
        StatusProblem::Rotate(error) => matches!(error.generate_error(), Some(GenerateError::Random(_))),
        _ => false,
    })
}
