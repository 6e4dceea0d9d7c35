//! Sealing and opening the values of one resource through its providers.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use clock::Clock;
use envelope::{EncryptionConfiguration, GroupResource, OpenError, Provider, SealError};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::metrics::{Direction, Metrics, Outcome};
use super::probe;
use super::provider::KmsDriver;

pub(crate) use envelope::Opened;

/// What seals and opens stored values.
#[derive(Debug)]
pub(crate) struct Encryption {
    config: Option<EncryptionConfiguration>,
    /// In the order of the file.
    drivers: Vec<Arc<KmsDriver>>,
    metrics: Arc<Metrics>,
}

/// A value could not be sealed or opened. Displays upstream's whole text, so there is no `source()`.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub(crate) enum TransformError {
    /// It could not be opened.
    #[error("{0}")]
    Open(OpenError),
    /// It could not be sealed.
    #[error("{0}")]
    Seal(SealError),
}

/// The `kms-providers` check failed. Displays upstream's text: what follows `internal server error: `.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct HealthError {
    /// The place of each unhealthy provider among the KMS providers of the file, and what is wrong with it.
    unhealthy: Vec<(usize, envelope::HealthError)>,
}

impl Encryption {
    /// Checks every KMS provider once, one after the other, and leaves a task to each that goes on checking until
    /// `shutdown`. A provider that is not there is waited for as long as its time-out says, and is no failure: it may
    /// come up later.
    pub(crate) async fn start(
        config: Option<EncryptionConfiguration>,
        clock: Clock,
        registry: &prometheus::Registry,
        shutdown: CancellationToken,
    ) -> Arc<Self> {
        let metrics = Arc::new(Metrics::register(registry));
        let mut drivers = Vec::new();
        if let Some(config) = &config {
            metrics.config_applied(config.hash());
            for provider in config.kms_providers() {
                let driver = Arc::new(KmsDriver::new(provider, clock.clone(), Arc::clone(&metrics)));
                probe::start(&driver, &clock, &shutdown).await;
                drivers.push(driver);
            }
        }
        Arc::new(Self { config, drivers, metrics })
    }

    /// The stored value of `plain`, which goes under the full etcd key `key`.
    ///
    /// # Errors
    ///
    /// [`TransformError::Seal`] if the provider that writes has no seed, or none that may still write.
    pub(crate) async fn seal(&self, resource: &str, key: &str, plain: &[u8]) -> Result<Vec<u8>, TransformError> {
        let group_resource = GroupResource::parse(resource);
        let Some(chain) = self.config.as_ref().and_then(|config| config.chain(&group_resource)) else {
            return Ok(plain.to_vec());
        };
        let started = Instant::now();
        let provider = chain.writer();
        let sealed = match provider {
            Provider::Identity => Ok(plain.to_vec()),
            kms => match self.driver(kms) {
                Some(driver) => driver.seal(key, plain).await.map_err(TransformError::Seal),
                // Every KMS provider of the file has a driver. Should one be missing, nothing is stored in the clear.
                None => Err(TransformError::Seal(SealError::NoSeed)),
            },
        };
        let outcome = Outcome::of(sealed.as_ref().err());
        self.metrics.transformed(resource, Direction::ToStorage, &provider.prefix(), outcome, started);
        sealed
    }

    /// The plain value of `stored`, which stands under the full etcd key `key`.
    ///
    /// # Errors
    ///
    /// [`TransformError::Open`] if no provider opens it.
    pub(crate) async fn open(&self, resource: &str, key: &str, stored: &[u8]) -> Result<Opened, TransformError> {
        let group_resource = GroupResource::parse(resource);
        let Some(chain) = self.config.as_ref().and_then(|config| config.chain(&group_resource)) else {
            return envelope::open_identity(stored).map_err(TransformError::Open);
        };
        let started = Instant::now();
        let transformed = |prefix: &str, outcome| {
            self.metrics.transformed(resource, Direction::FromStorage, prefix, outcome, started);
        };
        // Names are unique and end at a colon, so at most one KMS provider has the prefix: there is one error to tell.
        let mut failure = None;
        for attempt in chain.attempts(stored) {
            let (prefix, opened) = match attempt.provider {
                Provider::Identity => match envelope::open_identity(attempt.body) {
                    Ok(opened) => ("identity".to_owned(), Ok(opened)),
                    // What identity says of an encrypted value is nobody's failure: another provider may have it.
                    Err(_) => continue,
                },
                kms => match self.driver(kms) {
                    Some(driver) => (kms.prefix(), driver.open(key, attempt.body).await),
                    None => (kms.prefix(), Err(OpenError::NoSeed)),
                },
            };
            match opened {
                Ok(opened) => {
                    transformed(&prefix, Outcome::Ok);
                    return Ok(Opened { stale: opened.stale || attempt.position != 0, ..opened });
                }
                Err(error) => {
                    let error = TransformError::Open(error);
                    transformed(&prefix, Outcome::of(Some(&error)));
                    failure.get_or_insert(error);
                }
            }
        }
        Err(failure.unwrap_or_else(|| {
            let error = TransformError::Open(OpenError::NoMatchingPrefix);
            transformed("unknown", Outcome::of(Some(&error)));
            error
        }))
    }

    /// The `kms-providers` health check: each provider's own check, memoised, one after the other.
    ///
    /// # Errors
    ///
    /// [`HealthError`] with every provider that is not healthy.
    pub(crate) async fn check(&self) -> Result<(), HealthError> {
        let mut unhealthy = Vec::new();
        for (index, driver) in self.drivers.iter().enumerate() {
            if let Err(error) = driver.check().await {
                unhealthy.push((index, error));
            }
        }
        if unhealthy.is_empty() { Ok(()) } else { Err(HealthError { unhealthy }) }
    }

    /// Whether the check `kms-providers` exists.
    pub(crate) fn has_kms(&self) -> bool {
        !self.drivers.is_empty()
    }

    fn driver(&self, provider: &Provider) -> Option<&KmsDriver> {
        let Provider::Kms(kms) = provider else { return None };
        self.drivers.iter().map(Arc::as_ref).find(|driver| *driver.name() == kms.name)
    }
}

impl fmt::Display for HealthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> =
            self.unhealthy.iter().map(|(index, error)| format!("kms-provider-{index}: {error}")).collect();
        match texts.as_slice() {
            [only] => f.write_str(only),
            several => write!(f, "[{}]", several.join(", ")),
        }
    }
}

impl std::error::Error for HealthError {}
