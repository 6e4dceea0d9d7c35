//! What an emulator is made from: plain values, checked as a whole.
//!
//! Nothing here reads arguments, files or the environment; the caller does.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clock::Clock;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use uuid::{Uuid, uuid};
use zeroize::Zeroizing;

use crate::access::{AccessModel, RoleAssignment};
use crate::identity::{ClientCertificate, FederatedCredential};
use crate::limits::Limits;
use crate::network::NetworkRules;
use crate::vault::{RecoveryPolicy, Sku, VaultName};

/// The configuration of an [`Emulator`](crate::Emulator).
#[derive(Debug)]
pub struct Config {
    /// The Entra tenant that every vault and principal belongs to.
    pub tenant_id: Uuid,
    /// The subscription that the vaults belong to, as resource ids name it.
    pub subscription_id: Uuid,
    /// The resource group of the vaults, as resource ids name it.
    pub resource_group: String,
    /// The Azure region that answers name in `x-ms-keyvault-region`, such as `westeurope`.
    pub region: String,
    /// The vaults. On Azure a vault's name is unique in the world, here in the stack.
    pub vaults: Vec<VaultConfig>,
    /// Who may get a token. What they may do then is for each vault to say.
    pub principals: Vec<Principal>,
    /// The roles that principals have from the start; they count in vaults whose model is [`AccessModel::Rbac`].
    pub role_assignments: Vec<RoleAssignment>,
    /// How long it takes on the stack's clock until a role that is given or taken back later counts.
    pub role_propagation: Duration,
    /// The service limits; `None`: nothing is throttled.
    pub limits: Option<Limits>,
    /// A file for the audit log, a line for each record; it is made with mode 0600.
    pub audit_log: Option<PathBuf>,
    /// A file for Event Grid's events, a line for each; it is made with mode 0600.
    pub event_log: Option<PathBuf>,
    /// What a caller of the App Service token endpoint must send in `X-IDENTITY-HEADER` (its environment calls it
    /// `IDENTITY_HEADER`). `None`: that endpoint refuses everybody.
    pub identity_header: Option<Secret>,
    /// A directory for the state; it is made with mode 0700 if it does not exist. `None`: the state lives in memory.
    pub data_dir: Option<PathBuf>,
    /// The stack's clock: key validity, retention and the `Date` header follow it. Tokens live on real time.
    pub clock: Clock,
}

impl Config {
    /// An emulator without vaults and principals, whose state lives in memory. Fill in what is needed.
    pub fn new(tenant_id: Uuid, clock: Clock) -> Self {
        Self {
            tenant_id,
            subscription_id: DEFAULT_SUBSCRIPTION_ID,
            resource_group: "kyanite".to_owned(),
            region: "westeurope".to_owned(),
            vaults: Vec::new(),
            principals: Vec::new(),
            role_assignments: Vec::new(),
            role_propagation: Duration::ZERO,
            limits: None,
            audit_log: None,
            event_log: None,
            identity_header: None,
            data_dir: None,
            clock,
        }
    }

    /// Finds everything that is wrong with it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with every problem.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        if self.vaults.is_empty() {
            problems.push("`vaults`: at least one vault is needed".to_owned());
        }
        let mut names = BTreeSet::new();
        for vault in &self.vaults {
            if !names.insert(&vault.name) {
                problems.push(format!("`vaults`: the name {} is given twice", vault.name));
            }
        }
        let is_header_text = |byte: u8| byte.is_ascii_graphic();
        if self.region.is_empty() || !self.region.bytes().all(is_header_text) {
            problems.push(format!("`region`: {:?} is not a region's name, such as westeurope", self.region));
        }
        if self.resource_group.is_empty()
            || !self.resource_group.bytes().all(|byte| is_header_text(byte) && byte != b'/')
        {
            problems.push(format!("`resource_group`: {:?} is not the name of a resource group", self.resource_group));
        }
        for assignment in &self.role_assignments {
            if let Some(vault) = assignment.scope.vault()
                && !self.vaults.iter().any(|known| known.name.as_str().eq_ignore_ascii_case(vault))
            {
                problems.push(format!("`role_assignments`: there is no vault {vault}"));
            }
        }
        let mut client_ids = BTreeSet::new();
        let mut object_ids = BTreeSet::new();
        for principal in &self.principals {
            if !client_ids.insert(principal.client_id) {
                problems.push(format!("`principals`: the client id {} is given twice", principal.client_id));
            }
            if !object_ids.insert(principal.object_id) {
                problems.push(format!("`principals`: the object id {} is given twice", principal.object_id));
            }
        }
        let is_system_assigned =
            |principal: &&Principal| matches!(principal.kind, PrincipalKind::SystemAssigned { .. });
        if self.principals.iter().filter(is_system_assigned).count() > 1 {
            problems.push("`principals`: a machine has at most one system-assigned identity".to_owned());
        }
        if problems.is_empty() { Ok(()) } else { Err(ConfigError { problems }) }
    }
}

