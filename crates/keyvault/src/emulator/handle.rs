//! The emulator: its vaults in service, its identities, its faults and its journal, behind one cheap handle.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use clock::Clock;
use serde::Serialize;
use uuid::Uuid;

use crate::access::Roster;
use crate::audit::{AuditRecord, ExpiryWatch, GridEvent, Log};
use crate::config::{Config, VaultKind};
use crate::control::Control;
use crate::emulator::LiveVault;
use crate::faults::Faults;
use crate::identity::{Directory, TokenAuthority};
use crate::journal::Journal;
use crate::limits::Throttle;
use crate::storage::{OpenError, Store};
use crate::vault::{Contents, VaultName};

/// A handle on an emulator. Clones are the same emulator.
#[derive(Clone, Debug)]
pub struct Emulator {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    tenant_id: Uuid,
    subscription_id: Uuid,
    resource_group: String,
    region: String,
    clock: Clock,
    vaults: BTreeMap<VaultName, Arc<LiveVault>>,
    directory: Directory,
    tokens: TokenAuthority,
    roster: RwLock<Roster>,
    role_propagation: Duration,
    throttle: Throttle,
    faults: Faults,
    journal: Journal,
    audit: Log<AuditRecord>,
    events: Log<GridEvent>,
    expiry: ExpiryWatch,
}

impl Emulator {
    /// Makes the emulator and reads its state, if it has a data directory. Blocks on the disk then.
    ///
    /// A stored vault that `config` does not name stays in the file, untouched.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: a configuration that does not hold together, or a state file that cannot be used.
    pub fn open(config: Config) -> Result<Self, OpenError> {
        config.check().map_err(|source| OpenError::Config { source })?;
        let store = Arc::new(match &config.data_dir {
            None => Store::in_memory(),
            Some(data_dir) => Store::open(data_dir)?,
        });
        let mut vaults = BTreeMap::new();
        for vault in config.vaults {
            let (keys, secrets) = match &config.data_dir {
                None => (Vec::new(), Vec::new()),
                Some(data_dir) => store.load(&vault.name, data_dir)?,
            };
            let contents = Contents::new(vault.recovery, keys, secrets);
            let name = vault.name.clone();
            let live = LiveVault::new(vault, contents, Arc::clone(&store), config.clock.clone());
            vaults.insert(name, Arc::new(live));
        }
        let clock = config.clock.clone();
        let emulator = Self {
            inner: Arc::new(Inner {
                tenant_id: config.tenant_id,
                subscription_id: config.subscription_id,
                resource_group: config.resource_group,
                region: config.region,
                clock: config.clock,
                vaults,
                directory: Directory::new(config.principals, config.identity_header),
                tokens: TokenAuthority::new(config.tenant_id, store),
                roster: RwLock::new(Roster::new(config.role_assignments)),
                role_propagation: config.role_propagation,
                throttle: Throttle::new(config.limits),
                faults: Faults::new(clock),
                journal: Journal::default(),
                audit: open_log(config.audit_log.as_deref())?,
                events: open_log(config.event_log.as_deref())?,
                expiry: ExpiryWatch::default(),
            }),
        };
        // What has ended while nobody ran is old news.
        let _ = emulator.due_events();
        Ok(emulator)
    }

    /// The other door: faults, counters, and a look inside.
    pub fn control(&self) -> Control {
        Control::new(self.clone())
    }

    pub(crate) fn tenant_id(&self) -> Uuid {
        self.inner.tenant_id
    }

    pub(crate) fn region(&self) -> &str {
        &self.inner.region
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    pub(crate) fn vault(&self, name: &VaultName) -> Option<&Arc<LiveVault>> {
        self.inner.vaults.get(name)
    }

    pub(crate) fn vaults(&self) -> impl ExactSizeIterator<Item = &Arc<LiveVault>> {
        self.inner.vaults.values()
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.inner.directory
    }

    pub(crate) fn tokens(&self) -> &TokenAuthority {
        &self.inner.tokens
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// The ARM id of a vault.
    pub(crate) fn resource_id(&self, vault: &LiveVault) -> String {
        let Inner { subscription_id, resource_group, .. } = &*self.inner;
        let kind = match vault.kind() {
            VaultKind::ManagedHsm => "managedHSMs",
            VaultKind::Vault => "vaults",
        };
        let name = vault.name();
        format!(
            "/subscriptions/{subscription_id}/resourceGroups/{resource_group}/providers/Microsoft.KeyVault/{kind}/{name}"
        )
    }

    pub(crate) fn roster(&self) -> RwLockReadGuard<'_, Roster> {
        self.inner.roster.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes role assignments; what is given or taken back counts after the second argument.
    pub(crate) fn change_roster<T>(&self, change: impl FnOnce(&mut Roster, Duration) -> T) -> T {
        let mut roster = self.inner.roster.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut roster, self.inner.role_propagation)
    }

    pub(crate) fn throttle(&self) -> &Throttle {
        &self.inner.throttle
    }

    pub(crate) fn audit(&self) -> &Log<AuditRecord> {
        &self.inner.audit
    }

    pub(crate) fn events(&self) -> &Log<GridEvent> {
        &self.inner.events
    }

    pub(crate) fn expiry(&self) -> &ExpiryWatch {
        &self.inner.expiry
    }

    pub(crate) fn journal(&self) -> &Journal {
        &self.inner.journal
    }
}

fn open_log<T: Clone + Serialize>(path: Option<&Path>) -> Result<Log<T>, OpenError> {
    let named = || path.map(Path::to_owned).unwrap_or_default();
    Log::open(path).map_err(|source| OpenError::DataDir { path: named(), source })
}
