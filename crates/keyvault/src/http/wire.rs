//! The JSON of keys, member by member as in the service contract, `Keys/models.tsp`.
//!
//! `Assumed:` a member of a request that is null counts as absent, and answers have `tags` only if some were ever given.

use serde::{Deserialize, Serialize};

use crate::http::api_version::ApiVersion;
use crate::http::base64url;
use crate::http::host::CallerHost;
use crate::vault::{Attributes, Deletion, Key, KeyName, KeyVersion, RecoveryPolicy, Tags, VersionId};

/// `KeyCreateParameters`. Members that are not read are ignored, as the service ignores unknown ones.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CreateRequest {
    pub(super) kty: Option<String>,
    pub(super) key_size: Option<i64>,
    pub(super) public_exponent: Option<i64>,
    pub(super) key_ops: Option<Vec<String>>,
    pub(super) attributes: Option<AttributesRequest>,
    pub(super) tags: Option<Tags>,
    pub(super) release_policy: Option<serde_json::Value>,
}

/// `KeyUpdateParameters`. What is absent or null stays as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UpdateRequest {
    pub(super) key_ops: Option<Vec<String>>,
    pub(super) attributes: Option<AttributesRequest>,
    pub(super) tags: Option<Tags>,
    pub(super) release_policy: Option<serde_json::Value>,
}

/// `KeyAttributes`, as far as a caller sets them. Times are seconds since 1970.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AttributesRequest {
    pub(super) enabled: Option<bool>,
    pub(super) nbf: Option<i64>,
    pub(super) exp: Option<i64>,
    pub(super) exportable: Option<bool>,
}

/// `KeyOperationsParameters`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct CryptRequest {
    pub(super) alg: Option<String>,
    pub(super) value: Option<String>,
}

/// `KeyOperationResult`.
#[derive(Serialize)]
pub(super) struct CryptResponse {
    pub(super) kid: String,
    pub(super) value: String,
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

#[derive(Debug, Serialize)]
struct JsonWebKey {
    kid: String,
    kty: &'static str,
    key_ops: Vec<&'static str>,
    n: String,
    e: String,
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

/// Writes one vault's keys for one caller: with ids by the host that the caller names, and the members of its api-version.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writer<'a> {
    pub(super) host: &'a CallerHost,
    pub(super) version: &'a ApiVersion,
    pub(super) policy: RecoveryPolicy,
}

impl Writer<'_> {
    /// A version's id.
    pub(super) fn kid(&self, name: &KeyName, id: VersionId) -> String {
        format!("https://{}/keys/{name}/{id}", self.host)
    }

    /// A version of a key.
    pub(super) fn bundle<'k>(&self, key: &Key, version: &'k KeyVersion) -> KeyBundle<'k> {
        let deletion = key.deletion();
        KeyBundle {
            recovery_id: deletion.map(|_| self.recovery_id(key.name())),
            deleted_date: deletion.map(Deletion::deleted_seconds),
            scheduled_purge_date: deletion.map(Deletion::purge_seconds),
            key: JsonWebKey {
                kid: self.kid(key.name(), version.id),
                kty: "RSA",
                key_ops: version.operations.iter().map(|operation| operation.as_str()).collect(),
                n: base64url::encode(version.material.modulus()),
                e: base64url::encode(version.material.exponent()),
            },
            attributes: self.attributes(&version.attributes),
            tags: version.tags.as_ref(),
        }
    }

    /// A key in a list of keys: its latest version's attributes, and an id without version.
    pub(super) fn item(&self, key: &Key) -> KeyItem {
        let deletion = key.deletion();
        KeyItem {
            recovery_id: deletion.map(|_| self.recovery_id(key.name())),
            deleted_date: deletion.map(Deletion::deleted_seconds),
            scheduled_purge_date: deletion.map(Deletion::purge_seconds),
            kid: format!("https://{}/keys/{}", self.host, key.name()),
            attributes: self.attributes(&key.latest().attributes),
            tags: key.latest().tags.clone(),
        }
    }

    /// A version in a list of versions.
    pub(super) fn version_item(&self, name: &KeyName, version: &KeyVersion) -> KeyItem {
        KeyItem {
            recovery_id: None,
            deleted_date: None,
            scheduled_purge_date: None,
            kid: self.kid(name, version.id),
            attributes: self.attributes(&version.attributes),
            tags: version.tags.clone(),
        }
    }

    fn recovery_id(&self, name: &KeyName) -> String {
        format!("https://{}/deletedkeys/{name}", self.host)
    }

    fn attributes(&self, attributes: &Attributes) -> KeyAttributes {
        KeyAttributes {
            enabled: attributes.enabled,
            nbf: attributes.not_before.map(jiff::Timestamp::as_second),
            exp: attributes.expires.map(jiff::Timestamp::as_second),
            created: attributes.created.as_second(),
            updated: attributes.updated.as_second(),
            recovery_level: self.policy.level(),
            recoverable_days: self.version.has_recoverable_days().then(|| self.policy.retention_days()),
            exportable: self.version.has_rotation().then_some(false),
            // "0": protected by software.
            hsm_platform: self.version.has_hsm_platform().then_some("0"),
        }
    }
}
