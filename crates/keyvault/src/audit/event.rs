//! Event Grid's events of a vault.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::audit::ObjectLife;
use crate::vault::ObjectKind;

/// An event, in the Event Grid schema.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GridEvent {
    /// Names the event.
    pub id: String,
    /// The vault's ARM id.
    pub topic: String,
    /// The object's name.
    pub subject: String,
    /// `Microsoft.KeyVault.KeyNewVersionCreated` and its kin.
    pub event_type: String,
    /// When it happened, on the stack's clock.
    pub event_time: String,
    /// What it happened to.
    pub data: EventData,
    /// `1`.
    pub data_version: String,
    /// `1`.
    pub metadata_version: String,
}

/// What an event happened to.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct EventData {
    /// The version's id, a URL.
    #[serde(rename = "Id")]
    pub id: String,
    /// The vault's name.
    #[serde(rename = "VaultName")]
    pub vault_name: String,
    /// `Key` or `Secret`.
    #[serde(rename = "ObjectType")]
    pub object_type: String,
    /// The object's name.
    #[serde(rename = "ObjectName")]
    pub object_name: String,
    /// The version.
    #[serde(rename = "Version")]
    pub version: String,
    /// `nbf` in seconds since 1970.
    #[serde(rename = "NBF")]
    pub not_before: Option<i64>,
    /// `exp` in seconds since 1970.
    #[serde(rename = "EXP")]
    pub expires: Option<i64>,
}

/// What happened.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum EventKind {
    Expired,
    NearExpiry,
    NewVersionCreated,
}

/// The vault that events come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Topic<'a> {
    pub(crate) resource_id: &'a str,
    pub(crate) vault: &'a str,
    /// The zone of its host.
    pub(crate) dns_suffix: &'a str,
}

impl EventKind {
    /// The operation under which the audit log tells of it, if it does.
    pub(crate) fn audit_name(self, kind: ObjectKind) -> Option<&'static str> {
        match (self, kind) {
            (Self::Expired, ObjectKind::Key) => Some("KeyExpiredEventGridNotification"),
            (Self::Expired, ObjectKind::Secret) => Some("SecretExpiredEventGridNotification"),
            (Self::NearExpiry, ObjectKind::Key) => Some("KeyNearExpiryEventGridNotification"),
            (Self::NearExpiry, ObjectKind::Secret) => Some("SecretNearExpiryEventGridNotification"),
            (Self::NewVersionCreated, _) => None,
        }
    }

    /// The event, as it is delivered.
    pub(crate) fn event(self, topic: Topic<'_>, object: &ObjectLife, at: Timestamp) -> GridEvent {
        let object_type = match object.kind {
            ObjectKind::Key => "Key",
            ObjectKind::Secret => "Secret",
        };
        GridEvent {
            id: Uuid::new_v4().to_string(),
            topic: topic.resource_id.to_owned(),
            subject: object.name.clone(),
            event_type: format!("Microsoft.KeyVault.{object_type}{self:?}"),
            event_time: at.strftime("%Y-%m-%dT%H:%M:%S%.7fZ").to_string(),
            data: EventData {
                id: object.id(topic),
                vault_name: topic.vault.to_owned(),
                object_type: object_type.to_owned(),
                object_name: object.name.clone(),
                version: object.version.clone(),
                not_before: object.not_before.map(Timestamp::as_second),
                expires: object.expires.map(Timestamp::as_second),
            },
            data_version: "1".to_owned(),
            metadata_version: "1".to_owned(),
        }
    }
}
