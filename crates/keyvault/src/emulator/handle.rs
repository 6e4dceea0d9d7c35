//! The emulator: its vaults in service, its identities, its faults and its journal, behind one cheap handle.

use std::collections::BTreeMap;
use std::sync::Arc;

use clock::Clock;
use uuid::Uuid;

use crate::config::Config;
use crate::control::Control;
use crate::emulator::LiveVault;
use crate::faults::Faults;
use crate::identity::{Directory, TokenAuthority};
use crate::journal::Journal;
use crate::storage::{OpenError, Store};
use crate::vault::{Keyring, VaultName};

/// A handle on an emulator. Clones are the same emulator.
#[derive(Clone, Debug)]
pub struct Emulator {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    tenant_id: Uuid,
    region: String,
    clock: Clock,
    vaults: BTreeMap<VaultName, Arc<LiveVault>>,
    directory: Directory,
    tokens: TokenAuthority,
    faults: Faults,
    journal: Journal,
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
            let keys = match &config.data_dir {
                None => Vec::new(),
                Some(data_dir) => store.load(&vault.name, data_dir)?,
            };
            let keyring = Keyring::new(vault.recovery, keys);
            let live =
                LiveVault::new(vault.name.clone(), vault.kind, keyring, Arc::clone(&store), config.clock.clone());
            vaults.insert(vault.name, Arc::new(live));
        }
        Ok(Self {
            inner: Arc::new(Inner {
                tenant_id: config.tenant_id,
                region: config.region,
                clock: config.clock,
                vaults,
                directory: Directory::new(config.principals, config.identity_header),
                tokens: TokenAuthority::new(config.tenant_id, store),
                faults: Faults::new(),
                journal: Journal::default(),
            }),
        })
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

    pub(crate) fn journal(&self) -> &Journal {
        &self.inner.journal
    }
}
