//! A Rust handle on an emulator; the emulated protocol cannot reach it. All it takes and gives can pass through JSON, so that the
//! harness can put its own HTTP door before it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::access::{AssignmentId, RoleAssignment};
use crate::audit::{AuditRecord, GridEvent};
use crate::control::{ControlCommand, ControlError};
use crate::emulator::Emulator;
use crate::faults::{Fault, FaultError, FaultId, InjectedFault};
use crate::journal::{RequestCount, RequestRecord};
use crate::vault::{Key, VaultName};

/// Control over an [`Emulator`]. Keeps it, and so the lock on its state file, until it is dropped.
#[derive(Clone, Debug)]
pub struct Control {
    emulator: Emulator,
}

impl Control {
    pub(crate) fn new(emulator: Emulator) -> Self {
        Self { emulator }
    }

    /// Injects a fault; it stays until it is cleared, or has struck as often as its count says.
    ///
    /// # Errors
    ///
    /// [`FaultError::Status`] if it would refuse with a status that is no error.
    pub fn inject(&self, fault: Fault) -> Result<FaultId, FaultError> {
        let id = self.emulator.faults().inject(fault)?;
        tracing::info!(?id, "injected a fault");
        Ok(id)
    }

    /// Clears a fault and lets the requests that hang on it go on. `false` if there is none with this id.
    pub fn clear(&self, id: FaultId) -> bool {
        self.emulator.faults().clear(id)
    }

    /// Clears all faults and lets every request that hangs go on.
    pub fn clear_all(&self) {
        self.emulator.faults().clear_all();
    }

    /// The injected faults, in the order of injection, with those whose count is used up.
    pub fn faults(&self) -> Vec<InjectedFault> {
        self.emulator.faults().list()
    }

    /// How many requests each operation had, by HTTP status, since the start.
    pub fn counts(&self) -> Vec<RequestCount> {
        self.emulator.journal().counts()
    }

    /// The last `limit` requests, oldest first; the log keeps 1,000.
    pub fn requests(&self, limit: usize) -> Vec<RequestRecord> {
        self.emulator.journal().tail(limit)
    }

    /// Principals, roles, policies, network rules and limits: does what `command` says.
    ///
    /// # Errors
    ///
    /// [`ControlError`] if it names something that is not there, or that is there already.
    pub fn apply(&self, command: ControlCommand) -> Result<Option<AssignmentId>, ControlError> {
        command.apply(&self.emulator)
    }

    /// The role assignments that have not been taken back.
    pub fn role_assignments(&self) -> Vec<(AssignmentId, RoleAssignment)> {
        self.emulator.roster().list()
    }

    /// The last `limit` records of the audit log, oldest first; 10,000 are kept.
    pub fn audit(&self, limit: usize) -> Vec<AuditRecord> {
        self.emulator.tell_due_events();
        self.emulator.audit().tail(limit)
    }

    /// The last `limit` events of Event Grid, oldest first; 10,000 are kept.
    pub fn events(&self, limit: usize) -> Vec<GridEvent> {
        self.emulator.tell_due_events();
        self.emulator.events().tail(limit)
    }

    /// The vaults.
    pub fn vaults(&self) -> Vec<VaultInfo> {
        let vaults = self.emulator.vaults().map(|vault| {
            vault.inspect(|contents, _| VaultInfo {
                name: vault.name().as_str().to_owned(),
                retention_days: contents.policy().retention_days(),
                purge_protection: contents.policy().purge_protection(),
            })
        });
        vaults.collect()
    }

    /// The keys of a vault by name, the deleted ones among them; `None` if there is no such vault.
    pub fn keys(&self, vault: &VaultName) -> Option<Vec<KeyInfo>> {
        let vault = self.emulator.vault(vault)?;
        Some(vault.inspect(|contents, now| {
            let live = contents.keys.list(None).map(|key| KeyInfo::of(key));
            let deleted = contents.keys.list_deleted(None, now).map(|(key, _)| KeyInfo::of(key));
            let mut keys: Vec<_> = live.chain(deleted).collect();
            keys.sort_by(|a, b| a.name.cmp(&b.name));
            keys
        }))
    }
}

/// A vault, as the control door shows it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct VaultInfo {
    /// Its name: the first label of its host.
    pub name: String,
    /// Days that a deleted key is kept.
    pub retention_days: u8,
    /// Whether deleted keys cannot be purged before that.
    pub purge_protection: bool,
}

/// A key, as the control door shows it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct KeyInfo {
    /// Its name.
    pub name: String,
    /// Its versions in the order they were made.
    pub versions: Vec<KeyVersionInfo>,
    /// When it was deleted, if it is.
    pub deleted: Option<Timestamp>,
    /// When it is purged by itself, if it is deleted.
    pub scheduled_purge: Option<Timestamp>,
}

/// A version of a key, as the control door shows it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct KeyVersionInfo {
    /// Its id: 32 lower-case hexadecimal digits.
    pub id: String,
    /// What kind of key it is, as `kty` says it: `RSA`, `EC-HSM`, …
    pub key_type: String,
    /// Its size in bits: of the modulus, the curve's field, or the symmetric key.
    pub size_bits: usize,
    /// Whether it is enabled.
    pub enabled: bool,
    /// Before this it does not encrypt.
    pub not_before: Option<Timestamp>,
    /// From this on it does not encrypt.
    pub expires: Option<Timestamp>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
    /// What it may be used for.
    pub operations: Vec<String>,
}

impl KeyInfo {
    fn of(key: &Key) -> Self {
        let versions = key.versions().map(|version| KeyVersionInfo {
            id: version.id.to_string(),
            key_type: version.key_type().kty().to_owned(),
            size_bits: version.key_type().shape.bits(),
            enabled: version.attributes.enabled,
            not_before: version.attributes.not_before,
            expires: version.attributes.expires,
            created: version.attributes.created,
            updated: version.attributes.updated,
            operations: version.operations.iter().map(|operation| operation.as_str().to_owned()).collect(),
        });
        Self {
            name: key.name().as_str().to_owned(),
            versions: versions.collect(),
            deleted: key.deletion().map(|deletion| deletion.deleted),
            scheduled_purge: key.deletion().map(|deletion| deletion.purge_at),
        }
    }
}
