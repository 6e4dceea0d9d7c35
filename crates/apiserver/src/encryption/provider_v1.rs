//! One KMS v1 provider: the state that `envelope` keeps, and the calls it asks for.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use clock::Clock;
use envelope::{HealthError, KmsV1, OpenError, Opened, ProbeV1, ReadV1, SealError, SystemRandom};

use super::client_v1::KmsV1Client;
use super::metrics::{Direction, Metrics};

/// A KMS v1 provider and its plugin.
#[derive(Debug)]
pub(super) struct KmsV1Driver {
    client: KmsV1Client,
    clock: Clock,
    metrics: Arc<Metrics>,
    /// Held for moments, never across a wait.
    state: Mutex<KmsV1>,
    /// Held by the check under way: whoever wants another waits for its outcome.
    probe: tokio::sync::Mutex<ProbeV1>,
}

impl KmsV1Driver {
    pub(super) fn new(
        name: &str,
        cache_size: Option<NonZeroUsize>,
        endpoint: &str,
        timeout: Duration,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            client: KmsV1Client::new(endpoint, timeout),
            clock,
            metrics,
            state: Mutex::new(KmsV1::new(name, cache_size)),
            probe: tokio::sync::Mutex::new(ProbeV1::new(name.to_owned())),
        }
    }

    /// Has the plugin encrypt and decrypt, or tells again what a check found a moment ago.
    pub(super) async fn check(&self) -> Result<(), HealthError> {
        let mut probe = self.probe.lock().await;
        if let Some(outcome) = probe.remembered(self.clock.now()) {
            return outcome;
        }
        let encrypted = match self.client.encrypt(ProbeV1::PLAINTEXT).await {
            Ok(encrypted) => encrypted,
            Err(error) => return Err(probe.encrypt_failed(error, self.clock.now())),
        };
        match self.client.decrypt(&encrypted).await {
            Ok(_) => {
                probe.succeeded(self.clock.now());
                Ok(())
            }
            Err(error) => Err(probe.decrypt_failed(error, self.clock.now())),
        }
    }

    /// Seals under a data key of its own, which the plugin encrypts.
    pub(super) async fn seal(&self, key: &str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        self.metrics.v1.arrived(Direction::ToStorage, self.clock.now());
        let started = Instant::now();
        let pending = KmsV1::new_dek(&SystemRandom).inspect_err(|_| self.metrics.data_key_failed())?;
        self.metrics.data_key_generated(started);
        let answer = self.client.encrypt(pending.expose_plaintext()).await;
        let dek = {
            let mut state = self.state();
            let dek = state.encrypt_answered(pending, answer)?;
            self.cache_filled(&state);
            dek
        };
        dek.seal(key, plain, &SystemRandom)
    }

    /// Opens what stands behind this provider's prefix.
    pub(super) async fn open(&self, key: &str, body: &[u8]) -> Result<Opened, OpenError> {
        self.metrics.v1.arrived(Direction::FromStorage, self.clock.now());
        let read = self.state().read(body)?;
        let opener = match read {
            ReadV1::Ready(opener) => opener,
            ReadV1::AskDecrypt(pending) => {
                if self.state().cache_fill().is_some() {
                    self.metrics.cache_missed();
                }
                let answer = self.client.decrypt(pending.encrypted_dek()).await;
                let mut state = self.state();
                let opener = state.decrypt_answered(pending, answer)?;
                self.cache_filled(&state);
                opener
            }
        };
        opener.open(key)
    }

    fn cache_filled(&self, state: &KmsV1) {
        if let Some(fill) = state.cache_fill() {
            self.metrics.v1.dek_cache_fill(fill);
        }
    }

    /// The state is whole between any two calls on it, so a panic elsewhere does not spoil it.
    fn state(&self) -> MutexGuard<'_, KmsV1> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
