//! A vault in service: its contents behind locks, made durable change by change.
//!
//! One change at a time is decided, written to disk and then shown, all on a blocking thread, so that a caller who goes
//! away cannot stop it half-way and nobody ever reads what a crash could take back. Reads never wait for the disk.

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use aws_lc_rs::rand;
use clock::Clock;
use jiff::Timestamp;
use tokio::task::{JoinError, spawn_blocking};

use crate::access::AccessModel;
use crate::audit::ObjectLife;
use crate::config::{VaultConfig, VaultKind};
use crate::limits::Material;
use crate::network::NetworkRules;
use crate::storage::{Store, StoreError};
use crate::vault::{
    BackupKey, Change, Contents, ContentsChange, CryptoError, KeyMaterial, KeyShape, ObjectKind, ObjectName, Sku,
    VaultError, VaultName, VersionId,
};

/// A vault in service.
#[derive(Debug)]
pub(crate) struct LiveVault {
    name: VaultName,
    kind: VaultKind,
    sku: Sku,
    rules: RwLock<VaultRules>,
    contents: RwLock<Contents>,
    /// Rotated by their policies, and not told of yet.
    rotated: Mutex<Vec<ObjectName>>,
    /// Held while a change is decided and written.
    turn: Mutex<()>,
    store: Arc<Store>,
    clock: Clock,
}

impl LiveVault {
    pub(crate) fn new(config: VaultConfig, contents: Contents, store: Arc<Store>, clock: Clock) -> Self {
        let VaultConfig { name, recovery: _, kind, sku, access, network } = config;
        let (rules, contents) = (RwLock::new(VaultRules { access, network }), RwLock::new(contents));
        Self { name, kind, sku, rules, contents, rotated: Mutex::default(), turn: Mutex::new(()), store, clock }
    }

    pub(crate) fn name(&self) -> &VaultName {
        &self.name
    }

    pub(crate) fn kind(&self) -> VaultKind {
        self.kind
    }

    pub(crate) fn sku(&self) -> Sku {
        self.sku
    }

