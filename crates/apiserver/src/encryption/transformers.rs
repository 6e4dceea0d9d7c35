//! One configuration in use: its providers, started, and the way of a value through them.
//!
//! Imitates `prefixTransformers` of kube-apiserver's `storage/value/transformer.go` (who reads and writes, what is counted)
//! and `kmsPrefixTransformer` of `encryptionconfig/config.go`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clock::Clock;
use envelope::{
    EncryptionConfiguration, GroupResource, KmsProvider, KmsVersion, OpenError, Opened, Provider, SealError,
    SystemRandom,
};
use tokio_util::sync::CancellationToken;

use super::metrics::{Direction, Metrics, Outcome};
use super::probe;
use super::provider::KmsDriver;
use super::provider_v1::KmsV1Driver;
use super::transform::TransformError;

/// A configuration and the drivers of its KMS providers.
#[derive(Debug)]
pub(super) struct Transformers {
    config: Option<EncryptionConfiguration>,
    /// By [`KmsProvider::place`].
    drivers: Vec<Driver>,
    metrics: Arc<Metrics>,
    /// Ends the checks that nobody asks for.
    stop: CancellationToken,
}

#[derive(Debug)]
enum Driver {
    V1(Arc<KmsV1Driver>),
    V2(Arc<KmsDriver>),
}

impl Transformers {
    /// Checks every KMS v2 provider once, one after the other, and leaves a task to each that goes on checking until
    /// `stop`. A provider that is not there is waited for as long as its time-out says, and is no failure: it may come up
    /// later.
    pub(super) async fn start(
        config: Option<EncryptionConfiguration>,
        clock: &Clock,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> Self {
        let mut drivers = Vec::new();
        for provider in config.iter().flat_map(EncryptionConfiguration::kms_providers) {
            drivers.push(Driver::start(provider, clock, &metrics, &stop).await);
        }
        Self { config, drivers, metrics, stop }
    }

    /// The hash of the file; `None` without a configuration.
    pub(super) fn hash(&self) -> Option<&str> {
        self.config.as_ref().map(EncryptionConfiguration::hash)
    }

    /// How long the calls that are under way may still take (`KMSCloseGracePeriod`).
    pub(super) fn grace(&self) -> Duration {
        self.config.as_ref().map_or(Duration::ZERO, |config| config.kms_timeouts().saturating_mul(2))
    }

    /// Ends the checks that nobody asks for.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    pub(super) async fn seal(&self, resource: &str, key: &str, plain: &[u8]) -> Result<Vec<u8>, TransformError> {
        let group_resource = GroupResource::parse(resource);
        let Some(chain) = self.config.as_ref().and_then(|config| config.chain(&group_resource)) else {
            return Ok(plain.to_vec());
        };
        let started = Instant::now();
        let provider = chain.writer();
        let sealed = match provider {
            Provider::Identity => Ok(plain.to_vec()),
            Provider::Keys(keys) => {
                let sealed = keys.seal(key, plain, &SystemRandom).map_err(TransformError::Seal);
                if let Some(writer) = keys.writer() {
                    let outcome = Outcome::of(sealed.as_ref().err());
                    self.metrics.transformed(resource, Direction::ToStorage, writer.prefix(), outcome, started);
                }
                sealed
            }
            Provider::Kms(kms) => match self.drivers.get(kms.place) {
                Some(Driver::V1(driver)) => driver.seal(key, plain).await.map_err(TransformError::Seal),
                Some(Driver::V2(driver)) => driver.seal(key, plain).await.map_err(TransformError::Seal),
                // Every KMS provider of the file has a driver. Should one be missing, nothing is stored in the clear.
                None => Err(TransformError::Seal(SealError::NoSeed)),
            },
            // No other provider is in a configuration; nothing is stored in the clear.
            _ => Err(TransformError::Seal(SealError::NoSeed)),
        };
        let outcome = Outcome::of(sealed.as_ref().err());
        self.metrics.transformed(resource, Direction::ToStorage, &provider.prefix(), outcome, started);
        sealed
    }

