//! A vault in service: its keyring behind locks, made durable change by change.
//!
//! One change at a time is decided, written to disk and then shown, all on a blocking thread, so that a caller who goes
//! away cannot stop it half-way and nobody ever reads what a crash could take back. Reads never wait for the disk.

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use clock::Clock;
use jiff::Timestamp;
use tokio::task::{JoinError, spawn_blocking};

use crate::access::{AccessModel, ObjectKind};
use crate::audit::ObjectLife;
use crate::config::VaultKind;
use crate::limits::Material;
use crate::network::NetworkRules;
use crate::storage::{Store, StoreError};
use crate::vault::{Change, CryptoError, Key, Keyring, RsaKey, RsaSize, VaultError, VaultName, VersionId};

/// A vault in service.
#[derive(Debug)]
pub(crate) struct LiveVault {
    name: VaultName,
    kind: VaultKind,
    rules: RwLock<VaultRules>,
    keyring: RwLock<Keyring>,
    /// Held while a change is decided and written.
    turn: Mutex<()>,
    store: Arc<Store>,
    clock: Clock,
}

impl LiveVault {
    pub(crate) fn new(
        name: VaultName,
        kind: VaultKind,
        rules: VaultRules,
        keyring: Keyring,
        store: Arc<Store>,
        clock: Clock,
    ) -> Self {
        Self {
            name,
            kind,
            rules: RwLock::new(rules),
            keyring: RwLock::new(keyring),
            turn: Mutex::new(()),
            store,
            clock,
        }
    }

    pub(crate) fn name(&self) -> &VaultName {
        &self.name
    }

    pub(crate) fn kind(&self) -> VaultKind {
        self.kind
    }

    /// Who may call, and from where.
    pub(crate) fn rules(&self) -> RwLockReadGuard<'_, VaultRules> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes who may call, or from where. `Differs:` it counts at once, and is not kept over a restart.
    pub(crate) fn change_rules(&self, change: impl FnOnce(&mut VaultRules)) {
        change(&mut self.rules.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Looks at the keys. What retention has ended for is purged first, for good.
    ///
    /// # Errors
    ///
    /// Those of `look`, and [`ServiceError::Store`] if a due purge cannot be made durable.
    pub(crate) async fn read<T>(
        self: &Arc<Self>,
        look: impl FnOnce(&Keyring, Timestamp) -> Result<T, VaultError>,
    ) -> Result<T, ServiceError> {
        let now = self.clock.now();
        if self.keyring().has_due(now) {
            self.in_turn(move |vault| vault.purge_due(now)).await?;
        }
        let looked = look(&self.keyring(), now);
        looked.map_err(ServiceError::Refused)
    }

    /// The latest version of each object, as far as its life goes.
    pub(crate) fn lives(&self) -> Vec<ObjectLife> {
        let life = |key: &Arc<Key>| {
            let (latest, attributes) = (key.latest(), key.latest().attributes);
            ObjectLife {
                kind: ObjectKind::Key,
                name: key.name().to_string(),
                version: latest.id.to_string(),
                not_before: attributes.not_before,
                expires: attributes.expires,
            }
        };
        self.inspect(|keyring, _| keyring.list(None).map(life).collect())
    }

    /// The latest version of one object.
    pub(crate) fn life(&self, kind: ObjectKind, name: &str) -> Option<ObjectLife> {
        self.lives().into_iter().find(|life| life.kind == kind && life.name.eq_ignore_ascii_case(name))
    }

    /// The material of a key, as the limits see it: that of a version, or of the latest.
    pub(crate) fn material(&self, name: &str, version: Option<&str>) -> Option<Material> {
        let name = name.parse().ok()?;
        let version = version.map(str::parse).transpose().ok()?;
        self.inspect(|keyring, _| {
            let (_, version) = keyring.find(&name, version).ok()?;
            Some(Material { is_hsm: false, rsa_bits: Some(8 * version.material.size().bytes()) })
        })
    }

    /// Looks at the keys as they are, at once: for the control door.
    pub(crate) fn inspect<T>(&self, look: impl FnOnce(&Keyring, Timestamp) -> T) -> T {
        look(&self.keyring(), self.clock.now())
    }

    /// Decides on a change and carries it out. When this returns it is durable.
    ///
    /// # Errors
    ///
    /// Those of `decide`, and [`ServiceError::Store`] if the change cannot be made durable; then nothing has changed.
    pub(crate) async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        decide: impl FnOnce(&Keyring, Timestamp) -> Result<(Change, T), VaultError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        self.in_turn(|vault| {
            let now = vault.clock.now();
            vault.purge_due(now)?;
            let (change, answer) = decide(&vault.keyring(), now).map_err(ServiceError::Refused)?;
            vault.commit(vec![change])?;
            Ok(answer)
        })
        .await
    }

    /// Makes key material and a version id, off the async threads.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Crypto`] if the library fails.
    pub(crate) async fn generate(size: RsaSize) -> Result<(Arc<RsaKey>, VersionId), ServiceError> {
        let made = spawn_blocking(move || {
            let id = VersionId::random().map_err(|_| CryptoError::Random)?;
            Ok((Arc::new(RsaKey::generate(size)?), id))
        });
        made.await.map_err(|source| ServiceError::Task { source })?.map_err(|source| ServiceError::Crypto { source })
    }

    async fn in_turn<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let vault = Arc::clone(self);
        let done = spawn_blocking(move || {
            let _turn = vault.turn.lock().unwrap_or_else(PoisonError::into_inner);
            work(&vault)
        });
        done.await.map_err(|source| ServiceError::Task { source })?
    }

    fn purge_due(&self, now: Timestamp) -> Result<(), ServiceError> {
        let due = self.keyring().due(now);
        if due.is_empty() {
            return Ok(());
        }
        tracing::info!(vault = %self.name, keys = due.len(), "purging deleted keys: their retention has ended");
        self.commit(due)
    }

    fn commit(&self, changes: Vec<Change>) -> Result<(), ServiceError> {
        self.store.write(&self.name, &changes).map_err(|source| ServiceError::Store { source })?;
        let mut keyring = self.keyring.write().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            keyring.apply(change);
        }
        Ok(())
    }

    fn keyring(&self) -> RwLockReadGuard<'_, Keyring> {
        self.keyring.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who may call a vault, and from where.
#[derive(Clone, Debug, Default)]
pub(crate) struct VaultRules {
    pub(crate) access: AccessModel,
    pub(crate) network: NetworkRules,
}

/// Why an operation was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    /// The cryptographic library failed.
    #[error("make or use key material")]
    Crypto {
        #[source]
        source: CryptoError,
    },
    /// The vault's rules forbid it.
    #[error("carry the operation out")]
    Refused(#[source] VaultError),
    /// The change could not be made durable.
    #[error("make the change durable")]
    Store {
        #[source]
        source: StoreError,
    },
    /// The work panicked, or the runtime is going down.
    #[error("finish the work")]
    Task {
        #[source]
        source: JoinError,
    },
}
