//! The JSON of keys, member by member as in the service contract, `Keys/models.tsp`.
//!
//! `Assumed:` a member of a request that is null counts as absent, and answers have `tags` only if some were ever given.

use serde::{Deserialize, Serialize};

use crate::http::api_error::ApiError;
use crate::http::base64url;
use crate::http::body::{AttributesRequest, invalid};
use crate::http::view::VaultView;
use crate::vault::{
    Deletion, Key, KeyMaterial, KeyVersion, ObjectName, RecoveryPolicy, ReleasePolicy, Tags, VersionId,
};

/// `KeyCreateParameters`. Members that are not read are ignored, as the service ignores unknown ones.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CreateRequest {
    pub(super) kty: Option<String>,
    pub(super) crv: Option<String>,
    pub(super) key_size: Option<i64>,
    pub(super) public_exponent: Option<i64>,
    pub(super) key_ops: Option<Vec<String>>,
    pub(super) attributes: Option<AttributesRequest>,
    pub(super) tags: Option<Tags>,
    pub(super) release_policy: Option<ReleasePolicyWire>,
}

/// `KeyUpdateParameters`. What is absent or null stays as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UpdateRequest {
    pub(super) key_ops: Option<Vec<String>>,
    pub(super) attributes: Option<AttributesRequest>,
    pub(super) tags: Option<Tags>,
    pub(super) release_policy: Option<ReleasePolicyWire>,
}

/// `KeyReleasePolicy`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct ReleasePolicyWire {
    #[serde(rename = "contentType")]
    content_type: Option<String>,
    data: Option<String>,
    immutable: Option<bool>,
}

impl ReleasePolicyWire {
    /// The policy, if it has one.
    ///
    /// # Errors
    ///
    /// 400 `BadParameter` if `data` is missing or no base64url.
    pub(super) fn read(self) -> Result<ReleasePolicy, ApiError> {
        let data = self.data.filter(|data| base64url::decode(data).is_some_and(|policy| !policy.is_empty()));
        Ok(ReleasePolicy {
            content_type: self.content_type.unwrap_or_else(|| RELEASE_POLICY_CONTENT_TYPE.to_owned()),
            data: data.ok_or_else(|| invalid("release_policy"))?,
            immutable: self.immutable.unwrap_or(false),
        })
    }

    fn of(policy: &ReleasePolicy) -> Self {
        let ReleasePolicy { content_type, data, immutable } = policy.clone();
        Self { content_type: Some(content_type), data: Some(data), immutable: Some(immutable) }
    }
}

/// `KeyBundle`, and with the members of a deletion `DeletedKeyBundle`.
#[derive(Debug, Serialize)]
pub(super) struct KeyBundle<'a> {
    #[serde(rename = "recoveryId", skip_serializing_if = "Option::is_none")]
    recovery_id: Option<String>,
    #[serde(rename = "deletedDate", skip_serializing_if = "Option::is_none")]
    deleted_date: Option<i64>,
    #[serde(rename = "scheduledPurgeDate", skip_serializing_if = "Option::is_none")]
    scheduled_purge_date: Option<i64>,
    key: JsonWebKey,
    attributes: KeyAttributes,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a Tags>,
    #[serde(skip_serializing_if = "Option::is_none")]
    release_policy: Option<ReleasePolicyWire>,
}

/// `KeyItem`, and with the members of a deletion `DeletedKeyItem`.
#[derive(Debug, Serialize)]
pub(super) struct KeyItem {
    #[serde(rename = "recoveryId", skip_serializing_if = "Option::is_none")]
    recovery_id: Option<String>,
    #[serde(rename = "deletedDate", skip_serializing_if = "Option::is_none")]
    deleted_date: Option<i64>,
    #[serde(rename = "scheduledPurgeDate", skip_serializing_if = "Option::is_none")]
    scheduled_purge_date: Option<i64>,
    kid: String,
    attributes: KeyAttributes,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Tags>,
}

/// `KeyListResult`; the last page has a `nextLink` of null.
#[derive(Debug, Serialize)]
pub(super) struct KeyList {
    pub(super) value: Vec<KeyItem>,
    #[serde(rename = "nextLink")]
    pub(super) next_link: Option<String>,
}

#[derive(Debug, Default, Serialize)]
struct JsonWebKey {
    kid: String,
    kty: &'static str,
    key_ops: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
}

