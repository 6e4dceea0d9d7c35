//! A record of the category `AuditEvent`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One request to a vault, as diagnostics write it: <https://learn.microsoft.com/azure/key-vault/general/logging#interpret-your-key-vault-logs>.
///
/// `Assumed:` `resultType` of a refusal is `Failed`, `resultSignature` is the name of the HTTP status without spaces, and
/// `resultDescription` is the message of a refusal. Azure delivers within ten minutes; here a record is there at once.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRecord {
    /// When the request arrived, on the stack's clock, with seven decimals.
    pub time: String,
    /// The vault's ARM id, in upper case.
    pub resource_id: String,
    /// What was asked for: `KeyDecrypt`, or `Authentication` for a request without a valid token.
    pub operation_name: String,
    /// The api-version.
    pub operation_version: String,
    /// `AuditEvent`.
    pub category: String,
    /// `Success` or `Failed`.
    pub result_type: String,
    /// The HTTP status by name; empty if there was no answer.
    pub result_signature: String,
    /// Why it failed.
    pub result_description: String,
    /// Time in the server, in milliseconds.
    pub duration_ms: String,
    /// The address that the vault saw.
    pub caller_ip_address: String,
    /// The caller's `x-ms-client-request-id`.
    pub correlation_id: String,
    /// Whom the token spoke for.
    pub identity: AuditIdentity,
    /// The rest.
    pub properties: AuditProperties,
}

/// Whom a token spoke for; empty if it was not accepted.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct AuditIdentity {
    /// Claims of the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<AuditClaim>,
}

/// Claims of a token.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AuditClaim {
    /// The object id.
    #[serde(rename = "http://schemas.microsoft.com/identity/claims/objectidentifier")]
    pub object_id: String,
    /// The application id.
    pub appid: String,
}

/// Details of a request.
///
/// `Assumed:` all but `clientInfo`, `requestUri`, `id` and `httpStatusCode`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditProperties {
    /// The caller's `User-Agent`.
    pub client_info: String,
    /// The URL of the request.
    pub request_uri: String,
    /// The id of the object that the request is about; of the vault if it is about none.
    pub id: String,
    /// The HTTP status; `None` if there was no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status_code: Option<u16>,
    /// The HTTP method.
    pub http_method: String,
    /// Whether a role assignment allowed it; only for a vault with RBAC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_rbac_authorized: Option<bool>,
    /// The role assignment that allowed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_assignment_id: Option<String>,
    /// `PublicIP`, `Subnet` or `PrivateLink`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addr_auth_type: Option<String>,
    /// `TLS1_2` or `TLS1_3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_version: Option<String>,
}

impl AuditRecord {
    /// A moment as records show it.
    pub(crate) fn time(at: Timestamp) -> String {
        at.strftime("%Y-%m-%dT%H:%M:%S%.7fZ").to_string()
    }

    /// A record without a request: something that the vault noticed by itself.
    pub(crate) fn notice(at: Timestamp, resource_id: &str, operation_name: &str, id: String) -> Self {
        Self {
            time: Self::time(at),
            resource_id: resource_id.to_uppercase(),
            operation_name: operation_name.to_owned(),
            operation_version: String::new(),
            category: CATEGORY.to_owned(),
            result_type: "Success".to_owned(),
            result_signature: "OK".to_owned(),
            result_description: String::new(),
            duration_ms: "0".to_owned(),
            caller_ip_address: String::new(),
            correlation_id: String::new(),
            identity: AuditIdentity::default(),
            properties: AuditProperties { id, ..AuditProperties::default() },
        }
    }
}

/// The category of every record.
pub(crate) const CATEGORY: &str = "AuditEvent";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_seven_decimals() {
        let time = |text: &str| AuditRecord::time(text.parse().unwrap());
        assert_eq!(time("2026-01-05T01:32:01.269122612Z"), "2026-01-05T01:32:01.2691226Z");
        assert_eq!(time("2026-01-05T01:32:01Z"), "2026-01-05T01:32:01.0000000Z");
    }
}
