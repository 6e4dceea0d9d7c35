//! The plugin itself: a handle that the gRPC service and the control door share, and the task that follows a key.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use azure_core::error::Error as SdkError;
use clock::Clock;
use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::info;

use crate::budget::Budget;
use crate::certificate::CertificateError;
use crate::config::Config;
use crate::difference::Difference;
use crate::health::{Begun, Health, LastResult};
use crate::in_flight::InFlight;
use crate::key::{KeyId, KeyVersion};
use crate::known_versions::{KnownVersion, KnownVersions, KnownVersionsError};
use crate::log::ALWAYS;
use crate::metrics::Metrics;
use crate::operation::{Listed, OperationError};
use crate::vault_client::{VaultClient, transport};

/// A running plugin. Clones are the same plugin; it stops following its key when the last is dropped.
#[derive(Clone, Debug)]
pub struct Plugin {
    pub(crate) inner: Arc<Inner>,
}

impl Plugin {
    /// Starts a plugin. The vault is asked for the first time afterwards, so that a vault out of reach does not keep
    /// the plugin, and the API server before it, from starting. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`StartError`] if the configuration cannot work, whatever the vault says.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let cloud = config.cloud.name();
        let key = config.full_key().ok_or(StartError::NoManagedHsm { cloud })?;
        if config.key_version.is_none() && config.like_azure.contains(&Difference::Versions) {
            return Err(StartError::NoVersion);
        }
        let metrics = Metrics::new(config.like_azure.contains(&Difference::Metrics));
        let metrics = metrics.map_err(|source| StartError::Metrics { source })?;
        let known = KnownVersions::open(key.clone(), config.known_versions_file.clone())?;
        let transport = transport(&config.http, config.proxy_mode.as_deref(), &config.cloud, &key)?;
        let client = VaultClient::new(
            key,
            config.cloud,
            config.credential,
            transport,
            if config.like_azure.contains(&Difference::Limit) { 0 } else { config.max_vault_calls },
            config.like_azure.contains(&Difference::Retries),
        )?;
        known.remember(config.previous_key.clone());
        if let Some(version) = &config.key_version {
            known.adopt(version);
        }
        info!(target: ALWAYS, version = env!("CARGO_PKG_VERSION"), "Starting KeyManagementServiceServer service");
        let (vault, key_name) = (client.key().vault_url(), client.key().name().as_str());
        let version = config.key_version.as_ref().map(KeyVersion::as_str);
        info!(target: ALWAYS, vaultURL = vault, keyName = key_name, keyVersion = version, "using kms key for encrypt/decrypt");

        let stop = CancellationToken::new();
        let inner = Arc::new(Inner {
            client,
            clock: config.clock.clone(),
            current: RwLock::new(config.key_version.clone()),
            follow_interval: config.key_version.is_none().then_some(config.poll_interval),
            health: Health::default(),
            in_flight: InFlight::default(),
            known,
            like_azure: config.like_azure,
            listing: Mutex::default(),
            looked: Mutex::default(),
            metrics,
            moduli: SyncMutex::default(),
            round_trip: Mutex::default(),
            status_freshness: config.status_freshness,
            two_keys: config.previous_key,
            _stop: stop.clone().drop_guard(),
        });
        let watch = Watch { clock: config.clock, plugin: Arc::downgrade(&inner) };
        tokio::spawn(async move { stop.run_until_cancelled(watch.run()).await });
        Ok(Self { inner })
    }

    /// What the plugin knows, for the control door.
    pub fn report(&self) -> Report {
        let version = self.inner.current();
        Report {
            key_id: version.as_ref().map(|version| self.inner.key_id(version)),
            version,
            known: self.inner.known.all(),
            last_result: self.inner.health.last(),
        }
    }
}

/// What a plugin knows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The key id that Status gives; `None` as long as no version is known.
    pub key_id: Option<KeyId>,
    /// The version that is encrypted with.
    pub version: Option<KeyVersion>,
    /// All versions that can be decrypted with, as far as the vault lets.
    pub known: Vec<KnownVersion>,
    /// The latest call to the vault.
    pub last_result: Option<LastResult>,
}