impl JsonWebKey {
    /// The public part of a version's key.
    fn of(kid: String, version: &KeyVersion) -> Self {
        let named = Self {
            kid,
            kty: version.key_type().kty(),
            key_ops: version.operations.iter().map(|operation| operation.as_str()).collect(),
            ..Self::default()
        };
        match &*version.material {
            KeyMaterial::Ec(key) => {
                let (x, y) = key.point();
                let (x, y) = (Some(base64url::encode(x)), Some(base64url::encode(y)));
                Self { crv: Some(key.curve().as_str()), x, y, ..named }
            }
            KeyMaterial::Oct(_) => named,
            KeyMaterial::Rsa(key) => {
                let (n, e) = (Some(base64url::encode(key.modulus())), Some(base64url::encode(key.exponent())));
                Self { n, e, ..named }
            }
        }
    }
}

#[derive(Debug, Serialize)]
struct KeyAttributes {
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    created: i64,
    updated: i64,
    #[serde(rename = "recoveryLevel")]
    recovery_level: &'static str,
    #[serde(rename = "recoverableDays", skip_serializing_if = "Option::is_none")]
    recoverable_days: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exportable: Option<bool>,
    #[serde(rename = "hsmPlatform", skip_serializing_if = "Option::is_none")]
    hsm_platform: Option<&'static str>,
}

impl VaultView<'_> {
    /// A version's id.
    pub(super) fn kid(&self, name: &ObjectName, id: VersionId) -> String {
        self.id("keys", name, Some(id))
    }

    /// A version of a key.
    pub(super) fn key_bundle<'k>(&self, key: &Key, version: &'k KeyVersion) -> KeyBundle<'k> {
        let (deletion, release_policy) = (key.deletion(), version.release_policy.as_ref());
        KeyBundle {
            recovery_id: deletion.map(|_| self.id("deletedkeys", key.name(), None)),
            deleted_date: deletion.map(Deletion::deleted_seconds),
            scheduled_purge_date: deletion.map(Deletion::purge_seconds),
            key: JsonWebKey::of(self.kid(key.name(), version.id), version),
            attributes: self.key_attributes(version),
            tags: version.tags.as_ref(),
            release_policy: release_policy.filter(|_| self.version.has_rotation()).map(ReleasePolicyWire::of),
        }
    }

    /// A key in a list of keys: its latest version's attributes, and an id without version.
    pub(super) fn key_item(&self, key: &Key) -> KeyItem {
        let deletion = key.deletion();
        KeyItem {
            recovery_id: deletion.map(|_| self.id("deletedkeys", key.name(), None)),
            deleted_date: deletion.map(Deletion::deleted_seconds),
            scheduled_purge_date: deletion.map(Deletion::purge_seconds),
            kid: self.id("keys", key.name(), None),
            attributes: self.key_attributes(key.latest()),
            tags: key.latest().tags.clone(),
        }
    }

    /// A version in a list of versions.
    pub(super) fn key_version_item(&self, name: &ObjectName, version: &KeyVersion) -> KeyItem {
        KeyItem {
            recovery_id: None,
            deleted_date: None,
            scheduled_purge_date: None,
            kid: self.kid(name, version.id),
            attributes: self.key_attributes(version),
            tags: version.tags.clone(),
        }
    }

    fn key_attributes(&self, version: &KeyVersion) -> KeyAttributes {
        let attributes = &version.attributes;
        let policy = self.policy();
        KeyAttributes {
            enabled: attributes.enabled,
            nbf: attributes.not_before.map(jiff::Timestamp::as_second),
            exp: attributes.expires.map(jiff::Timestamp::as_second),
            created: attributes.created.as_second(),
            updated: attributes.updated.as_second(),
            recovery_level: policy.level(),
            recoverable_days: self.version.has_recoverable_days().then(|| policy.retention_days()),
            exportable: self.version.has_rotation().then_some(version.release_policy.is_some()),
            // "0": protected by software; "2": by hardware of the newer kind (FIPS 140-3 level 3).
            hsm_platform: self.version.has_hsm_platform().then_some(if version.hsm { "2" } else { "0" }),
        }
    }

    /// The vault's soft-delete settings.
    pub(in crate::http) fn policy(&self) -> RecoveryPolicy {
        self.vault.inspect(|contents, _| contents.policy())
    }
}

/// What the service says of a release policy that does not say what it is.
const RELEASE_POLICY_CONTENT_TYPE: &str = "application/json; charset=utf-8";