    /// Who may call, and from where.
    pub(crate) fn rules(&self) -> RwLockReadGuard<'_, VaultRules> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes who may call, or from where. `Differs:` it counts at once, and is not kept over a restart.
    pub(crate) fn change_rules(&self, change: impl FnOnce(&mut VaultRules)) {
        change(&mut self.rules.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Looks at what there is. What time has brought about is carried out first, for good: purges and rotations.
    ///
    /// # Errors
    ///
    /// Those of `look`, and [`ServiceError::Store`] if what is due cannot be made durable.
    pub(crate) async fn read<T>(
        self: &Arc<Self>,
        look: impl FnOnce(&Contents, Timestamp) -> Result<T, VaultError>,
    ) -> Result<T, ServiceError> {
        let (now, _) = self.catch_up().await?;
        let looked = look(&self.contents(), now);
        looked.map_err(ServiceError::Refused)
    }

    /// Carries out what time has brought about; gives the time, and when something will be due next.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Store`] or [`ServiceError::Crypto`] if it cannot be carried out.
    pub(crate) async fn catch_up(self: &Arc<Self>) -> Result<(Timestamp, Option<Timestamp>), ServiceError> {
        let now = self.clock.now();
        let next = self.contents().next_due();
        if next.is_none_or(|at| now < at) {
            return Ok((now, next));
        }
        self.in_turn(move |vault| vault.carry_out_due(now)).await?;
        let next = self.contents().next_due();
        Ok((now, next))
    }

    /// The keys that their policies rotated since this was last asked.
    pub(crate) fn take_rotated(&self) -> Vec<ObjectName> {
        std::mem::take(&mut *self.rotated.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The latest version of each object, as far as its life goes.
    pub(crate) fn lives(&self) -> Vec<ObjectLife> {
        self.inspect(|contents, _| {
            let keys = contents.keys.list(None).map(|key| {
                let latest = key.latest();
                let policy = key.settings().as_ref();
                let near = policy.zip(latest.attributes.expires).and_then(|(policy, expires)| policy.near(expires));
                ObjectLife { near, ..ObjectLife::new(ObjectKind::Key, key.name(), latest.id, latest.attributes) }
            });
            let secrets = contents.secrets.list(None).map(|secret| {
                let latest = secret.latest();
                ObjectLife::new(ObjectKind::Secret, secret.name(), latest.id, latest.attributes)
            });
            keys.chain(secrets).collect()
        })
    }

    /// Whether there is an object of this name, deleted ones included.
    pub(crate) fn holds(&self, kind: ObjectKind, name: &str) -> bool {
        let Ok(name) = name.parse::<ObjectName>() else { return false };
        self.inspect(|contents, now| match kind {
            ObjectKind::Key => contents.keys.find(&name).is_ok() || contents.keys.find_deleted(&name, now).is_ok(),
            ObjectKind::Secret => {
                contents.secrets.find(&name).is_ok() || contents.secrets.find_deleted(&name, now).is_ok()
            }
        })
    }

    /// The latest version of one object, as far as its life goes.
    pub(crate) fn life(&self, kind: ObjectKind, name: &str) -> Option<ObjectLife> {
        let name: ObjectName = name.parse().ok()?;
        self.inspect(|contents, _| {
            let (name, id, attributes) = match kind {
                ObjectKind::Key => {
                    let key = contents.keys.find(&name).ok()?;
                    (key.name(), key.latest().id, key.latest().attributes)
                }
                ObjectKind::Secret => {
                    let secret = contents.secrets.find(&name).ok()?;
                    (secret.name(), secret.latest().id, secret.latest().attributes)
                }
            };
            Some(ObjectLife::new(kind, name, id, attributes))
        })
    }

    /// The material of a key, as the limits see it: that of a version, or of the latest.
    pub(crate) fn material(&self, name: &str, version: Option<&str>) -> Option<Material> {
        let name = name.parse().ok()?;
        let version = version.map(str::parse).transpose().ok()?;
        self.inspect(|contents, _| {
            let key_type = contents.keys.find_version(&name, version).ok()?.1.key_type();
            let rsa_bits = match key_type.shape {
                shape @ KeyShape::Rsa(_) => Some(shape.bits()),
                KeyShape::Ec(_) | KeyShape::Oct(_) => None,
            };
            Some(Material { is_hsm: key_type.hsm, rsa_bits })
        })
    }

    /// Looks at what there is as it is, at once: for the control door.
    pub(crate) fn inspect<T>(&self, look: impl FnOnce(&Contents, Timestamp) -> T) -> T {
        look(&self.contents(), self.clock.now())
    }

    /// Decides on a change and carries it out. When this returns it is durable.
    ///
    /// # Errors
    ///
    /// Those of `decide`, and [`ServiceError::Store`] if the change cannot be made durable; then nothing has changed.
    pub(crate) async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        decide: impl FnOnce(&Contents, Timestamp) -> Result<(ContentsChange, T), VaultError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        self.in_turn(|vault| {
            let now = vault.clock.now();
            vault.carry_out_due(now)?;
            let (change, answer) = decide(&vault.contents(), now).map_err(ServiceError::Refused)?;
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
    pub(crate) async fn generate(shape: KeyShape) -> Result<(Arc<KeyMaterial>, VersionId), ServiceError> {
        Self::compute(move || generate(shape)).await
    }

    /// A fresh version id.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Crypto`] if the random source fails.
    pub(crate) fn version_id() -> Result<VersionId, ServiceError> {
        VersionId::random().map_err(|_| ServiceError::Crypto { source: CryptoError::Random })
    }

    /// Bytes from the system's random source.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Crypto`] if it fails.
    pub(crate) fn random_bytes(count: usize) -> Result<Vec<u8>, ServiceError> {
        let mut bytes = vec![0; count];
        rand::fill(&mut bytes).map_err(|_| ServiceError::Crypto { source: CryptoError::Random })?;
        Ok(bytes)
    }

    /// Computes something that takes long, off the async threads.
    ///
    /// # Errors
    ///
    /// Those of `work`.
    pub(crate) async fn compute<T: Send + 'static>(
        work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        spawn_blocking(work).await.map_err(|source| ServiceError::Task { source })?
    }

    /// Does something with the key that backups are sealed with. Blocks on the disk at first, so it takes a turn.
    ///
    /// # Errors
    ///
    /// Those of `work`, and [`ServiceError::Store`] if there is no such key and none can be stored.
    pub(crate) async fn with_backup_key<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&BackupKey) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        self.in_turn(|vault| work(vault.store.backup_key().map_err(|source| ServiceError::Store { source })?)).await
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

    /// Carries out what time has brought about.
    fn carry_out_due(&self, now: Timestamp) -> Result<(), ServiceError> {
        if self.contents().next_due().is_none_or(|at| now < at) {
            return Ok(());
        }
        let purges = self.contents().due_purges(now);
        if !purges.is_empty() {
            tracing::info!(vault = %self.name, objects = purges.len(), "purging: the retention of deleted objects has ended");
            self.commit(purges)?;
        }
        let rotations = self.contents().keys.due_rotations(now);
        for (name, key_type) in rotations {
            tracing::info!(vault = %self.name, key = %name, "rotating a key, as its policy says");
            let (material, id) = generate(key_type.shape)?;
            let rotated = self.contents().keys.rotate(&name, id, material, now).map_err(ServiceError::Refused)?;
            self.commit(vec![ContentsChange::Key(Change::Put(rotated))])?;
            self.rotated.lock().unwrap_or_else(PoisonError::into_inner).push(name);
        }
        Ok(())
    }

    fn commit(&self, changes: Vec<ContentsChange>) -> Result<(), ServiceError> {
        self.store.write(&self.name, &changes).map_err(|source| ServiceError::Store { source })?;
        let mut contents = self.contents.write().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            contents.apply(change);
        }
        Ok(())
    }

    fn contents(&self) -> RwLockReadGuard<'_, Contents> {
        self.contents.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn generate(shape: KeyShape) -> Result<(Arc<KeyMaterial>, VersionId), ServiceError> {
    let material = KeyMaterial::generate(shape).map_err(|source| ServiceError::Crypto { source })?;
    Ok((Arc::new(material), LiveVault::version_id()?))
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
