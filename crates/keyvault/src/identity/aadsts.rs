//! Entra's refusals, in the shape and words of its token endpoint.
//!
//! Codes and texts: <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>. The shape:
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow#error-response>.
//! `Differs:` what Kyanite does not have is refused in this shape, without a number.
//! `Assumed:` the HTTP statuses and the exact texts, which are common knowledge and were not checked against the service.

use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::http::Reply;

/// A refusal by a token endpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    /// An assertion is for somebody else.
    AssertionAudience { found: String },
    /// An assertion is no token, or lacks a claim.
    AssertionMalformed,
    /// The signature of an assertion does not hold.
    AssertionSignature { thumbprint: String },
    /// An assertion is not valid now. Times as Entra shows them.
    AssertionTime { now: String, not_before: String, expires: String },
    /// The body breaks off, is too long, or too slow.
    Body { reason: &'static str },
    /// No certificate of the application signed this assertion.
    CertificateNotFound { thumbprint: String },
    /// No application has this client id.
    ClientNotFound { client_id: String, tenant: String },
    /// The secret is not the application's.
    ClientSecretInvalid { client_id: String },
    /// Neither secret nor assertion.
    ClientSecretMissing,
    /// A stranger's token matches no federated credential: by issuer, audience or subject, whichever differs first.
    FederationNotFound { number: u32, claim: &'static str, found: String },
    /// Not the flow of an application.
    GrantUnsupported { grant_type: String },
    /// Our own failure.
    Internal,
    /// The token endpoint takes POST only, or an endpoint GET only.
    Method { accepts: &'static str, received: String },
    /// A parameter is not there.
    ParameterMissing { name: &'static str },
    /// Not one of the paths that are emulated.
    PathNotEmulated { method: String, path: String },
    /// Tokens are not issued for this.
    ResourceNotFound { resource: String, tenant: String },
    /// A v2 scope that is not `{resource}/.default`.
    ScopeInvalid { scope: String },
    /// No such tenant.
    TenantNotFound { tenant: String },
}

impl Refusal {
    /// The answer; `now` is real time.
    pub(super) fn reply(&self, now: Timestamp) -> Reply {
        let (status, error, code) = self.class();
        let text = self.text();
        let trace_id = Uuid::new_v4().to_string();
        let correlation_id = Uuid::new_v4().to_string();
        let timestamp = now.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        let label = code.map(|code| format!("AADSTS{code}: ")).unwrap_or_default();
        let body = Body {
            error,
            error_description: format!(
                "{label}{text} Trace ID: {trace_id} Correlation ID: {correlation_id} Timestamp: {timestamp}"
            ),
            error_codes: code.into_iter().collect(),
            timestamp,
            trace_id,
            correlation_id,
            error_uri: code.map(|code| format!("https://login.microsoftonline.com/error?code={code}")),
        };
        Reply::json(status, &body).with_error_code(error)
    }

    /// Status, `error` and the number after `AADSTS`, if Entra has one for it.
    fn class(&self) -> (StatusCode, &'static str, Option<u32>) {
        let bad = StatusCode::BAD_REQUEST;
        let unauthorized = StatusCode::UNAUTHORIZED;
        match self {
            Self::AssertionAudience { .. } => (unauthorized, "invalid_client", Some(700_023)),
            Self::AssertionMalformed => (unauthorized, "invalid_client", Some(50_027)),
            Self::AssertionSignature { .. } => (unauthorized, "invalid_client", Some(50_013)),
            Self::AssertionTime { .. } => (unauthorized, "invalid_client", Some(700_024)),
            Self::Body { .. } => (bad, "invalid_request", None),
            Self::CertificateNotFound { .. } => (unauthorized, "invalid_client", Some(700_027)),
            Self::FederationNotFound { number, .. } => (unauthorized, "invalid_client", Some(*number)),
            Self::ParameterMissing { .. } => (bad, "invalid_request", Some(900_144)),
            Self::ClientNotFound { .. } => (bad, "unauthorized_client", Some(700_016)),
            Self::ClientSecretInvalid { .. } => (unauthorized, "invalid_client", Some(7_000_215)),
            Self::ClientSecretMissing => (unauthorized, "invalid_client", Some(7_000_216)),
            Self::GrantUnsupported { .. } => (bad, "unsupported_grant_type", Some(70_003)),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "server_error", Some(90_033)),
            Self::Method { .. } => (StatusCode::METHOD_NOT_ALLOWED, "invalid_request", Some(900_561)),
            Self::PathNotEmulated { .. } => (StatusCode::NOT_FOUND, "invalid_request", None),
            Self::ResourceNotFound { .. } => (bad, "invalid_resource", Some(500_011)),
            Self::ScopeInvalid { .. } => (bad, "invalid_scope", Some(1_002_012)),
            Self::TenantNotFound { .. } => (bad, "invalid_request", Some(90_002)),
        }
    }

    /// What `error_description` says after the number.
    fn text(&self) -> String {
        match self {
            Self::AssertionAudience { found } => {
                format!("Client assertion audience claim does not match Realm issuer. Found: '{found}'.")
            }
            Self::AssertionMalformed => "JWT token is invalid or malformed.".to_owned(),
            Self::AssertionSignature { thumbprint } => format!(
                "Assertion failed signature validation. [Reason - The provided signature value did not match the \
                 expected signature value., Thumbprint of key used by client: '{thumbprint}']"
            ),
            Self::AssertionTime { now, not_before, expires } => format!(
                "Client assertion is not within its valid time range. Current time: {now}, assertion valid from \
                 {not_before}, expiry time of assertion {expires}."
            ),
            Self::Body { reason } => {
                format!("The request body cannot be read: {reason}.")
            }
            Self::CertificateNotFound { thumbprint } => format!(
                "The certificate with identifier used to sign the client assertion is not registered on application. \
                 [Reason - The key was not found., Thumbprint of key used by client: '{thumbprint}']"
            ),
            Self::FederationNotFound { claim, found, .. } => format!(
                "No matching federated identity record found for presented assertion {claim} '{found}'. Check your \
                 federated identity credential Subject, Audience and Issuer against the presented assertion."
            ),
            Self::ClientNotFound { client_id, tenant } => format!(
                "Application with identifier '{client_id}' was not found in the directory '{tenant}'. This can happen if \
                 the application has not been installed by the administrator of the tenant or consented to by any user \
                 in the tenant. You may have sent your authentication request to the wrong tenant."
            ),
            Self::ClientSecretInvalid { client_id } => format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, \
                 not the client secret ID, for a secret added to app '{client_id}'."
            ),
            Self::ClientSecretMissing => "'client_assertion', 'client_secret' or 'request' is required for the \
                                          'client_credentials' grant type."
                .to_owned(),
            Self::GrantUnsupported { grant_type } => {
                format!("The app requested an unsupported grant type '{grant_type}'.")
            }
            Self::Internal => "A transient error has occurred. Please try again.".to_owned(),
            Self::Method { accepts, received } => {
                format!("The endpoint only accepts {accepts} requests. Received a {received} request.")
            }
            Self::ParameterMissing { name } => {
                format!("The request body must contain the following parameter: '{name}'.")
            }
            Self::PathNotEmulated { method, path } => {
                format!("Kyanite does not emulate this endpoint of Entra: {method} {path}.")
            }
            Self::ResourceNotFound { resource, tenant } => format!(
                "The resource principal named {resource} was not found in the tenant named {tenant}. This can happen if \
                 the application has not been installed by the administrator of the tenant or consented to by any user \
                 in the tenant. You might have sent your authentication request to the wrong tenant."
            ),
            Self::ScopeInvalid { scope } => format!(
                "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with \
                 /.default suffixed to the resource identifier (application ID URI)."
            ),
            Self::TenantNotFound { tenant } => format!(
                "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the \
                 correct cloud. Check with your subscription administrator, this may happen if there are no active \
                 subscriptions for the tenant."
            ),
        }
    }
}

#[derive(Serialize)]
struct Body {
    error: &'static str,
    error_description: String,
    error_codes: Vec<u32>,
    timestamp: String,
    trace_id: String,
    correlation_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_uri: Option<String>,
}
