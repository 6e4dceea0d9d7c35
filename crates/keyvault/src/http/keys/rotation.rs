//! `KeyRotationPolicy` on the wire.
//!
//! `Assumed:` a trigger's member that is null or empty counts as absent; ARM templates send empty ones.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::http::api_error::ApiError;
use crate::http::body::invalid;
use crate::vault::{CalendarDuration, LifetimeAction, LifetimeActionKind, RotationPolicy, Trigger};

/// The policy of a key.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct RotationPolicyWire {
    #[serde(skip_deserializing)]
    id: String,
    #[serde(rename = "lifetimeActions")]
    lifetime_actions: Option<Vec<LifetimeActionWire>>,
    attributes: Option<RotationAttributesWire>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct LifetimeActionWire {
    trigger: Option<TriggerWire>,
    action: Option<ActionWire>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct TriggerWire {
    #[serde(rename = "timeAfterCreate", skip_serializing_if = "Option::is_none")]
    time_after_create: Option<String>,
    #[serde(rename = "timeBeforeExpiry", skip_serializing_if = "Option::is_none")]
    time_before_expiry: Option<String>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct ActionWire {
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct RotationAttributesWire {
    #[serde(rename = "expiryTime")]
    expiry_time: Option<String>,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    created: Option<i64>,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    updated: Option<i64>,
}

/// What a caller wants, before the rules are applied to it.
#[derive(Debug)]
pub(in crate::http) struct RotationPolicyDraft {
    pub(super) actions: Vec<LifetimeAction>,
    pub(super) expiry: Option<CalendarDuration>,
}

impl RotationPolicyWire {
    /// The policy as it is answered.
    pub(super) fn of(id: String, policy: &RotationPolicy) -> Self {
        let action = |LifetimeAction { trigger, action }: &LifetimeAction| {
            let trigger = match trigger {
                Trigger::TimeAfterCreate(after) => {
                    TriggerWire { time_after_create: Some(after.as_str().to_owned()), time_before_expiry: None }
                }
                Trigger::TimeBeforeExpiry(before) => {
                    TriggerWire { time_after_create: None, time_before_expiry: Some(before.as_str().to_owned()) }
                }
            };
            let action = ActionWire { kind: Some(action.as_str().to_owned()) };
            LifetimeActionWire { trigger: Some(trigger), action: Some(action) }
        };
        let (created, updated) = policy.times().unzip();
        Self {
            id,
            lifetime_actions: Some(policy.actions().iter().map(action).collect()),
            attributes: Some(RotationAttributesWire {
                expiry_time: policy.expiry().map(|expiry| expiry.as_str().to_owned()),
                created: created.map(Timestamp::as_second),
                updated: updated.map(Timestamp::as_second),
            }),
        }
    }

    /// What a caller sent.
    ///
    /// # Errors
    ///
    /// 400 `BadParameter` for what is no action, trigger or duration.
    pub(super) fn read(self) -> Result<RotationPolicyDraft, ApiError> {
        let actions = self.lifetime_actions.unwrap_or_default().into_iter().map(LifetimeActionWire::read);
        let expiry = self.attributes.and_then(|attributes| attributes.expiry_time);
        Ok(RotationPolicyDraft {
            actions: actions.collect::<Result<_, _>>()?,
            expiry: duration("expiryTime", expiry.as_deref())?,
        })
    }
}

impl LifetimeActionWire {
    fn read(self) -> Result<LifetimeAction, ApiError> {
        let kind = self.action.and_then(|action| action.kind);
        let action = kind.as_deref().and_then(LifetimeActionKind::parse).ok_or_else(|| invalid("action.type"))?;
        let trigger = self.trigger.unwrap_or_default();
        let after = duration("timeAfterCreate", trigger.time_after_create.as_deref())?;
        let before = duration("timeBeforeExpiry", trigger.time_before_expiry.as_deref())?;
        let trigger = match (after, before) {
            (Some(after), None) => Trigger::TimeAfterCreate(after),
            (None, Some(before)) => Trigger::TimeBeforeExpiry(before),
            _ => return Err(invalid("trigger")),
        };
        Ok(LifetimeAction { trigger, action })
    }
}

fn duration(property: &str, text: Option<&str>) -> Result<Option<CalendarDuration>, ApiError> {
    match text {
        None | Some("") => Ok(None),
        Some(text) => CalendarDuration::parse(text).map(Some).ok_or_else(|| invalid(property)),
    }
}
