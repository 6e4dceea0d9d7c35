//! What can go wrong between the plugin and its vault, by class: retries, health and gRPC codes look at the class,
//! never at a message.

use std::error::Error as _;
use std::time::Duration;

use azure_core::error::{Error as SdkError, ErrorKind};
use azure_core::http::RawResponse;
use azure_core::http::headers::RETRY_AFTER;
use serde::Deserialize;

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum FailureClass {
    /// A mistake of this program or of a library in it.
    Bug,
    /// An answer that no vault should give, such as a success without a value or from another key.
    Corrupt,
    /// No permission, no valid token, or a wrong network.
    Denied,
    /// The key is disabled, expired, not yet valid, or not meant for this operation.
    KeyState,
    /// There is no such key, version or vault.
    Missing,
    /// The vault understood and found the request itself wrong, such as a ciphertext of another key.
    Rejected,
    /// Too many requests.
    Throttled,
    /// The caller's time ran out before there was an answer.
    TimedOut,
    /// Not reachable, or failing for a while.
    Unavailable,
}

impl FailureClass {
    /// The name in the metric.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bug => "bug",
            Self::Corrupt => "corrupt",
            Self::Denied => "denied",
            Self::KeyState => "key_state",
            Self::Missing => "missing",
            Self::Rejected => "rejected",
            Self::Throttled => "throttled",
            Self::TimedOut => "timed_out",
            Self::Unavailable => "unavailable",
        }
    }

    /// Whether it is for the vault's owner to mend: what no restart of the plugin changes.
    pub(crate) fn is_the_owners(self) -> bool {
        matches!(self, Self::Denied | Self::KeyState | Self::Missing)
    }
}

/// A call to the vault, or to the token endpoint on its behalf, failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultClientError {
    /// The other side answered with an error.
    #[error("{origin} answered {}", shown(*status, code.as_deref(), inner_code.as_deref(), message))]
    Answer {
        /// Who answered: `key vault` or `token endpoint`.
        origin: Origin,
        /// The HTTP status.
        status: u16,
        /// The service's code, such as `Forbidden`, or Entra's `AADSTS…` numbers.
        code: Option<String>,
        /// The service's inner code, such as `KeyDisabled`.
        inner_code: Option<String>,
        /// The service's message, shortened if it is very long.
        message: String,
        /// How long the service asks to wait.
        retry_after: Option<Duration>,
    },
    /// The connection could not be made or broke.
    #[error("cannot reach {origin} {host} ({cause})")]
    Connection {
        /// Who could not be reached.
        origin: Origin,
        /// Its host name, empty if it is not known.
        host: String,
        /// The innermost reason: the system's or the proxy's.
        cause: String,
        /// The SDK's error; `cause` says it, so it is not this error's source.
        detail: Box<SdkError>,
    },
    /// The time of the call was over before an answer came.
    #[error("key vault has not answered within {:.1} s", after.as_secs_f32())]
    NoAnswer {
        /// How long it was waited for.
        after: Duration,
    },
    /// The SDK failed in a way that is not the other side's.
    #[error("the Azure SDK failed ({cause})")]
    Sdk {
        /// The innermost reason.
        cause: String,
        /// The SDK's error; `cause` says it, so it is not this error's source.
        detail: Box<SdkError>,
    },
    /// The answer was a success and cannot be read.
    #[error("key vault's answer cannot be read: {what}")]
    Unreadable {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The vault encrypted with another key than it was asked to. The text is Azure's plugin's.
    #[error(
        "key id initialized does not match with the key id from encryption result, expected: {expected}, got: {kid}"
    )]
    WrongKey {
        /// The expected key id, or the key's URL if no version is known yet.
        expected: String,
        /// The `kid` that came.
        kid: String,
    },
}

/// Who answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// Entra ID, or the machine's identity endpoint.
    TokenEndpoint,
    /// The vault.
    Vault,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TokenEndpoint => "token endpoint",
            Self::Vault => "key vault",
        })
    }
}

impl VaultClientError {
    /// The class of this failure.
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Answer { origin, status, inner_code, .. } => class_of(*origin, *status, inner_code.as_deref()),
            Self::Connection { .. } => FailureClass::Unavailable,
            Self::NoAnswer { .. } => FailureClass::TimedOut,
            Self::Sdk { .. } => FailureClass::Bug,
            Self::Unreadable { .. } | Self::WrongKey { .. } => FailureClass::Corrupt,
        }
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answer { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The vault did not accept the token: it may have been made before the vault's issuer changed its keys.
    pub(crate) fn is_stale_token(&self) -> bool {
        matches!(self, Self::Answer { origin: Origin::Vault, status: 401, .. })
    }

    pub(crate) fn from_sdk(error: SdkError) -> Self {
        let origin = if matches!(error.kind(), ErrorKind::Credential) { Origin::TokenEndpoint } else { Origin::Vault };
        // The SDK wraps: the credential's error holds the token endpoint's answer as its source.
        let layers: Vec<&SdkError> = causes(&error).filter_map(|cause| cause.downcast_ref()).collect();
        for layer in std::iter::once(&error).chain(layers) {
            match layer.kind() {
                ErrorKind::HttpResponse { status, error_code, raw_response } => {
                    return answer(origin, u16::from(*status), error_code.as_deref(), raw_response.as_deref());
                }
                ErrorKind::Connection | ErrorKind::Io => {
                    let (host, cause) = (host_of(layer), innermost(layer));
                    return Self::Connection { origin, host, cause, detail: Box::new(error) };
                }
                _ => {}
            }
        }
        if matches!(error.kind(), ErrorKind::DataConversion) {
            return Self::Unreadable { what: "it is not the JSON it should be" };
        }
        Self::Sdk { cause: innermost(&error), detail: Box::new(error) }
    }
}

