//! The token endpoints of a machine: the instance metadata service and App Service.
//!
//! <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>,
//! <https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference>.
//! `Assumed:` the error texts, and the shape of App Service's errors.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method, StatusCode};
use serde::Serialize;
use serde_json::json;

use crate::chain::chain;
use crate::emulator::Emulator;
use crate::http::{Inbound, Reply};
use crate::identity::audience::Audience;
use crate::identity::directory::{IdentitySelector, Selected};
use crate::identity::token::{Proof, real_now};

/// A token endpoint of the machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ManagedIdentityRoute {
    /// `GET {IDENTITY_ENDPOINT}`, here `/msi/token`, with `X-IDENTITY-HEADER`.
    AppService,
    /// `GET /metadata/identity/oauth2/token` with `Metadata: true`.
    Imds,
}

impl ManagedIdentityRoute {
    /// The endpoint that these path segments name.
    pub(crate) fn parse(segments: &[String]) -> Option<Self> {
        let is = |path: &[&str]| {
            path.len() == segments.len()
                && path.iter().zip(segments).all(|(literal, segment)| literal.eq_ignore_ascii_case(segment))
        };
        if is(&["metadata", "identity", "oauth2", "token"]) {
            Some(Self::Imds)
        } else if is(&["msi", "token"]) {
            Some(Self::AppService)
        } else {
            None
        }
    }

    /// Answers a request to it.
    pub(crate) async fn answer(self, emulator: &Emulator, inbound: &Inbound) -> Reply {
        match self.token(emulator, inbound).await {
            Ok(reply) => reply,
            Err(refusal) => self.refuse(&refusal),
        }
    }

    /// The answer to a path that is none of the machine's.
    pub(crate) fn not_emulated(inbound: &Inbound) -> Reply {
        let path = inbound.path();
        let refusal = Refusal::new(StatusCode::NOT_FOUND, "not_found", format!("no endpoint at {path}"));
        Self::Imds.refuse(&refusal)
    }

    async fn token(self, emulator: &Emulator, inbound: &Inbound) -> Result<Reply, Refusal> {
        let bad = |text: &str| Refusal::new(StatusCode::BAD_REQUEST, "invalid_request", text.to_owned());
        if *inbound.method() != Method::GET {
            let text = format!("{} is not allowed: the endpoint accepts GET", inbound.method());
            return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request", text));
        }
        self.check_caller(emulator, inbound)?;
        if inbound.query("api-version").is_none_or(|version| version.parse::<jiff::civil::Date>().is_err()) {
            return Err(bad("Bad request. api-version is invalid or was not specified in the request."));
        }
        let resource = inbound.query("resource").filter(|resource| !resource.is_empty());
        let resource = resource.ok_or_else(|| bad("Required query variable 'resource' is missing"))?;
        let audience = Audience::from_resource(resource).ok_or_else(|| {
            let text = format!("AADSTS500011: The resource principal named {resource} was not found in the tenant");
            Refusal::new(StatusCode::BAD_REQUEST, "invalid_resource", text)
        })?;
        let principal = match &emulator.directory().managed_identity(&selector(inbound)) {
            Selected::None => return Err(bad("Identity not found")),
            Selected::One(principal) => Arc::clone(principal),
            Selected::Several => {
                return Err(bad(
                    "Multiple user assigned identities exist, please specify the clientId / resourceId of \
                                the identity in the token request",
                ));
            }
        };
        let issued = emulator.tokens().issue(&principal, Proof::Assertion, &audience, real_now(), TOKEN_LIFETIME).await;
        let issued = issued.map_err(|error| {
            tracing::error!(error = %chain(&error), "no token issued");
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "unknown", "Failed to retrieve token".to_owned())
        })?;
        tracing::debug!(client_id = %principal.client_id, %audience, "issued a managed identity's token");
        Ok(Reply::json(
            StatusCode::OK,
            &Answer {
                access_token: issued.expose(),
                client_id: principal.client_id.to_string(),
                expires_in: issued.lifetime.as_secs().to_string(),
                expires_on: issued.expires.to_string(),
                ext_expires_in: issued.lifetime.as_secs().to_string(),
                not_before: issued.not_before.to_string(),
                resource: audience.as_str(),
                token_type: "Bearer",
            },
        ))
    }

    /// A header proves that the caller is a program of this machine and no page in a browser.
    fn check_caller(self, emulator: &Emulator, inbound: &Inbound) -> Result<(), Refusal> {
        match self {
            Self::AppService => {
                let offered = inbound.header(&IDENTITY_HEADER).unwrap_or_default();
                if emulator.directory().accepts_identity_header(offered) {
                    return Ok(());
                }
                let text = "the X-IDENTITY-HEADER is missing or not this machine's".to_owned();
                Err(Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", text))
            }
            Self::Imds if inbound.header(&METADATA).is_some_and(|value| value.eq_ignore_ascii_case("true")) => Ok(()),
            Self::Imds => {
                let text = "Required metadata header not specified".to_owned();
                Err(Refusal::new(StatusCode::BAD_REQUEST, "invalid_request", text))
            }
        }
    }

    fn refuse(self, refusal: &Refusal) -> Reply {
        let body = match self {
            Self::AppService => json!({ "statusCode": refusal.status.as_u16(), "message": refusal.text }),
            Self::Imds => json!({ "error": refusal.error, "error_description": refusal.text }),
        };
        Reply::json(refusal.status, &body).with_error_code(refusal.error)
    }
}

struct Refusal {
    status: StatusCode,
    error: &'static str,
    text: String,
}

impl Refusal {
    fn new(status: StatusCode, error: &'static str, text: String) -> Self {
        Self { status, error, text }
    }
}

/// All numbers are strings, as strict clients demand.
#[derive(Serialize)]
struct Answer<'a> {
    access_token: &'a str,
    client_id: String,
    expires_in: String,
    expires_on: String,
    ext_expires_in: String,
    not_before: String,
    resource: &'a str,
    token_type: &'static str,
}

fn selector(inbound: &Inbound) -> IdentitySelector<'_> {
    let by = |names: &[&str]| names.iter().find_map(|name| inbound.query(name));
    if let Some(id) = by(&["client_id"]) {
        IdentitySelector::ClientId(id)
    } else if let Some(id) = by(&["object_id", "principal_id"]) {
        IdentitySelector::ObjectId(id)
    } else if let Some(id) = by(&["msi_res_id", "mi_res_id"]) {
        IdentitySelector::ResourceId(id)
    } else {
        IdentitySelector::Any
    }
}

const METADATA: HeaderName = HeaderName::from_static("metadata");
const IDENTITY_HEADER: HeaderName = HeaderName::from_static("x-identity-header");
/// `Assumed:` a managed identity's token lives a day, less the second that Entra takes off.
const TOKEN_LIFETIME: Duration = Duration::from_secs(86_399);