/// Why a plugin cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The client certificate cannot be used. The text is Azure's plugin's.
    #[error("failed to decode the client certificate")]
    Certificate {
        /// What is wrong with it.
        source: CertificateError,
    },
    /// The client certificate cannot be read. The text is Azure's plugin's.
    #[error("failed to read client certificate from file {}", path.display())]
    CertificateFile {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The certificates to trust are not PEM.
    #[error("read the certificates to trust")]
    Certificates {
        /// What is wrong with them.
        source: reqwest::Error,
    },
    /// The HTTP client cannot be made.
    #[error("set up HTTPS")]
    Http {
        /// The client's reason.
        source: reqwest::Error,
    },
    /// The file of known versions cannot be used.
    #[error(transparent)]
    KnownVersions(#[from] KnownVersionsError),
    /// The metrics cannot be set up.
    #[error("set up metrics")]
    Metrics {
        /// The registry's reason.
        source: prometheus::Error,
    },
    /// There is no certificate among the certificates to trust.
    #[error("read the certificates to trust: there is no PEM certificate in them")]
    NoCertificate,
    /// A managed HSM is asked for and the cloud has none. The text is Azure's plugin's.
    #[error("keyvault resource identifier not available for cloud: {cloud}")]
    NoManagedHsm {
        /// The cloud.
        cloud: &'static str,
    },
    /// The version is missing and [`Difference::Versions`] demands one. The text is Azure's plugin's.
    #[error("key vault name, key name and key version are required")]
    NoVersion,
    /// The proxy's URL is none.
    #[error("use proxy {url:?}")]
    Proxy {
        /// The URL as given.
        url: String,
        /// What is wrong with it.
        source: reqwest::Error,
    },
    /// The Azure SDK refuses the configuration, such as an empty client id.
    #[error("set up the Azure SDK")]
    Sdk {
        /// The SDK's reason.
        source: Box<SdkError>,
    },
}

/// What all parts of a plugin share. Its operations are in `operation`.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) client: VaultClient,
    pub(crate) clock: Clock,
    current: RwLock<Option<KeyVersion>>,
    /// How often to look for a newer version; `None` if the version is given.
    pub(crate) follow_interval: Option<Duration>,
    pub(crate) health: Health,
    pub(crate) in_flight: InFlight,
    pub(crate) like_azure: BTreeSet<Difference>,
    pub(crate) known: KnownVersions,
    /// The latest listing of versions that an unknown key id caused, and when. Held while one is made.
    pub(crate) listing: Mutex<Option<(Timestamp, Listed)>>,
    /// When a newer version was last looked for. Held while that is done.
    pub(crate) looked: Mutex<Option<Timestamp>>,
    pub(crate) metrics: Metrics,
    /// The sizes of the versions' moduli, as far as they are known, in bytes.
    pub(crate) moduli: SyncMutex<BTreeMap<KeyVersion, usize>>,
    /// The latest round trip for Status. Held while one is made.
    pub(crate) round_trip: Mutex<Option<(Begun, Result<KeyId, OperationError>)>>,
    pub(crate) status_freshness: Duration,
    /// AKS's two-key rule: the one version besides the current that is decrypted with.
    pub(crate) two_keys: Option<KeyVersion>,
    _stop: DropGuard,
}

impl Inner {
    /// The version that is encrypted with; `None` until a key without a version has answered once.
    pub(crate) fn current(&self) -> Option<KeyVersion> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn is_like_azure(&self, difference: Difference) -> bool {
        self.like_azure.contains(&difference)
    }

    /// Whether it is a change.
    pub(crate) fn replace_current(&self, version: &KeyVersion) -> bool {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.replace(version.clone()).as_ref() != Some(version)
    }
}

/// The task beside the service. It must not keep the plugin alive, so it holds it only while it works.
struct Watch {
    clock: Clock,
    plugin: Weak<Inner>,
}

impl Watch {
    /// Lists the versions once, for old ciphertexts: those that come later are asked for when they are met. Then looks
    /// for newer versions.
    async fn run(self) {
        if let Some(plugin) = self.plugin.upgrade()
            && let Err(error) = plugin.list_versions(Budget::of(LOOK_LIMIT)).await
        {
            info!(class = ?error.class(), "cannot list the key's versions; those that were seen are known");
        }
        while let Some(next) = self.look().await {
            self.clock.wait_until(next).await;
        }
    }

    /// When to look again.
    async fn look(&self) -> Option<Timestamp> {
        let plugin = self.plugin.upgrade()?;
        let interval = plugin.follow_interval?;
        // It has said in the log why, if it failed.
        let _ = plugin.follow_if_due(Budget::of(LOOK_LIMIT)).await;
        let looked = plugin.looked.lock().await.unwrap_or_else(|| self.clock.now());
        Some(looked.checked_add(interval).unwrap_or(Timestamp::MAX))
    }
}

/// How long one look may take, in real time.
const LOOK_LIMIT: Duration = Duration::from_secs(10);
