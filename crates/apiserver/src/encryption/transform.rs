//! Encryption as the rest of the server sees it: values go in and out, whichever configuration is in use.
//!
//! Imitates `DynamicTransformers` and the choice of health checks in `LoadEncryptionConfig`, both of kube-apiserver's
//! `encryptionconfig/config.go`.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use clock::Clock;
use envelope::{EncryptionConfiguration, OpenError, ParseOptions, SealError};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;
use super::reload::Reloader;
use super::transformers::Transformers;

pub(crate) use envelope::Opened;

/// What seals and opens stored values.
#[derive(Debug)]
pub(crate) struct Encryption {
    /// Changed whole, when the file is loaded again.
    transformers: RwLock<Arc<Transformers>>,
    reloads: bool,
}

/// A file whose changes are followed: `--encryption-provider-config-automatic-reload`.
#[derive(Clone, Debug)]
pub struct EncryptionReload {
    /// The file, from which the configuration that the server starts with was read.
    pub file: PathBuf,
    /// What its new contents may say; `reload` is taken as set.
    pub options: ParseOptions,
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

/// A health check of the KMS providers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum KmsCheck {
    /// All of them: `kms-providers`.
    All,
    /// The one at this place of the file: `kms-provider-<i>`.
    One(usize),
}

impl KmsCheck {
    /// The name in health paths.
    pub(crate) fn name(self) -> Cow<'static, str> {
        match self {
            Self::All => Cow::Borrowed("kms-providers"),
            Self::One(place) => Cow::Owned(format!("kms-provider-{place}")),
        }
    }
}

/// A health check failed. Displays upstream's text: what follows `internal server error: `.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum HealthError {
    /// That of one provider.
    One(envelope::HealthError),
    /// That of all: the place of each unhealthy provider, and what is wrong with it.
    Some(Vec<(usize, envelope::HealthError)>),
}

impl Encryption {
    /// Starts with a configuration, and follows its file if told so. A KMS provider that is not there is waited for as
    /// long as its time-out says, and is no failure: it may come up later.
    pub(crate) async fn start(
        config: Option<EncryptionConfiguration>,
        reload: Option<EncryptionReload>,
        clock: Clock,
        registry: &prometheus::Registry,
        shutdown: CancellationToken,
    ) -> Arc<Self> {
        let metrics = Arc::new(Metrics::register(registry));
        if let Some(config) = &config {
            metrics.config.applied(config.hash());
        }
        let transformers = Transformers::start(config, &clock, Arc::clone(&metrics), shutdown.child_token()).await;
        let encryption =
            Arc::new(Self { transformers: RwLock::new(Arc::new(transformers)), reloads: reload.is_some() });
        if let Some(reload) = reload {
            let reloader = Reloader::new(reload, Arc::clone(&encryption), clock, metrics, shutdown.clone());
            tokio::spawn(async move {
                shutdown.run_until_cancelled(reloader.run()).await;
            });
        }
        encryption
    }

    /// The stored value of `plain`, which goes under the full etcd key `key`.
    ///
    /// # Errors
    ///
    /// [`TransformError::Seal`] if the provider that writes cannot: no seed, or none that may still write, or no answer.
    pub(crate) async fn seal(&self, resource: &str, key: &str, plain: &[u8]) -> Result<Vec<u8>, TransformError> {
        self.current().seal(resource, key, plain).await
    }

    /// The plain value of `stored`, which stands under the full etcd key `key`.
    ///
    /// # Errors
    ///
    /// [`TransformError::Open`] if no provider opens it.
    pub(crate) async fn open(&self, resource: &str, key: &str, stored: &[u8]) -> Result<Opened, TransformError> {
        self.current().open(resource, key, stored).await
    }

    /// The health checks there are: one for all providers if the file is followed, even without a provider, or if all
    /// speak KMS v2; otherwise one for each.
    pub(crate) fn checks(&self) -> Vec<KmsCheck> {
        match self.current().kms() {
            _ if self.reloads => vec![KmsCheck::All],
            (0, _) => Vec::new(),
            (_, true) => vec![KmsCheck::All],
            (count, false) => (0..count).map(KmsCheck::One).collect(),
        }
    }

    /// Makes a health check: each provider's own, memoised, one after the other.
    ///
    /// # Errors
    ///
    /// [`HealthError`] with every provider that is not healthy.
    pub(crate) async fn check(&self, check: KmsCheck) -> Result<(), HealthError> {
        let transformers = self.current();
        match check {
            KmsCheck::All => {
                let unhealthy = transformers.check().await;
                if unhealthy.is_empty() { Ok(()) } else { Err(HealthError::Some(unhealthy)) }
            }
            KmsCheck::One(place) => transformers.check_one(place).await.map_err(HealthError::One),
        }
    }

    /// What values go through now.
    pub(super) fn current(&self) -> Arc<Transformers> {
        Arc::clone(&self.transformers.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has values go through `new` from now on, and gives back what they went through before.
    pub(super) fn replace(&self, new: Transformers) -> Arc<Transformers> {
        let mut current = self.transformers.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, Arc::new(new))
    }
}

impl fmt::Display for HealthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unhealthy = match self {
            Self::One(error) => return error.fmt(f),
            Self::Some(unhealthy) => unhealthy,
        };
        let texts: Vec<_> = unhealthy.iter().map(|(place, error)| format!("kms-provider-{place}: {error}")).collect();
        match texts.as_slice() {
            [only] => f.write_str(only),
            several => write!(f, "[{}]", several.join(", ")),
        }
    }
}

impl std::error::Error for HealthError {}