    pub(super) async fn open(&self, resource: &str, key: &str, stored: &[u8]) -> Result<Opened, TransformError> {
        let group_resource = GroupResource::parse(resource);
        let Some(chain) = self.config.as_ref().and_then(|config| config.chain(&group_resource)) else {
            return envelope::open_identity(stored).map_err(TransformError::Open);
        };
        let started = Instant::now();
        let transformed = |prefix: &str, error: Option<&OpenError>| {
            let outcome = Outcome::of_open(error);
            self.metrics.transformed(resource, Direction::FromStorage, prefix, outcome, started);
        };
        let mut errors = Vec::new();
        for attempt in chain.attempts(stored) {
            let opened = match attempt.provider {
                Provider::Identity => match envelope::open_identity(attempt.body) {
                    Ok(opened) => Ok(opened),
                    // What identity says of an encrypted value is nobody's failure: another provider may have it.
                    Err(_) => continue,
                },
                Provider::Keys(keys) => keys.open(key, attempt.body, transformed),
                Provider::Kms(kms) => match self.drivers.get(kms.place) {
                    Some(Driver::V1(driver)) => driver.open(key, attempt.body).await,
                    Some(Driver::V2(driver)) => driver.open(key, attempt.body).await,
                    None => Err(OpenError::NoSeed),
                },
                _ => Err(OpenError::NoMatchingPrefix),
            };
            let prefix = attempt.provider.prefix();
            transformed(if prefix.is_empty() { "identity" } else { &prefix }, opened.as_ref().err());
            match opened {
                Ok(opened) => return Ok(Opened { stale: opened.stale || attempt.position != 0, ..opened }),
                Err(error) => errors.push(error),
            }
        }
        Err(TransformError::Open(OpenError::of_all(errors).unwrap_or_else(|| {
            let error = OpenError::NoMatchingPrefix;
            transformed("unknown", Some(&error));
            error
        })))
    }

    /// How many KMS providers there are, and whether all of them speak v2.
    pub(super) fn kms(&self) -> (usize, bool) {
        (self.drivers.len(), self.drivers.iter().all(|driver| matches!(driver, Driver::V2(_))))
    }

    /// Each provider's own check, memoised, one after the other: the unhealthy ones by their places.
    pub(super) async fn check(&self) -> Vec<(usize, envelope::HealthError)> {
        let mut unhealthy = Vec::new();
        for place in 0..self.drivers.len() {
            if let Err(error) = self.check_one(place).await {
                unhealthy.push((place, error));
            }
        }
        unhealthy
    }

    /// The check of one provider; one that is not there is healthy.
    pub(super) async fn check_one(&self, place: usize) -> Result<(), envelope::HealthError> {
        match self.drivers.get(place) {
            Some(Driver::V1(driver)) => driver.check().await,
            Some(Driver::V2(driver)) => driver.check().await,
            None => Ok(()),
        }
    }
}

impl Driver {
    async fn start(provider: &KmsProvider, clock: &Clock, metrics: &Arc<Metrics>, stop: &CancellationToken) -> Self {
        let (clock, metrics) = (clock.clone(), Arc::clone(metrics));
        match &provider.version {
            KmsVersion::V1 { name, cache_size } => {
                tracing::info!(
                    name,
                    "KMSv1 is deprecated and will only receive security updates going forward. Use KMSv2 instead."
                );
                Self::V1(Arc::new(KmsV1Driver::new(
                    name,
                    *cache_size,
                    &provider.endpoint,
                    provider.timeout,
                    clock,
                    metrics,
                )))
            }
            KmsVersion::V2(name) => {
                let driver = KmsDriver::new(name.clone(), &provider.endpoint, provider.timeout, clock.clone(), metrics);
                let driver = Arc::new(driver);
                probe::start(&driver, &clock, stop).await;
                Self::V2(driver)
            }
        }
    }
}