/// By status and inner code; spec of the codes: Key Vault's REST documentation and the SDKs' recorded answers.
fn class_of(origin: Origin, status: u16, inner_code: Option<&str>) -> FailureClass {
    match (origin, status, inner_code) {
        (_, 429, _) => FailureClass::Throttled,
        (_, 408 | 500..=599, _) => FailureClass::Unavailable,
        (Origin::Vault, 403, Some("KeyDisabled" | "KeyExpired" | "KeyNotYetValid" | "KeyOperationForbidden")) => {
            FailureClass::KeyState
        }
        // Entra says 400 for a wrong client or secret, IMDS for an identity that the machine does not have.
        (Origin::TokenEndpoint, _, _) | (Origin::Vault, 401 | 403, _) => FailureClass::Denied,
        (Origin::Vault, 404 | 410, _) => FailureClass::Missing,
        (Origin::Vault, 400 | 409 | 413 | 415, _) => FailureClass::Rejected,
        (Origin::Vault, _, _) => FailureClass::Corrupt,
    }
}

fn answer(origin: Origin, status: u16, sdk_code: Option<&str>, raw: Option<&RawResponse>) -> VaultClientError {
    let body = raw.map_or(&[][..], |raw| raw.body().as_ref());
    let (code, inner_code, message) = match origin {
        Origin::Vault => {
            let detail = serde_json::from_slice::<VaultBody>(body).map(|body| body.error).unwrap_or_default();
            let inner = detail.inner_error.or(detail.inner_error_camel).and_then(|inner| inner.code);
            (detail.code, inner, detail.message)
        }
        Origin::TokenEndpoint => {
            let detail = serde_json::from_slice::<TokenBody>(body).unwrap_or_default();
            (detail.error.or_else(|| sdk_code.map(str::to_owned)), None, detail.error_description)
        }
    };
    let message = message.unwrap_or_else(|| NO_MESSAGE.to_owned());
    let retry_after = raw.and_then(|raw| raw.headers().get_optional_str(&RETRY_AFTER)?.trim().parse().ok());
    VaultClientError::Answer {
        origin,
        status,
        code,
        inner_code,
        message: shortened(&message),
        retry_after: retry_after.map(Duration::from_secs),
    }
}

/// `403 Forbidden (KeyDisabled): Operation encrypt is not allowed on a disabled key.`
fn shown(status: u16, code: Option<&str>, inner_code: Option<&str>, message: &str) -> String {
    let code = code.map(|code| format!(" {code}")).unwrap_or_default();
    let inner_code = inner_code.map(|inner| format!(" ({inner})")).unwrap_or_default();
    format!("{status}{code}{inner_code}: {message}")
}

/// A gRPC message travels as a header, and a health screen shows it: no line breaks, and not without end.
fn shortened(message: &str) -> String {
    let words: Vec<&str> = message.split_whitespace().collect();
    let mut text: String = words.join(" ").chars().take(MAX_MESSAGE_CHARS + 1).collect();
    if text.chars().count() > MAX_MESSAGE_CHARS {
        text.pop();
        text.push('…');
    }
    text
}

fn innermost(error: &SdkError) -> String {
    shortened(&causes(error).last().map_or_else(|| error.to_string(), ToString::to_string))
}

/// The host that the HTTP client could not reach.
fn host_of(error: &SdkError) -> String {
    let mut clients = causes(error).filter_map(|cause| cause.downcast_ref::<reqwest::Error>());
    clients.find_map(|client| client.url()?.host_str()).unwrap_or_default().to_owned()
}

fn causes(error: &SdkError) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |cause: &&(dyn std::error::Error + 'static)| (*cause).source())
}

/// Key Vault's error envelope.
#[derive(Debug, Default, Deserialize)]
struct VaultBody {
    error: VaultDetail,
}

#[derive(Debug, Default, Deserialize)]
struct VaultDetail {
    code: Option<String>,
    message: Option<String>,
    #[serde(rename = "innererror")]
    inner_error: Option<InnerError>,
    /// As at least one recorded answer has it.
    #[serde(rename = "innerError")]
    inner_error_camel: Option<InnerError>,
}

