//! The configuration as it is used: which providers each resource has.

use std::time::Duration;

use super::file;
use super::problem::ConfigProblems;
use super::resource::GroupResource;
use crate::chain::Chain;
use crate::provider_name::ProviderName;
use crate::upstream::sha256_label;

/// A valid `EncryptionConfiguration` with providers `kms` (v2) and `identity`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EncryptionConfiguration {
    rules: Vec<Rule>,
    hash: String,
}

impl EncryptionConfiguration {
    /// Reads the content of the file that `--encryption-provider-config` names.
    ///
    /// # Errors
    ///
    /// [`ConfigProblems`]: everything that is wrong with it, each with field, line and column. The providers `aescbc`,
    /// `aesgcm`, `secretbox` and `kms` v1 are recognised and refused: they are not emulated yet.
    pub fn parse(content: &[u8]) -> Result<Self, ConfigProblems> {
        let rules = file::read(content)?;
        Ok(Self { rules, hash: sha256_label(content) })
    }

    /// `sha256:` and hex of the file's bytes, as the metric `last_config_info` shows it.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The rules in the order of the file.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The providers of `resource`: those of the rules that name it, else of `*.<group>`, else of `*.*`. `None` if no
    /// rule is for it: it is then stored as it is, and read with [`open_identity`](crate::open_identity).
    pub fn chain(&self, resource: &GroupResource) -> Option<Chain<'_>> {
        let chain_of = |wanted: &GroupResource| {
            let rules = self.rules.iter().filter(|rule| rule.resources.contains(wanted));
            Chain::new(rules.flat_map(|rule| &rule.providers).collect())
        };
        chain_of(resource).or_else(|| chain_of(&resource.any_in_group())).or_else(|| chain_of(&GroupResource::any()))
    }

    /// The KMS providers in the order of the file, which is the order of `kms-provider-<i>` in health texts.
    pub fn kms_providers(&self) -> impl Iterator<Item = &KmsProvider> {
        self.rules.iter().flat_map(|rule| &rule.providers).filter_map(|provider| match provider {
            Provider::Identity => None,
            Provider::Kms(provider) => Some(provider),
        })
    }
}

/// An element of `resources`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// What it is for.
    pub resources: Vec<GroupResource>,
    /// The first writes, any may read.
    pub providers: Vec<Provider>,
}

/// An element of `providers`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Provider {
    /// `identity: {}`: values are stored as they are.
    Identity,
    /// `kms` with `apiVersion: v2`.
    Kms(KmsProvider),
}

impl Provider {
    /// What its values start with in etcd: nothing for `identity`.
    pub fn prefix(&self) -> String {
        match self {
            Self::Identity => String::new(),
            Self::Kms(provider) => provider.name.prefix(),
        }
    }
}

/// A KMS v2 plugin behind a socket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KmsProvider {
    /// Its name, unique in the file.
    pub name: ProviderName,
    /// Its socket: `unix:///path`, or `unix:///@name` for an abstract one.
    pub endpoint: String,
    /// How long a call may take.
    pub timeout: Duration,
}