/// One vault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VaultConfig {
    /// Its name: the first label of its host.
    pub name: VaultName,
    /// Its soft-delete settings.
    pub recovery: RecoveryPolicy,
    /// What it is, which decides the zone of its host.
    pub kind: VaultKind,
    /// Its edition, which decides what types of keys it has.
    pub sku: Sku,
    /// How it decides who may do what.
    pub access: AccessModel,
    /// From where it may be reached.
    pub network: NetworkRules,
}

impl VaultConfig {
    /// A vault as Azure makes it when nothing else is said.
    pub fn new(name: VaultName) -> Self {
        Self {
            name,
            recovery: RecoveryPolicy::default(),
            kind: VaultKind::Vault,
            sku: Sku::default(),
            access: AccessModel::default(),
            network: NetworkRules::default(),
        }
    }
}

/// What holds the keys. Both speak the same protocol, by names of different zones and with tokens for different resources.
///
/// `Differs:` a vault and a managed HSM of one stack cannot have the same name.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VaultKind {
    /// `{name}.managedhsm.azure.net`.
    ManagedHsm,
    /// `{name}.vault.azure.net`.
    #[default]
    Vault,
}

impl VaultKind {
    pub(crate) const ALL: [Self; 2] = [Self::Vault, Self::ManagedHsm];

    /// The zone of its hosts in the public cloud. `https://` and this is the resource that its tokens are for.
    pub(crate) fn dns_suffix(self) -> &'static str {
        match self {
            Self::ManagedHsm => "managedhsm.azure.net",
            Self::Vault => "vault.azure.net",
        }
    }
}

/// Somebody who may ask for tokens.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Principal {
    /// The application (client) id that a client names itself by.
    pub client_id: Uuid,
    /// The object id that the vault knows it by: the token's `oid`.
    pub object_id: Uuid,
    /// What it is.
    pub kind: PrincipalKind,
    /// Certificates with which an application proves itself instead of a secret.
    #[serde(default)]
    pub certificates: Vec<ClientCertificate>,
    /// Strangers whose tokens stand for it: workload identity. For applications and user-assigned identities.
    #[serde(default)]
    pub federated: Vec<FederatedCredential>,
}

impl Principal {
    /// A principal without certificates and federated credentials.
    pub fn new(client_id: Uuid, object_id: Uuid, kind: PrincipalKind) -> Self {
        Self { client_id, object_id, kind, certificates: Vec::new(), federated: Vec::new() }
    }
}

/// What a principal is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PrincipalKind {
    /// An application: Entra's token endpoints.
    ServicePrincipal {
        /// Its secret, if it has one.
        #[serde(default)]
        client_secret: Option<Secret>,
    },
    /// The identity of the machine itself: the managed-identity endpoints, for a request that names no identity.
    SystemAssigned {
        /// The ARM id of the machine.
        resource_id: String,
    },
    /// An identity given to the machine: the managed-identity endpoints, by client, object or resource id.
    UserAssigned {
        /// The ARM id of the identity.
        resource_id: String,
    },
}

/// Text that proves who somebody is. Wiped when dropped, never shown, compared in constant time.
#[derive(Deserialize)]
#[serde(from = "String")]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `offered` is this secret.
    pub(crate) fn matches(&self, offered: &str) -> bool {
        self.0.as_bytes().ct_eq(offered.as_bytes()).into()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// The subscription of a stack that says nothing else.
const DEFAULT_SUBSCRIPTION_ID: Uuid = uuid!("00000000-0000-4000-8000-000000000000");

/// Everything that is wrong with a [`Config`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("accept the vault's configuration: {}", problems.join("; "))]
pub struct ConfigError {
    problems: Vec<String>,
}

impl ConfigError {
    /// The problems, each with the field's name.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_named_at_once() {
        let kind = || PrincipalKind::SystemAssigned { resource_id: "/vm".to_owned() };
        let principal = || Principal::new(Uuid::nil(), Uuid::nil(), kind());
        let vault = || VaultConfig::new("kyanite".parse().unwrap());
        let config = Config {
            region: "west europe".to_owned(),
            vaults: vec![vault(), vault()],
            principals: vec![principal(), principal()],
            ..Config::new(Uuid::nil(), Clock::new())
        };
        insta::assert_snapshot!(config.check().unwrap_err().problems().join("\n"), @r#"
        `vaults`: the name kyanite is given twice
        `region`: "west europe" is not a region's name, such as westeurope
        `principals`: the client id 00000000-0000-0000-0000-000000000000 is given twice
        `principals`: the object id 00000000-0000-0000-0000-000000000000 is given twice
        `principals`: a machine has at most one system-assigned identity
        "#);
    }

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::new("correct-horse".to_owned());
        assert_eq!(format!("{secret:?} {secret:#?}"), "Secret(redacted) Secret(redacted)");
        let client_secret = Some(Secret::new("correct-horse".to_owned()));
        let principal = Principal::new(Uuid::nil(), Uuid::nil(), PrincipalKind::ServicePrincipal { client_secret });
        assert!(!format!("{principal:?}").contains("correct"));
        assert!(secret.matches("correct-horse"));
        assert!(!secret.matches("correct-hors"));
        assert!(!secret.matches(""));
    }
}
