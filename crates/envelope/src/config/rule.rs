//! The configuration as it is used: which providers each resource has.

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::file;
use super::problem::ConfigProblems;
use super::resource::GroupResource;
use crate::chain::Chain;
use crate::keys::KeyList;
use crate::kms_v1;
use crate::provider_name::ProviderName;
use crate::upstream::sha256_label;

/// A valid `EncryptionConfiguration`.
#[derive(Clone, Debug)]
pub struct EncryptionConfiguration {
    rules: Vec<Rule>,
    hash: String,
}

/// What else decides whether a file is valid: flags of the server. All are off by default, as upstream.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ParseOptions {
    /// `--feature-gates=KMSv1=true`: providers `kms` with `apiVersion: v1` are allowed.
    pub kms_v1: bool,
    /// `--encryption-provider-config-automatic-reload=true`: then even KMS v1 providers must have names of their own.
    pub reload: bool,
}

impl EncryptionConfiguration {
    /// Reads the content of the file that `--encryption-provider-config` names, for a server without other flags.
    ///
    /// # Errors
    ///
    /// As [`Self::parse_with`].
    pub fn parse(content: &[u8]) -> Result<Self, ConfigProblems> {
        Self::parse_with(content, ParseOptions::default())
    }

    /// Reads the content of the file that `--encryption-provider-config` names.
    ///
    /// # Errors
    ///
    /// [`ConfigProblems`]: everything that is wrong with it, each with field, line and column.
    pub fn parse_with(content: &[u8], options: ParseOptions) -> Result<Self, ConfigProblems> {
        let rules = file::read(content, options)?;
        Ok(Self { rules, hash: sha256_label(content) })
    }

    /// [`Self::hash`] of a file that has not been read yet.
    pub fn hash_of(content: &[u8]) -> String {
        sha256_label(content)
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

    /// The KMS providers of both versions in the order of the file, which is that of `kms-provider-<i>` in health texts
    /// and of [`KmsProvider::place`].
    pub fn kms_providers(&self) -> impl Iterator<Item = &KmsProvider> {
        self.rules.iter().flat_map(|rule| &rule.providers).filter_map(|provider| match provider {
            Provider::Identity | Provider::Keys(_) => None,
            Provider::Kms(provider) => Some(provider),
        })
    }

    /// How long the checks of all KMS providers, one after the other, may take: each makes one call, of v1 two.
    pub fn kms_timeouts(&self) -> Duration {
        let calls = |kms: &KmsProvider| match kms.version {
            KmsVersion::V1 { .. } => kms.timeout.saturating_mul(2),
            KmsVersion::V2(_) => kms.timeout,
        };
        self.kms_providers().map(calls).fold(Duration::ZERO, Duration::saturating_add)
    }
}

/// An element of `resources`.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What it is for.
    pub resources: Vec<GroupResource>,
    /// The first writes, any may read.
    pub providers: Vec<Provider>,
}

/// An element of `providers`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Provider {
    /// `identity: {}`: values are stored as they are.
    Identity,
    /// `aescbc`, `aesgcm` or `secretbox`.
    Keys(KeyList),
    /// `kms`.
    Kms(KmsProvider),
}

impl Provider {
    /// What its values start with in etcd: nothing for `identity`.
    pub fn prefix(&self) -> Cow<'_, str> {
        match self {
            Self::Identity => Cow::Borrowed(""),
            Self::Keys(keys) => Cow::Borrowed(keys.cipher().prefix()),
            Self::Kms(provider) => Cow::Borrowed(&provider.prefix),
        }
    }
}

/// A KMS plugin behind a socket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KmsProvider {
    /// Its place among the KMS providers of the file.
    pub place: usize,
    /// The protocol it speaks, and what goes with that.
    pub version: KmsVersion,
    /// Its socket: `unix:///path`, or `unix:///@name` for an abstract one.
    pub endpoint: String,
    /// How long a call may take.
    pub timeout: Duration,
    prefix: String,
}

/// A version of the KMS protocol, with what a provider of that version has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KmsVersion {
    /// `v1`, which is deprecated.
    V1 {
        /// Its name: not empty, but maybe with a colon and maybe not its own.
        name: String,
        /// How many decrypted data keys are kept; `None` for none.
        cache_size: Option<NonZeroUsize>,
    },
    /// `v2`: its name, unique in the file.
    V2(ProviderName),
}

impl KmsProvider {
    pub(super) fn new(place: usize, version: KmsVersion, endpoint: String, timeout: Duration) -> Self {
        let prefix = match &version {
            KmsVersion::V1 { name, .. } => kms_v1::prefix(name),
            KmsVersion::V2(name) => name.prefix(),
        };
        Self { place, version, endpoint, timeout, prefix }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match &self.version {
            KmsVersion::V1 { name, .. } => name,
            KmsVersion::V2(name) => name.as_str(),
        }
    }
}
