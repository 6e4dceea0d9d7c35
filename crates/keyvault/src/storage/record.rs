//! The stored shapes of keys and secrets, as JSON. The material of keys is stored apart from it, as raw bytes.
//!
//! Members that format 1 did not have yet have defaults.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::vault::{
    Attributes, CalendarDuration, CryptoError, Curve, Deletion, EcKey, Key, KeyMaterial, KeyOperation, KeyVersion,
    LifetimeAction, LifetimeActionKind, Object, OctKey, ReleasePolicy, RotationPolicy, RsaKey, SecretObject,
    SecretValue, SecretVersion, Tags, Trigger,
};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyRecord {
    name: String,
    /// In the order they were made.
    versions: Vec<KeyVersionRecord>,
    #[serde(default)]
    rotation_policy: Option<RotationPolicyRecord>,
    deletion: Option<DeletionRecord>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct KeyVersionRecord {
    id: String,
    #[serde(default = "rsa")]
    kty: String,
    #[serde(default)]
    crv: Option<String>,
    enabled: bool,
    not_before: Option<i64>,
    expires: Option<i64>,
    created: i64,
    updated: i64,
    operations: Vec<String>,
    tags: Option<Tags>,
    #[serde(default)]
    release_policy: Option<ReleasePolicyRecord>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretRecord {
    name: String,
    /// In the order they were made.
    versions: Vec<SecretVersionRecord>,
    deletion: Option<DeletionRecord>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SecretVersionRecord {
    id: String,
    value: Wiped,
    content_type: Option<String>,
    enabled: bool,
    not_before: Option<i64>,
    expires: Option<i64>,
    created: i64,
    updated: i64,
    tags: Option<Tags>,
}

/// Not the value.
impl std::fmt::Debug for SecretVersionRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretVersionRecord").field("id", &self.id).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct DeletionRecord {
    deleted: i64,
    purge_at: i64,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RotationPolicyRecord {
    actions: Vec<LifetimeActionRecord>,
    expiry: Option<String>,
    created: Option<i64>,
    updated: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct LifetimeActionRecord {
    action: String,
    after_create: Option<String>,
    before_expiry: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ReleasePolicyRecord {
    content_type: String,
    data: String,
    immutable: bool,
}

impl KeyRecord {
    pub(super) fn of(key: &Key) -> Self {
        Self {
            name: key.name().as_str().to_owned(),
            versions: key.versions().map(|version| KeyVersionRecord::of(version)).collect(),
            rotation_policy: key.settings().as_ref().map(RotationPolicyRecord::of),
            deletion: key.deletion().map(DeletionRecord::of),
        }
    }

    /// The key, if the record is sound; `material` finds the secret bytes of a version by its id.
    pub(super) fn into_key<E>(
        self,
        mut material: impl FnMut(&str) -> Result<Option<Zeroizing<Vec<u8>>>, E>,
    ) -> Result<Option<Key>, E> {
        let mut versions = Vec::with_capacity(self.versions.len());
        for record in self.versions {
            let Some(bytes) = material(&record.id)? else { return Ok(None) };
            let Some(version) = record.into_version(bytes) else { return Ok(None) };
            versions.push(version);
        }
        let rest = || {
            let policy = self.rotation_policy.map(RotationPolicyRecord::into_policy);
            let policy = match policy {
                None => None,
                Some(policy) => Some(policy?),
            };
            Object::restore(
                self.name.parse().ok()?,
                versions,
                policy,
                self.deletion.map(DeletionRecord::into_deletion).transpose().ok()?,
            )
        };
        Ok(rest())
    }
}

impl KeyVersionRecord {
    fn of(version: &KeyVersion) -> Self {
        let attributes = version.attributes;
        Self {
            id: version.id.to_string(),
            kty: version.key_type().kty().to_owned(),
            crv: match &*version.material {
                KeyMaterial::Ec(key) => Some(key.curve().as_str().to_owned()),
                KeyMaterial::Oct(_) | KeyMaterial::Rsa(_) => None,
            },
            enabled: attributes.enabled,
            not_before: attributes.not_before.map(Timestamp::as_second),
            expires: attributes.expires.map(Timestamp::as_second),
            created: attributes.created.as_second(),
            updated: attributes.updated.as_second(),
            operations: version.operations.iter().map(|operation| operation.as_str().to_owned()).collect(),
            tags: version.tags.clone(),
            release_policy: version.release_policy.as_ref().map(|policy| ReleasePolicyRecord {
                content_type: policy.content_type.clone(),
                data: policy.data.clone(),
                immutable: policy.immutable,
            }),
        }
    }

    fn into_version(self, bytes: Zeroizing<Vec<u8>>) -> Option<KeyVersion> {
        let (family, hsm) = match self.kty.strip_suffix("-HSM") {
            Some(family) => (family, true),
            None => (self.kty.as_str(), false),
        };
        let material = match family {
            "EC" => KeyMaterial::Ec(EcKey::from_pkcs8(Curve::parse(self.crv.as_deref()?)?, &bytes).ok()?),
            "oct" => KeyMaterial::Oct(OctKey::from_bytes(bytes).ok()?),
            "RSA" => KeyMaterial::Rsa(RsaKey::from_pkcs8(&bytes).ok()?),
            _ => return None,
        };
        Some(KeyVersion {
            id: self.id.parse().ok()?,
            material: Arc::new(material),
            hsm,
            attributes: attributes(self.enabled, self.not_before, self.expires, self.created, self.updated)?,
            operations: self.operations.iter().map(|name| KeyOperation::parse(name)).collect::<Option<_>>()?,
            tags: self.tags,
            release_policy: self.release_policy.map(|policy| ReleasePolicy {
                content_type: policy.content_type,
                data: policy.data,
                immutable: policy.immutable,
            }),
        })
    }
}

impl SecretRecord {
    pub(super) fn of(secret: &SecretObject) -> Self {
        Self {
            name: secret.name().as_str().to_owned(),
            versions: secret.versions().map(|version| SecretVersionRecord::of(version)).collect(),
            deletion: secret.deletion().map(DeletionRecord::of),
        }
    }

    /// The secret, if the record is sound.
    pub(super) fn into_secret(self) -> Option<SecretObject> {
        let versions = self.versions.into_iter().map(SecretVersionRecord::into_version).collect::<Option<_>>()?;
        Object::restore(
            self.name.parse().ok()?,
            versions,
            (),
            self.deletion.map(DeletionRecord::into_deletion).transpose().ok()?,
        )
    }
}

impl SecretVersionRecord {
    fn of(version: &SecretVersion) -> Self {
        let attributes = version.attributes;
        Self {
            id: version.id.to_string(),
            value: Wiped::new(version.value.expose().to_owned()),
            content_type: version.content_type.clone(),
            enabled: attributes.enabled,
            not_before: attributes.not_before.map(Timestamp::as_second),
            expires: attributes.expires.map(Timestamp::as_second),
            created: attributes.created.as_second(),
            updated: attributes.updated.as_second(),
            tags: version.tags.clone(),
        }
    }

    fn into_version(self) -> Option<SecretVersion> {
        Some(SecretVersion {
            id: self.id.parse().ok()?,
            value: Arc::new(SecretValue::new(self.value.0).ok()?),
            content_type: self.content_type,
            attributes: attributes(self.enabled, self.not_before, self.expires, self.created, self.updated)?,
            tags: self.tags,
        })
    }
}

impl DeletionRecord {
    fn of(deletion: Deletion) -> Self {
        Self { deleted: deletion.deleted.as_second(), purge_at: deletion.purge_at.as_second() }
    }

    /// What it says; an error if it is not sound.
    fn into_deletion(self) -> Result<Deletion, jiff::Error> {
        Ok(Deletion {
            deleted: Timestamp::from_second(self.deleted)?,
            purge_at: Timestamp::from_second(self.purge_at)?,
        })
    }
}

impl RotationPolicyRecord {
    fn of(policy: &RotationPolicy) -> Self {
        let actions = policy.actions().iter().map(|LifetimeAction { trigger, action }| {
            let (after_create, before_expiry) = match trigger {
                Trigger::TimeAfterCreate(after) => (Some(after.as_str().to_owned()), None),
                Trigger::TimeBeforeExpiry(before) => (None, Some(before.as_str().to_owned())),
            };
            LifetimeActionRecord { action: action.as_str().to_owned(), after_create, before_expiry }
        });
        Self {
            actions: actions.collect(),
            expiry: policy.expiry().map(|expiry| expiry.as_str().to_owned()),
            created: policy.times().map(|(created, _)| created.as_second()),
            updated: policy.times().map(|(_, updated)| updated.as_second()),
        }
    }

    fn into_policy(self) -> Option<RotationPolicy> {
        let action = |record: LifetimeActionRecord| {
            let trigger = match (record.after_create, record.before_expiry) {
                (Some(after), None) => Trigger::TimeAfterCreate(CalendarDuration::parse(&after)?),
                (None, Some(before)) => Trigger::TimeBeforeExpiry(CalendarDuration::parse(&before)?),
                _ => return None,
            };
            Some(LifetimeAction { trigger, action: LifetimeActionKind::parse(&record.action)? })
        };
        let actions = self.actions.into_iter().map(action).collect::<Option<_>>()?;
        let expiry = match self.expiry {
            None => None,
            Some(text) => Some(CalendarDuration::parse(&text)?),
        };
        let times = match self.created.zip(self.updated) {
            None => None,
            Some((created, updated)) => {
                Some((Timestamp::from_second(created).ok()?, Timestamp::from_second(updated).ok()?))
            }
        };
        Some(RotationPolicy::restore(actions, expiry, times))
    }
}

/// What a backup holds before it is sealed.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyBackup {
    key: KeyRecord,
    /// The material of each version by its id, as base64.
    material: BTreeMap<String, Wiped>,
}

impl KeyBackup {
    pub(super) fn of(key: &Key) -> Result<Self, CryptoError> {
        let material = key.versions().map(|version| {
            let bytes = version.material.expose()?;
            Ok((version.id.to_string(), Wiped::new(STANDARD_NO_PAD.encode(&*bytes))))
        });
        Ok(Self { key: KeyRecord::of(key), material: material.collect::<Result<_, CryptoError>>()? })
    }

    /// The key, if the backup is sound.
    pub(super) fn into_key(mut self) -> Option<Key> {
        let material = |id: &str| -> Result<_, Infallible> {
            let text = self.material.remove(id);
            Ok(text.and_then(|text| STANDARD_NO_PAD.decode(text.0.as_bytes()).ok()).map(Zeroizing::new))
        };
        match self.key.into_key(material) {
            Ok(key) => key,
        }
    }
}

/// Secret text that is written to where it belongs and wiped when dropped.
struct Wiped(Zeroizing<String>);

impl Wiped {
    fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl Serialize for Wiped {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Wiped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

fn attributes(
    enabled: bool,
    not_before: Option<i64>,
    expires: Option<i64>,
    created: i64,
    updated: i64,
) -> Option<Attributes> {
    Some(Attributes {
        enabled,
        not_before: not_before.map(Timestamp::from_second).transpose().ok()?,
        expires: expires.map(Timestamp::from_second).transpose().ok()?,
        created: Timestamp::from_second(created).ok()?,
        updated: Timestamp::from_second(updated).ok()?,
    })
}

fn rsa() -> String {
    "RSA".to_owned()
}
