//! One story's stack with everything that the story knows about it: how to reach it, which key versions it has made and
//! named, what it has seen, which Secrets it has touched.

use std::collections::{BTreeMap, BTreeSet};

use crate::stack::Stack;
use crate::story::scenario::{LookName, VersionName};
use crate::story::wire::{Refusal, Wires, key_id, key_id_hash};

use super::RunError;
use super::sight::{Looks, Outcome, Seen};

/// A stack under a story.
pub(super) struct Lab {
    pub(super) stack: Stack,
    pub(super) wires: Wires,
    /// Name of the stack's key in the vault.
    pub(super) key: String,
    /// URLs of the key versions that the story has named.
    versions: BTreeMap<VersionName, String>,
    pub(super) looks: Looks,
    /// Secrets that the story has named, as namespace and name.
    pub(super) touched: BTreeSet<(String, String)>,
}

impl Lab {
    /// Takes a stack that has just started; the newest version of its key is the story's `first`.
    pub(super) async fn new(stack: Stack) -> Result<Self, RunError> {
        let wires = Wires::new(stack.ready(), &stack.config().etcd.prefix).await?;
        let key = stack.config().key.clone();
        let first = wires.vault.newest(&key).await;
        let first = first.map_err(|refusal| RunError::Vault { refusal: refusal.to_string() })?;
        Ok(Self {
            stack,
            wires,
            key,
            versions: BTreeMap::from([(VersionName::first(), first)]),
            looks: Looks::new(),
            touched: BTreeSet::new(),
        })
    }

    /// The URL of a version that the story has named. The loader has proved that the name is introduced, but the step
    /// that should have made the version may have been refused as expected.
    pub(super) fn version(&self, name: &VersionName) -> Result<String, Refusal> {
        let url = self.versions.get(name).cloned();
        url.ok_or_else(|| Refusal::nonsense(format!("there is no key version `{name}` in this run")))
    }

    /// Notes what a new version is called.
    pub(super) fn name_version(&mut self, name: &VersionName, url: &str) {
        self.versions.insert(name.clone(), url.to_owned());
    }

    /// The story's name for the version that a key id names; a key id that nobody knows is shown as it is.
    pub(super) fn name_of_key_id(&self, of: &str) -> String {
        self.name_where(|url| key_id(url) == of).unwrap_or_else(|| format!("unknown key id {of}"))
    }

    /// The story's name for the version whose key id has this hash, as metrics show it.
    pub(super) fn name_of_key_id_hash(&self, hash: &str) -> String {
        self.name_where(|url| key_id_hash(&key_id(url)) == hash)
            .unwrap_or_else(|| format!("unknown key id hash {hash}"))
    }

    /// The URL of the version that a key id names.
    pub(super) fn version_of_key_id(&self, of: &str) -> Result<String, Refusal> {
        let url = self.versions.values().find(|url| key_id(url) == of).cloned();
        url.ok_or_else(|| Refusal::nonsense(format!("key id {of} is of no version that this story has made")))
    }

    /// Keeps what a step saw under the name that the story gave it.
    pub(super) fn remember(&mut self, name: Option<&LookName>, outcome: &Outcome) {
        if let (Some(name), Ok(sight)) = (name, outcome) {
            self.looks.insert(name.clone(), sight.seen.clone());
        }
    }

    /// Something seen earlier.
    pub(super) fn look(&self, name: &LookName) -> Result<&Seen, Refusal> {
        self.looks.get(name).ok_or_else(|| Refusal::nonsense(format!("nothing was seen that is called `{name}`")))
    }

    fn name_where(&self, fits: impl Fn(&str) -> bool) -> Option<String> {
        self.versions.iter().find(|(_, url)| fits(url)).map(|(name, _)| name.to_string())
    }
}
