//! What a stack is seeded with at its start: vaults with keys and secrets, principals, roles, network rules, places.
//!
//! A seed is plain data, in JSON; keys and secrets have the bodies that Key Vault's REST API takes for making them, and
//! are made by the same code. What is there already stays as it is, so that a seed may be sown again over kept state.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::access::{AccessModel, RoleAssignment};
use crate::config::{Config, Principal, VaultConfig, VaultKind};
use crate::emulator::Emulator;
use crate::http::plant;
use crate::limits::Limits;
use crate::network::{NetworkRules, Place};
use crate::vault::{NameError, ObjectKind, RecoveryPolicy, RetentionError, Sku, VaultName};

/// What a stack is seeded with.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Seed {
    /// Vaults, new ones or those of the configuration with other settings.
    pub vaults: Vec<VaultSeed>,
    /// Principals beside those of the configuration.
    pub principals: Vec<Principal>,
    /// Roles from the start.
    pub role_assignments: Vec<RoleAssignment>,
    /// How long it takes until a role that is given or taken back later counts, in seconds of the stack's clock.
    pub role_propagation_seconds: u32,
    /// The service limits; without them nothing is throttled.
    pub limits: Option<Limits>,
    /// Places in the network, by name: whoever serves the emulator has a listener for each.
    pub places: BTreeMap<String, Place>,
}

/// A vault and what is in it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultSeed {
    /// Its name.
    pub name: String,
    /// What it is.
    #[serde(default)]
    pub kind: VaultKind,
    /// Its edition.
    #[serde(default)]
    pub sku: Sku,
    /// How it decides who may do what.
    #[serde(default)]
    pub access: AccessModel,
    /// From where it may be reached.
    #[serde(default)]
    pub network: NetworkRules,
    /// Days that what is deleted is kept, 7 to 90.
    #[serde(default)]
    pub retention_days: Option<u8>,
    /// Whether what is deleted cannot be purged before that.
    #[serde(default)]
    pub purge_protection: bool,
    /// Keys by name: the body of `POST /keys/{name}/create`, or of `PUT /keys/{name}` if it has the member `key`.
    #[serde(default)]
    pub keys: BTreeMap<String, Value>,
    /// Secrets by name: the body of `PUT /secrets/{name}`.
    #[serde(default)]
    pub secrets: BTreeMap<String, Value>,
}

/// Keys and secrets that are still to be made.
#[derive(Debug, Default)]
pub struct Contents {
    objects: Vec<(VaultName, ObjectKind, String, Value)>,
}

impl Config {
    /// Adds what `seed` declares. Keys and secrets are given back: they are made by [`Emulator::plant`].
    ///
    /// # Errors
    ///
    /// [`SeedError::Name`] and [`SeedError::Retention`]; what does not hold together is found by [`Emulator::open`].
    pub fn sow(&mut self, seed: Seed) -> Result<Contents, SeedError> {
        let mut contents = Contents::default();
        for vault in seed.vaults {
            let VaultSeed { name, kind, sku, access, network, retention_days, purge_protection, keys, secrets } = vault;
            let name: VaultName = name.parse().map_err(|source| SeedError::Name { source })?;
            let days = retention_days.unwrap_or_else(|| RecoveryPolicy::default().retention_days());
            let recovery = RecoveryPolicy::new(days, purge_protection)
                .map_err(|source| SeedError::Retention { vault: name.clone(), source })?;
            let objects = |kind, bodies: BTreeMap<String, Value>| {
                let vault = name.clone();
                bodies.into_iter().map(move |(name, body)| (vault.clone(), kind, name, body))
            };
            contents.objects.extend(objects(ObjectKind::Key, keys));
            contents.objects.extend(objects(ObjectKind::Secret, secrets));
            self.vaults.retain(|known| known.name != name);
            self.vaults.push(VaultConfig { recovery, kind, sku, access, network, ..VaultConfig::new(name) });
        }
        self.principals.extend(seed.principals);
        self.role_assignments.extend(seed.role_assignments);
        self.role_propagation = Duration::from_secs(seed.role_propagation_seconds.into());
        self.limits = seed.limits.or(self.limits);
        Ok(contents)
    }
}

impl Emulator {
    /// Makes the keys and secrets of a seed that are not there yet, several at a time.
    ///
    /// # Errors
    ///
    /// [`SeedError::Refused`] with the vault's own words for the first that cannot be made; the others are made.
    pub async fn plant(&self, contents: Contents) -> Result<(), SeedError> {
        let mut work = JoinSet::new();
        for (vault, kind, name, body) in contents.objects {
            let Some(live) = self.vault(&vault).cloned() else { continue };
            // Deleted and still recoverable counts as there: it was deleted on purpose.
            if live.holds(kind, &name) {
                continue;
            }
            work.spawn(async move {
                let planted = plant(&live, kind, &name, &body).await;
                planted.map_err(|message| SeedError::Refused { vault, kind: kind.collection(), name, message })
            });
        }
        let mut outcome = Ok(());
        while let Some(planted) = work.join_next().await {
            let planted = planted.map_err(|source| SeedError::Task { source }).and_then(|planted| planted);
            if outcome.is_ok() {
                outcome = planted;
            }
        }
        outcome
    }
}

/// Why a seed cannot be sown.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// A vault's name is none.
    #[error("name a vault")]
    Name {
        /// What is wrong with it.
        #[source]
        source: NameError,
    },
    /// The vault refuses to make a key or secret.
    #[error("make {kind}/{name} in the vault {vault}: it says {message:?}")]
    Refused {
        /// The vault.
        vault: VaultName,
        /// `keys` or `secrets`.
        kind: &'static str,
        /// The object's name.
        name: String,
        /// The vault's message.
        message: String,
    },
    /// The days of retention are out of range.
    #[error("set the retention of the vault {vault}")]
    Retention {
        /// The vault.
        vault: VaultName,
        /// What is wrong with it.
        #[source]
        source: RetentionError,
    },
    /// The work panicked, or the runtime is going down.
    #[error("finish making keys and secrets")]
    Task {
        /// What happened to it.
        #[source]
        source: tokio::task::JoinError,
    },
}
