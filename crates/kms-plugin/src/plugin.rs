//! The plugin itself: a handle that the gRPC service and the control door share, and the task that follows a key.

use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use azure_core::error::Error as SdkError;
use clock::Clock;
use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::info;

use crate::budget::Budget;
use crate::config::Config;
use crate::health::{Begun, Health, LastResult};
use crate::key::{KeyId, KeyVersion};
use crate::known_versions::{KnownVersion, KnownVersions, KnownVersionsError};
use crate::operation::{Listed, OperationError};
use crate::vault_client::VaultClient;

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
        let key = config.full_key();
        let known = KnownVersions::open(key.clone(), config.known_versions_file)?;
        let client = VaultClient::new(key, config.cloud, config.credential, &config.http)?;
        known.remember(config.key_version.clone());
        info!(key = client.key().url(), version = config.key_version.as_ref().map(KeyVersion::as_str), "using key");

        let stop = CancellationToken::new();
        let inner = Arc::new(Inner {
            client,
            clock: config.clock.clone(),
            current: RwLock::new(config.key_version.clone()),
            follow_interval: config.key_version.is_none().then_some(config.poll_interval),
            health: Health::default(),
            known,
            listing: Mutex::default(),
            looked: Mutex::default(),
            round_trip: Mutex::default(),
            status_freshness: config.status_freshness,
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
            key_id: version.as_ref().map(|version| self.inner.client.key().key_id(version)),
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
    /// There is no certificate among the certificates to trust.
    #[error("read the certificates to trust: there is no PEM certificate in them")]
    NoCertificate,
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
    pub(crate) known: KnownVersions,
    /// The latest listing of versions that an unknown key id caused, and when. Held while one is made.
    pub(crate) listing: Mutex<Option<(Timestamp, Listed)>>,
    /// When a newer version was last looked for. Held while that is done.
    pub(crate) looked: Mutex<Option<Timestamp>>,
    /// The latest round trip for Status. Held while one is made.
    pub(crate) round_trip: Mutex<Option<(Begun, Result<KeyId, OperationError>)>>,
    pub(crate) status_freshness: Duration,
    _stop: DropGuard,
}

impl Inner {
    /// The version that is encrypted with; `None` until a key without a version has answered once.
    pub(crate) fn current(&self) -> Option<KeyVersion> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
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
