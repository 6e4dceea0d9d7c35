//! The JSON of secrets, member by member as in the service contract, `Secrets/models.tsp`.

use serde::{Deserialize, Serialize};

use crate::http::body::AttributesRequest;
use crate::http::view::VaultView;
use crate::vault::{Attributes, Deletion, ObjectName, SecretObject, SecretVersion, Tags, VersionId};

/// `SecretSetParameters`. Members that are not read are ignored.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct SetRequest {
    pub(super) value: Option<String>,
    #[serde(rename = "contentType")]
    pub(super) content_type: Option<String>,
    pub(super) attributes: Option<AttributesRequest>,
    pub(super) tags: Option<Tags>,
}

/// `SecretUpdateParameters`. What is absent or null stays as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UpdateRequest {
    #[serde(rename = "contentType")]
    pub(super) content_type: Option<String>,
    pub(super) attributes: Option<AttributesRequest>,
    pub(super) tags: Option<Tags>,
}

/// `SecretBundle`, `SecretItem`, and with the members of a deletion their deleted twins.
#[derive(Serialize)]
pub(super) struct SecretBundle<'a> {
    #[serde(rename = "recoveryId", skip_serializing_if = "Option::is_none")]
    recovery_id: Option<String>,
    #[serde(rename = "deletedDate", skip_serializing_if = "Option::is_none")]
    deleted_date: Option<i64>,
    #[serde(rename = "scheduledPurgeDate", skip_serializing_if = "Option::is_none")]
    scheduled_purge_date: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    #[serde(rename = "contentType", skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    id: String,
    attributes: SecretAttributes,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a Tags>,
}

/// `SecretListResult`; the last page has a `nextLink` of null.
#[derive(Serialize)]
pub(super) struct SecretList<'a> {
    pub(super) value: Vec<SecretBundle<'a>>,
    #[serde(rename = "nextLink")]
    pub(super) next_link: Option<String>,
}

#[derive(Debug, Serialize)]
struct SecretAttributes {
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
}

/// Whether an answer holds the secret itself: those to setting and getting do, no other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Show {
    Properties,
    Value,
}

impl VaultView<'_> {
    /// A version's id.
    pub(super) fn secret_id(&self, name: &ObjectName, id: VersionId) -> String {
        self.id("secrets", name, Some(id))
    }

    /// A version of a secret.
    pub(super) fn secret_bundle<'s>(
        &self,
        secret: &SecretObject,
        version: &'s SecretVersion,
        show: Show,
    ) -> SecretBundle<'s> {
        let id = self.secret_id(secret.name(), version.id);
        let value = (show == Show::Value).then(|| version.value.expose());
        SecretBundle { value, ..self.secret_properties(secret, version, id) }
    }

    /// A secret in a list of secrets: its latest version's attributes, and an id without version.
    pub(super) fn secret_item<'s>(&self, secret: &'s SecretObject) -> SecretBundle<'s> {
        self.secret_properties(secret, secret.latest(), self.id("secrets", secret.name(), None))
    }

    fn secret_properties<'s>(&self, secret: &SecretObject, version: &'s SecretVersion, id: String) -> SecretBundle<'s> {
        let deletion = secret.deletion();
        SecretBundle {
            recovery_id: deletion.map(|_| self.id("deletedsecrets", secret.name(), None)),
            deleted_date: deletion.map(Deletion::deleted_seconds),
            scheduled_purge_date: deletion.map(Deletion::purge_seconds),
            value: None,
            content_type: version.content_type.as_deref(),
            id,
            attributes: self.secret_attributes(&version.attributes),
            tags: version.tags.as_ref(),
        }
    }

    fn secret_attributes(&self, attributes: &Attributes) -> SecretAttributes {
        let policy = self.policy();
        SecretAttributes {
            enabled: attributes.enabled,
            nbf: attributes.not_before.map(jiff::Timestamp::as_second),
            exp: attributes.expires.map(jiff::Timestamp::as_second),
            created: attributes.created.as_second(),
            updated: attributes.updated.as_second(),
            recovery_level: policy.level(),
            recoverable_days: self.version.has_recoverable_days().then(|| policy.retention_days()),
        }
    }
}
