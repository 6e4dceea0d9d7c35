//! Which stored objects stand or fall with which key version: what must be known before a version is disabled.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::ready::ReadyFile;
use crate::story::runner::kms_v2_record;
use crate::story::wire::{Wires, key_id};

use super::error::InspectError;
use super::text::Paint;

/// Every sealed object of a stack by the key version that it needs. The JSON output is this, as `schemas/keys.json`
/// describes it.
#[derive(Clone, Debug, Default, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(title = "Kyanite key use")]
pub struct KeyUse {
    /// The versions that the vault shows, by key, oldest first.
    pub versions: Vec<VersionUse>,
    /// Stored key ids that are of none of these versions.
    pub strangers: Vec<StrangerUse>,
    /// Secrets that are stored unencrypted, by their keys in etcd.
    pub unencrypted_secrets: Vec<String>,
    /// Why the vault shows no versions, if it does not.
    pub vault_refusal: Option<String>,
}

/// A key version and what needs it.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct VersionUse {
    /// URL of its key.
    pub key: String,
    /// Its id.
    pub version: String,
    /// The key id that the plugin reports for it.
    pub key_id: String,
    /// Whether it is enabled.
    pub enabled: bool,
    /// How many seeds it has encrypted that objects still need.
    pub seeds: usize,
    /// The objects that cannot be opened without it, by their keys in etcd.
    pub objects: Vec<String>,
}

/// A key id that no known version has, and what needs it.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct StrangerUse {
    /// The stored key id.
    pub key_id: String,
    /// How many seeds under it objects still need.
    pub seeds: usize,
    /// The objects that cannot be opened without it, by their keys in etcd.
    pub objects: Vec<String>,
}

impl KeyUse {
    /// Reads every stored object of a running stack, whose API server stores everything under `etcd_prefix`.
    ///
    /// # Errors
    ///
    /// [`InspectError`] if etcd cannot be read. A vault that does not show its key is part of the answer.
    pub async fn of_stack(ready: &ReadyFile, etcd_prefix: &str) -> Result<Self, InspectError> {
        let wires = Wires::new(ready, etcd_prefix).await?;
        let stored = wires.etcd.all().await.map_err(|refusal| InspectError::refused("etcd", &refusal))?;
        let (versions, vault_refusal) = match wires.vault.all_versions().await {
            Ok(versions) => (versions, None),
            Err(refusal) => (Vec::new(), Some(refusal.to_string())),
        };
        let mut needs: BTreeMap<String, Need> = BTreeMap::new();
        let mut unencrypted_secrets = Vec::new();
        for value in stored {
            if let Some(record) = kms_v2_record(&value.bytes) {
                let need = needs.entry(record.key_id().as_str().to_owned()).or_default();
                need.seeds.insert(record.encrypted_dek_source().as_bytes().to_vec());
                need.objects.push(value.key);
            } else if wires.etcd.is_secret_key(&value.key) && !value.bytes.starts_with(b"k8s:enc:") {
                unencrypted_secrets.push(value.key);
            }
        }
        let versions = versions
            .into_iter()
            .map(|version| {
                let key_id = key_id(&version.url);
                let Need { seeds, objects } = needs.remove(&key_id).unwrap_or_default();
                VersionUse {
                    key: version.key_url().to_owned(),
                    version: version.id().to_owned(),
                    key_id,
                    enabled: version.enabled,
                    seeds: seeds.len(),
                    objects,
                }
            })
            .collect();
        let strangers = needs
            .into_iter()
            .map(|(key_id, need)| StrangerUse { key_id, seeds: need.seeds.len(), objects: need.objects })
            .collect();
        Ok(Self { versions, strangers, unencrypted_secrets, vault_refusal })
    }

    /// Only what falls with one version or key id, named by the start of its id (at least four characters).
    ///
    /// # Errors
    ///
    /// [`InspectError::UnknownVersion`] if nothing has that id.
    pub fn blast_radius(mut self, id: &str) -> Result<Self, InspectError> {
        let fits = |known: &str| id.len() >= SHORTEST_ID && known.starts_with(id);
        let known: Vec<_> = self.versions.iter().map(|version| version.version.clone()).collect();
        self.versions.retain(|version| fits(&version.version) || fits(&version.key_id));
        self.strangers.retain(|stranger| fits(&stranger.key_id));
        self.unencrypted_secrets.clear();
        if self.versions.is_empty() && self.strangers.is_empty() {
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(InspectError::UnknownVersion { id: id.to_owned(), known });
        }
        Ok(self)
    }

    /// The whole as text.
    pub fn text(&self, colour: bool) -> String {
        let paint = Paint { colour };
        let mut lines = Vec::new();
        match &self.vault_refusal {
            Some(refusal) => lines.push(format!("the vault does not show its keys: {refusal}")),
            None if self.versions.is_empty() => lines.push("the vault shows no key".to_owned()),
            None => {}
        }
        let mut key = None;
        for version in &self.versions {
            if key.replace(&version.key) != Some(&version.key) {
                lines.push(paint.bold(&version.key));
            }
            let state = if version.enabled { "enabled" } else { "disabled" };
            lines.push(String::new());
            lines.push(format!("  version {}  {state}", paint.bold(&version.version)));
            lines.push(paint.dim(&format!("  key id  {}", version.key_id)));
            lines.push(match (version.objects.is_empty(), version.enabled) {
                (true, _) => "    nothing stored needs it".to_owned(),
                (false, true) => needed("would be unreadable without it", version.objects.len(), version.seeds),
                (false, false) => needed("cannot be opened while it is disabled", version.objects.len(), version.seeds),
            });
            lines.extend(version.objects.iter().map(|object| format!("      {object}")));
        }
        for stranger in &self.strangers {
            lines.push(String::new());
            lines.push(format!("  key id {}  {}", paint.bold(&stranger.key_id), "no version of this key"));
            lines.push(needed("cannot be opened", stranger.objects.len(), stranger.seeds));
            lines.extend(stranger.objects.iter().map(|object| format!("      {object}")));
        }
        if !self.unencrypted_secrets.is_empty() {
            lines.push(String::new());
            lines.push("  not encrypted at all, so no key protects them".to_owned());
            lines.extend(self.unencrypted_secrets.iter().map(|object| format!("      {object}")));
        }
        lines.join("\n") + "\n"
    }
}

/// What needs one key id.
#[derive(Default)]
struct Need {
    seeds: BTreeSet<Vec<u8>>,
    objects: Vec<String>,
}

fn needed(fate: &str, objects: usize, seeds: usize) -> String {
    let objects = if objects == 1 { "1 object".to_owned() } else { format!("{objects} objects") };
    let seeds = if seeds == 1 { "1 seed".to_owned() } else { format!("{seeds} seeds") };
    format!("    {objects} {fate}, under {seeds}")
}

/// Fewer characters name half the vault.
const SHORTEST_ID: usize = 4;
