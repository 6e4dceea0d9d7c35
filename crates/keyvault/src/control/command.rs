//! What can be changed of who may call, from where and how often, while an emulator runs.

use std::sync::Arc;

use serde::Deserialize;
use uuid::Uuid;

use crate::access::{AccessModel, AssignmentId, RoleAssignment};
use crate::config::Principal;
use crate::emulator::{Emulator, LiveVault};
use crate::limits::Limits;
use crate::network::NetworkRules;
use crate::vault::VaultName;

/// A change, as JSON: `{"set_access": {"vault": "kyanite", "access": "rbac"}}`, `{"assign_role": {"principal_id": "…", "role":
/// "Key Vault Crypto User", "scope": {"vault": {"vault": "kyanite"}}}}`, `{"set_limits": {}}`, `{"set_limits": null}`.
///
/// Nothing of it is kept over a restart: what a stack should have from the start belongs into its configuration.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ControlCommand {
    /// Declares a principal.
    AddPrincipal(Principal),
    /// Gives a role; it counts after the configured propagation.
    AssignRole(RoleAssignment),
    /// Removes the principal with this object id.
    RemovePrincipal(Uuid),
    /// Takes a role back; it loses effect after the configured propagation.
    RevokeRole(AssignmentId),
    /// Sets how a vault decides who may do what.
    SetAccess {
        /// The vault's name.
        vault: String,
        /// The model.
        access: AccessModel,
    },
    /// Switches the service limits on, or off with null. Counters start at zero.
    SetLimits(Option<Limits>),
    /// Sets from where a vault may be reached.
    SetNetwork {
        /// The vault's name.
        vault: String,
        /// The rules.
        network: NetworkRules,
    },
}

impl ControlCommand {
    pub(super) fn apply(self, emulator: &Emulator) -> Result<Option<AssignmentId>, ControlError> {
        let now = emulator.clock().now();
        match self {
            Self::AddPrincipal(principal) => {
                let client_id = principal.client_id;
                if !emulator.directory().add(principal) {
                    return Err(ControlError::PrincipalTaken { client_id });
                }
            }
            Self::AssignRole(assignment) => {
                if let Some(name) = assignment.scope.vault() {
                    vault(emulator, name)?;
                }
                return Ok(Some(emulator.change_roster(|roster, delay| roster.assign(assignment, now, delay))));
            }
            Self::RemovePrincipal(object_id) => {
                if !emulator.directory().remove(object_id) {
                    return Err(ControlError::NoPrincipal { object_id });
                }
            }
            Self::RevokeRole(id) => {
                if !emulator.change_roster(|roster, delay| roster.revoke(id, now, delay)) {
                    return Err(ControlError::NoAssignment);
                }
            }
            Self::SetAccess { vault: name, access } => {
                vault(emulator, &name)?.change_rules(|rules| rules.access = access);
            }
            Self::SetLimits(limits) => emulator.throttle().set(limits),
            Self::SetNetwork { vault: name, network } => {
                vault(emulator, &name)?.change_rules(|rules| rules.network = network);
            }
        }
        Ok(None)
    }
}

/// Why a change was not made.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ControlError {
    /// No role assignment has this id, or it was taken back before.
    #[error("find a role assignment with this id")]
    NoAssignment,
    /// No principal has this object id.
    #[error("find a principal with the object id {object_id}")]
    NoPrincipal {
        /// The id.
        object_id: Uuid,
    },
    /// No vault has this name.
    #[error("find a vault named {name}: there are {known}")]
    NoVault {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// Somebody has the client id or object id already, or the machine an identity of its own.
    #[error("add the principal {client_id}: its ids, or the machine's one system-assigned identity, are taken")]
    PrincipalTaken {
        /// The client id.
        client_id: Uuid,
    },
}

fn vault<'a>(emulator: &'a Emulator, name: &str) -> Result<&'a Arc<LiveVault>, ControlError> {
    let found = name.parse::<VaultName>().ok().and_then(|name| emulator.vault(&name));
    found.ok_or_else(|| {
        let known: Vec<_> = emulator.vaults().map(|vault| vault.name().as_str()).collect();
        ControlError::NoVault { name: name.to_owned(), known: known.join(", ") }
    })
}
