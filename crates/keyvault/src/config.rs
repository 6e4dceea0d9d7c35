//! What an emulator is made from: plain values, checked as a whole.
//!
//! Nothing here reads arguments, files or the environment; the caller does.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use clock::Clock;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::vault::{RecoveryPolicy, VaultName};

/// The configuration of an [`Emulator`](crate::Emulator).
#[derive(Debug)]
pub struct Config {
    /// The Entra tenant that every vault and principal belongs to.
    pub tenant_id: Uuid,
    /// The Azure region that answers name in `x-ms-keyvault-region`, such as `westeurope`.
    pub region: String,
    /// The vaults. On Azure a vault's name is unique in the world, here in the stack.
    pub vaults: Vec<VaultConfig>,
    /// Who may get a token. All of them may do everything: access rules are not emulated yet.
    pub principals: Vec<Principal>,
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
            region: "westeurope".to_owned(),
            vaults: Vec::new(),
            principals: Vec::new(),
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
}

impl VaultConfig {
    /// A vault as Azure makes it when nothing else is said.
    pub fn new(name: VaultName) -> Self {
        Self { name, recovery: RecoveryPolicy::default(), kind: VaultKind::Vault }
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
#[derive(Debug)]
pub struct Principal {
    /// The application (client) id that a client names itself by.
    pub client_id: Uuid,
    /// The object id that the vault knows it by: the token's `oid`.
    pub object_id: Uuid,
    /// How it proves itself.
    pub kind: PrincipalKind,
}

/// How a principal proves itself.
#[derive(Debug)]
pub enum PrincipalKind {
    /// An application with a client secret: Entra's token endpoints.
    ServicePrincipal {
        /// The secret.
        client_secret: Secret,
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

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

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
        let principal = || Principal {
            client_id: Uuid::nil(),
            object_id: Uuid::nil(),
            kind: PrincipalKind::SystemAssigned { resource_id: "/vm".to_owned() },
        };
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
        let client_secret = Secret::new("correct-horse".to_owned());
        let kind = PrincipalKind::ServicePrincipal { client_secret };
        let principal = Principal { client_id: Uuid::nil(), object_id: Uuid::nil(), kind };
        assert!(!format!("{principal:?}").contains("correct"));
        assert!(secret.matches("correct-horse"));
        assert!(!secret.matches("correct-hors"));
        assert!(!secret.matches(""));
    }
}