#[derive(Debug, Default, Deserialize)]
struct InnerError {
    code: Option<String>,
}

/// Entra's error body (RFC 6749 section 5.2), which IMDS imitates.
#[derive(Debug, Default, Deserialize)]
struct TokenBody {
    error: Option<String>,
    error_description: Option<String>,
}

/// What is said if the body is not the service's JSON: a page of a proxy, or nothing.
const NO_MESSAGE: &str = "(the body is not an error of the service)";

/// The longest real message known, of a refused role assignment, has about 700.
const MAX_MESSAGE_CHARS: usize = 1500;

#[cfg(test)]
mod tests {
    use azure_core::Bytes;
    use azure_core::http::StatusCode;
    use azure_core::http::headers::Headers;
    use insta::assert_snapshot;
    use proptest::prelude::*;

    use super::*;

    fn sdk(status: u16, headers: Headers, body: &str) -> SdkError {
        let status = StatusCode::from(status);
        let raw = RawResponse::from_bytes(status, headers, Bytes::copy_from_slice(body.as_bytes()));
        ErrorKind::HttpResponse { status, error_code: None, raw_response: Some(Box::new(raw)) }.into_error()
    }

    fn of_vault(status: u16, body: &str) -> VaultClientError {
        VaultClientError::from_sdk(sdk(status, Headers::new(), body))
    }

    #[test]
    fn the_vaults_codes_decide_the_class() {
        let error = of_vault(
            403,
            r#"{"error":{"code":"Forbidden","message":"Operation encrypt is not allowed on a disabled key.","innererror":{"code":"KeyDisabled"}}}"#,
        );
        assert_snapshot!(error, @"key vault answered 403 Forbidden (KeyDisabled): Operation encrypt is not allowed on a disabled key.");
        assert_eq!(error.class(), FailureClass::KeyState);

        // Recorded from a live vault: hashicorp/terraform-provider-azurerm issue 27817, shortened.
        let error = of_vault(
            403,
            "{\"error\":{\"code\":\"Forbidden\",\"message\":\"Caller is not authorized to perform action on resource.\\r\\nIf role assignments changed recently, please observe propagation time.\\r\\n\",\"innererror\":{\"code\":\"ForbiddenByRbac\"}}}",
        );
        assert_snapshot!(error, @"key vault answered 403 Forbidden (ForbiddenByRbac): Caller is not authorized to perform action on resource. If role assignments changed recently, please observe propagation time.");
        assert_eq!(error.class(), FailureClass::Denied);

        // As a JavaScript trace shows the inner error.
        let error = of_vault(403, r#"{"error":{"code":"Forbidden","message":"m","innerError":{"code":"KeyExpired"}}}"#);
        assert_eq!(error.class(), FailureClass::KeyState);

        for (status, class) in [
            (400, FailureClass::Rejected),
            (401, FailureClass::Denied),
            (404, FailureClass::Missing),
            (408, FailureClass::Unavailable),
            (418, FailureClass::Corrupt),
            (429, FailureClass::Throttled),
            (500, FailureClass::Unavailable),
            (503, FailureClass::Unavailable),
        ] {
            assert_eq!(of_vault(status, "").class(), class, "{status}");
        }
    }

    #[test]
    fn a_page_instead_of_json_is_said_and_not_repeated() {
        let error = of_vault(502, "<html><body>Bad Gateway</body></html>");
        assert_snapshot!(error, @"key vault answered 502: (the body is not an error of the service)");
    }

    #[test]
    fn the_token_endpoints_answer_is_found_behind_the_credential() {
        let body = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided.","error_codes":[7000215]}"#;
        let inner = sdk(401, Headers::new(), body);
        let error = VaultClientError::from_sdk(SdkError::with_error(
            ErrorKind::Credential,
            inner,
            "ClientSecretCredential authentication failed",
        ));
        assert_snapshot!(error, @"token endpoint answered 401 invalid_client: AADSTS7000215: Invalid client secret provided.");
        assert_eq!(error.class(), FailureClass::Denied);
        assert!(!error.is_stale_token());
    }

    #[test]
    fn retry_after_is_read_in_seconds() {
        let mut headers = Headers::new();
        headers.insert(RETRY_AFTER, "7");
        let error = VaultClientError::from_sdk(sdk(429, headers, ""));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    }

    proptest! {
        #[test]
        fn any_answer_has_a_class_and_one_line(status in 100_u16..=599, body in ".{0,200}", long in 0_usize..4000) {
            let body = format!(r#"{{"error":{{"message":{}}}}}"#, serde_json::json!(body.repeat(1 + long / 200)));
            let error = of_vault(status, &body);
            let _ = error.class();
            let text = error.to_string();
            prop_assert!(!text.contains(['\r', '\n']));
            prop_assert!(text.chars().count() < MAX_MESSAGE_CHARS + 100);
        }
    }
}
