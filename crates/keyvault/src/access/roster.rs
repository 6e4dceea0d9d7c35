//! The role assignments of the subscription, and when each takes and loses effect.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::access::role::Role;
use crate::vault::{ObjectKind, VaultName};

/// A role given to a principal.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RoleAssignment {
    /// The principal's object id.
    pub principal_id: Uuid,
    /// The role.
    pub role: Role,
    /// Where it counts.
    pub scope: RoleScope,
}

/// Where a role counts.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum RoleScope {
    /// One key of a vault.
    Key {
        /// The vault's name.
        vault: String,
        /// The key's name.
        name: String,
    },
    /// One secret of a vault.
    Secret {
        /// The vault's name.
        vault: String,
        /// The secret's name.
        name: String,
    },
    /// Every vault of the subscription.
    Subscription,
    /// A vault and all that is in it.
    Vault {
        /// The vault's name.
        vault: String,
    },
}

impl RoleScope {
    /// Whether it covers a vault, or one object of it.
    fn covers(&self, vault: &VaultName, object: Option<(ObjectKind, &str)>) -> bool {
        let is_vault = |name: &str| name.eq_ignore_ascii_case(vault.as_str());
        let is_object = |kind: ObjectKind, name: &str| {
            object.is_some_and(|(of, named)| of == kind && named.eq_ignore_ascii_case(name))
        };
        match self {
            Self::Key { vault, name } => is_vault(vault) && is_object(ObjectKind::Key, name),
            Self::Secret { vault, name } => is_vault(vault) && is_object(ObjectKind::Secret, name),
            Self::Subscription => true,
            Self::Vault { vault } => is_vault(vault),
        }
    }

    /// The vault that it names.
    pub(crate) fn vault(&self) -> Option<&str> {
        match self {
            Self::Key { vault, .. } | Self::Secret { vault, .. } | Self::Vault { vault } => Some(vault),
            Self::Subscription => None,
        }
    }
}

/// Names a role assignment.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct AssignmentId(Uuid);

impl AssignmentId {
    /// The id as answers show it: without hyphens.
    pub(crate) fn shown(self) -> String {
        self.0.simple().to_string()
    }
}

/// The role assignments there are, and those that have been taken back but are still believed.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    id: AssignmentId,
    assignment: RoleAssignment,
    /// `None`: since ever.
    effective: Option<Timestamp>,
    revoked: Option<Timestamp>,
}

impl Roster {
    /// The assignments that a stack starts with; they are in effect.
    pub(crate) fn new(assignments: Vec<RoleAssignment>) -> Self {
        let entry = |assignment| Entry { id: AssignmentId(Uuid::new_v4()), assignment, effective: None, revoked: None };
        Self { entries: assignments.into_iter().map(entry).collect() }
    }

    /// Gives a role; it takes effect after `delay`.
    pub(crate) fn assign(&mut self, assignment: RoleAssignment, now: Timestamp, delay: Duration) -> AssignmentId {
        let id = AssignmentId(Uuid::new_v4());
        self.entries.push(Entry { id, assignment, effective: Some(later(now, delay)), revoked: None });
        id
    }

    /// Takes a role back; it loses effect after `delay`. `false` if there is none with this id.
    pub(crate) fn revoke(&mut self, id: AssignmentId, now: Timestamp, delay: Duration) -> bool {
        self.entries.retain(|entry| entry.revoked.is_none_or(|revoked| now < revoked));
        let found = self.entries.iter_mut().find(|entry| entry.id == id && entry.revoked.is_none());
        found.map(|entry| entry.revoked = Some(later(now, delay))).is_some()
    }

    /// The assignments that have not been taken back.
    pub(crate) fn list(&self) -> Vec<(AssignmentId, RoleAssignment)> {
        let standing = self.entries.iter().filter(|entry| entry.revoked.is_none());
        standing.map(|entry| (entry.id, entry.assignment.clone())).collect()
    }

    /// An assignment that lets a principal do `data_action` there, now.
    pub(crate) fn find(
        &self,
        principal_id: Uuid,
        data_action: &str,
        vault: &VaultName,
        object: Option<(ObjectKind, &str)>,
        now: Timestamp,
    ) -> Option<AssignmentId> {
        let found = self.entries.iter().find(|entry| {
            entry.assignment.principal_id == principal_id
                && entry.effective.is_none_or(|effective| effective <= now)
                && entry.revoked.is_none_or(|revoked| now < revoked)
                && entry.assignment.scope.covers(vault, object)
                && entry.assignment.role.allows(data_action)
        });
        found.map(|entry| entry.id)
    }
}

fn later(now: Timestamp, delay: Duration) -> Timestamp {
    now.checked_add(delay).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTION: &str = "Microsoft.KeyVault/vaults/keys/encrypt/action";

    fn crypto_user(scope: RoleScope) -> RoleAssignment {
        RoleAssignment { principal_id: Uuid::from_u128(1), role: Role::CryptoUser, scope }
    }

    #[test]
    fn a_change_takes_effect_when_it_has_propagated() {
        let vault: VaultName = "kyanite".parse().unwrap();
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let delay = Duration::from_mins(10);
        let mut roster = Roster::default();
        let id = roster.assign(crypto_user(RoleScope::Vault { vault: "Kyanite".to_owned() }), at(0), delay);
        let may = |roster: &Roster, now| roster.find(Uuid::from_u128(1), ACTION, &vault, None, at(now)).is_some();
        assert!(!may(&roster, 599) && may(&roster, 600));
        assert!(roster.revoke(id, at(1_000), delay));
        assert!(!roster.revoke(id, at(1_001), delay), "it is taken back already");
        assert!(roster.list().is_empty());
        assert!(may(&roster, 1_599) && !may(&roster, 1_600));
    }

    #[test]
    fn a_scope_covers_what_it_names_and_no_more() {
        let vault: VaultName = "kyanite".parse().unwrap();
        let other: VaultName = "other".parse().unwrap();
        let text = |text: &str| text.to_owned();
        let key = RoleScope::Key { vault: text("kyanite"), name: text("kms") };
        assert!(key.covers(&vault, Some((ObjectKind::Key, "KMS"))));
        assert!(!key.covers(&vault, None), "a role on a key does not list keys");
        assert!(!key.covers(&vault, Some((ObjectKind::Secret, "kms"))));
        assert!(!key.covers(&other, Some((ObjectKind::Key, "kms"))));
        assert!(RoleScope::Subscription.covers(&other, None));
        assert!(!RoleScope::Vault { vault: text("kyanite") }.covers(&other, None));
    }
}
