//! The stored shape of a key, as JSON. The key material is stored apart from it, as raw PKCS#8.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::vault::{Attributes, Deletion, Key, KeyOperation, KeyVersion, RsaKey};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyRecord {
    name: String,
    /// In the order they were made.
    versions: Vec<VersionRecord>,
    deletion: Option<DeletionRecord>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct VersionRecord {
    id: String,
    enabled: bool,
    not_before: Option<i64>,
    expires: Option<i64>,
    created: i64,
    updated: i64,
    operations: Vec<String>,
    tags: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct DeletionRecord {
    deleted: i64,
    purge_at: i64,
}

impl KeyRecord {
    pub(super) fn of(key: &Key) -> Self {
        Self {
            name: key.name().as_str().to_owned(),
            versions: key.versions().map(|version| VersionRecord::of(version)).collect(),
            deletion: key.deletion().map(|deletion| DeletionRecord {
                deleted: deletion.deleted.as_second(),
                purge_at: deletion.purge_at.as_second(),
            }),
        }
    }

    /// The key, if the record is sound; `material` finds the private key of a version by its id.
    pub(super) fn into_key<E>(
        self,
        mut material: impl FnMut(&str) -> Result<Option<RsaKey>, E>,
    ) -> Result<Option<Key>, E> {
        let mut versions = Vec::with_capacity(self.versions.len());
        for record in self.versions {
            let Some(material) = material(&record.id)? else { return Ok(None) };
            let Some(version) = record.into_version(material) else { return Ok(None) };
            versions.push(version);
        }
        let deletion = match self.deletion {
            None => None,
            Some(record) => match record.into_deletion() {
                None => return Ok(None),
                sound => sound,
            },
        };
        Ok(self.name.parse().ok().and_then(|name| Key::restore(name, versions, deletion)))
    }
}

impl VersionRecord {
    fn of(version: &KeyVersion) -> Self {
        let attributes = version.attributes;
        Self {
            id: version.id.to_string(),
            enabled: attributes.enabled,
            not_before: attributes.not_before.map(Timestamp::as_second),
            expires: attributes.expires.map(Timestamp::as_second),
            created: attributes.created.as_second(),
            updated: attributes.updated.as_second(),
            operations: version.operations.iter().map(|operation| operation.as_str().to_owned()).collect(),
            tags: version.tags.clone(),
        }
    }

    fn into_version(self, material: RsaKey) -> Option<KeyVersion> {
        Some(KeyVersion {
            id: self.id.parse().ok()?,
            material: Arc::new(material),
            attributes: Attributes {
                enabled: self.enabled,
                not_before: self.not_before.map(Timestamp::from_second).transpose().ok()?,
                expires: self.expires.map(Timestamp::from_second).transpose().ok()?,
                created: Timestamp::from_second(self.created).ok()?,
                updated: Timestamp::from_second(self.updated).ok()?,
            },
            operations: self.operations.iter().map(|name| KeyOperation::parse(name)).collect::<Option<_>>()?,
            tags: self.tags,
        })
    }
}

impl DeletionRecord {
    fn into_deletion(self) -> Option<Deletion> {
        Some(Deletion {
            deleted: Timestamp::from_second(self.deleted).ok()?,
            purge_at: Timestamp::from_second(self.purge_at).ok()?,
        })
    }
}
