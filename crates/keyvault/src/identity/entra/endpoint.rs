//! Entra's endpoints: tokens by client credentials, discovery and signing keys.
//!
//! v1 takes a `resource` and answers numbers as strings, v2 takes a `scope` and answers numbers:
//! <https://learn.microsoft.com/previous-versions/azure/active-directory/azuread-dev/v1-oauth2-client-creds-grant-flow>,
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>.

use std::time::Duration;

use http::header::{CACHE_CONTROL, PRAGMA};
use http::{HeaderValue, Method, StatusCode};
use serde::Serialize;
use serde_json::json;

use crate::chain::chain;
use crate::config::PrincipalKind;
use crate::emulator::Emulator;
use crate::http::{Inbound, Reply};
use crate::identity::aadsts::Refusal;
use crate::identity::assertion;
use crate::identity::audience::Audience;
use crate::identity::entra::credentials::Credentials;
use crate::identity::token::{Proof, real_now};
use crate::operation::Operation;

/// An endpoint of Entra.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum EntraRoute {
    /// `/common/discovery/instance`: which clouds there are.
    Instance,
    /// `/{tenant}/discovery/[v2.0/]keys`: the signing keys.
    Keys { tenant: String },
    /// `/{tenant}/[v2.0/].well-known/openid-configuration`.
    OpenId { tenant: String, version: EndpointVersion },
    /// `/{tenant}/oauth2/[v2.0/]token`.
    Token { tenant: String, version: EndpointVersion },
}

/// The two generations of endpoints.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum EndpointVersion {
    V1,
    V2,
}

impl EntraRoute {
    /// The endpoint that these path segments name. Literals are compared without regard to case.
    pub(crate) fn parse(segments: &[String]) -> Option<Self> {
        let lower: Vec<_> = segments.iter().map(|segment| segment.to_ascii_lowercase()).collect();
        let lower: Vec<_> = lower.iter().map(String::as_str).collect();
        let (_, rest) = lower.split_first()?;
        let tenant = segments.first()?.clone();
        match rest {
            ["discovery", "instance"] => Some(Self::Instance),
            ["discovery", "keys"] | ["discovery", "v2.0", "keys"] => Some(Self::Keys { tenant }),
            [".well-known", "openid-configuration"] => Some(Self::OpenId { tenant, version: EndpointVersion::V1 }),
            ["v2.0", ".well-known", "openid-configuration"] => {
                Some(Self::OpenId { tenant, version: EndpointVersion::V2 })
            }
            ["oauth2", "token"] => Some(Self::Token { tenant, version: EndpointVersion::V1 }),
            ["oauth2", "v2.0", "token"] => Some(Self::Token { tenant, version: EndpointVersion::V2 }),
            _ => None,
        }
    }

    /// What a request to it counts as.
    pub(crate) fn operation(&self) -> Operation {
        match self {
            Self::Instance | Self::Keys { .. } | Self::OpenId { .. } => Operation::EntraDiscovery,
            Self::Token { .. } => Operation::EntraToken,
        }
    }

    /// Answers a request to it; `base` is what the caller reached Entra by: scheme and host.
    pub(crate) async fn answer(&self, emulator: &Emulator, base: &str, inbound: &mut Inbound) -> Reply {
        let answered = match self {
            Self::Instance => get_only(inbound).map(|()| instance(emulator)),
            Self::Keys { tenant } => keys(emulator, tenant, inbound).await,
            Self::OpenId { tenant, version } => open_id(emulator, tenant, *version, base, inbound),
            Self::Token { tenant, version } => token(emulator, tenant, *version, base, inbound).await,
        };
        with_entra_headers(answered.unwrap_or_else(|refusal| refusal.reply(real_now())))
    }

    /// The answer to a path that is none of Entra's.
    pub(crate) fn not_emulated(inbound: &Inbound) -> Reply {
        let (method, path) = (inbound.method().to_string(), inbound.path().to_owned());
        with_entra_headers(Refusal::PathNotEmulated { method, path }.reply(real_now()))
    }
}

fn get_only(inbound: &Inbound) -> Result<(), Refusal> {
    match *inbound.method() {
        Method::GET => Ok(()),
        ref other => Err(Refusal::Method { accepts: "GET", received: other.to_string() }),
    }
}

/// Refuses a tenant that is not the emulated one. `common` and `organizations` stand for any in discovery.
fn check_tenant(emulator: &Emulator, tenant: &str, any_allowed: bool) -> Result<(), Refusal> {
    let stands_for_any = ["common", "organizations"].iter().any(|any| tenant.eq_ignore_ascii_case(any));
    if tenant.eq_ignore_ascii_case(&emulator.tenant_id().to_string()) || (any_allowed && stands_for_any) {
        return Ok(());
    }
    Err(Refusal::TenantNotFound { tenant: tenant.to_owned() })
}

fn instance(emulator: &Emulator) -> Reply {
    Reply::json(
        StatusCode::OK,
        &json!({
            "tenant_discovery_endpoint":
                format!("https://{LOGIN_HOST}/{}/v2.0/.well-known/openid-configuration", emulator.tenant_id()),
            "api-version": "1.1",
            "metadata": [{
                "preferred_network": LOGIN_HOST,
                "preferred_cache": "login.windows.net",
                "aliases": LOGIN_HOSTS,
            }],
        }),
    )
}

async fn keys(emulator: &Emulator, tenant: &str, inbound: &Inbound) -> Result<Reply, Refusal> {
    get_only(inbound)?;
    check_tenant(emulator, tenant, true)?;
    let key = emulator.tokens().jwk().await.map_err(|error| {
        tracing::error!(error = %chain(&error), "no signing key");
        Refusal::Internal
    })?;
    Ok(Reply::json(StatusCode::OK, &json!({ "keys": [key] })))
}

fn open_id(
    emulator: &Emulator,
    tenant: &str,
    version: EndpointVersion,
    base: &str,
    inbound: &Inbound,
) -> Result<Reply, Refusal> {
    get_only(inbound)?;
    check_tenant(emulator, tenant, true)?;
    let (issuer, infix) = match version {
        EndpointVersion::V1 => (emulator.tokens().issuer_v1(), ""),
        EndpointVersion::V2 => (emulator.tokens().issuer_v2(), "v2.0/"),
    };
    Ok(Reply::json(
        StatusCode::OK,
        &json!({
            "issuer": issuer,
            "token_endpoint": format!("{base}/{tenant}/oauth2/{infix}token"),
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            // Announced because clients demand it; nobody can sign in here.
            "authorization_endpoint": format!("{base}/{tenant}/oauth2/{infix}authorize"),
            "jwks_uri": format!("{base}/{tenant}/discovery/{infix}keys"),
            "response_modes_supported": ["query", "fragment", "form_post"],
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid"],
            "claims_supported": ["sub", "iss", "aud", "exp", "iat", "tid", "ver"],
            "tenant_region_scope": "EU",
            "cloud_instance_name": "microsoftonline.com",
            "cloud_graph_host_name": "graph.windows.net",
            "msgraph_host": "graph.microsoft.com",
        }),
    ))
}

async fn token(
    emulator: &Emulator,
    tenant: &str,
    version: EndpointVersion,
    base: &str,
    inbound: &mut Inbound,
) -> Result<Reply, Refusal> {
    if *inbound.method() != Method::POST {
        return Err(Refusal::Method { accepts: "POST", received: inbound.method().to_string() });
    }
    check_tenant(emulator, tenant, false)?;
    let request = Credentials::read(inbound).await?;
    match request.field("grant_type") {
        None => return Err(Refusal::ParameterMissing { name: "grant_type" }),
        Some("client_credentials") => {}
        Some(other) => return Err(Refusal::GrantUnsupported { grant_type: other.to_owned() }),
    }
    let client_id = request.client_id().ok_or(Refusal::ParameterMissing { name: "client_id" })?;
    let Some(principal) = emulator.directory().application(client_id) else {
        return Err(Refusal::ClientNotFound { client_id: client_id.to_owned(), tenant: tenant.to_owned() });
    };
    let now = real_now();
    let proof = if let Some(assertion) = request.field("client_assertion") {
        if request.field("client_assertion_type") != Some(ASSERTION_TYPE) {
            return Err(Refusal::ParameterMissing { name: "client_assertion_type" });
        }
        assertion::verify(assertion, &principal, &accepted_audiences(emulator, base), now)?;
        Proof::Assertion
    } else {
        let offered = request.client_secret().ok_or(Refusal::ClientSecretMissing)?;
        let is_right = match &principal.kind {
            PrincipalKind::ServicePrincipal { client_secret: Some(secret) } => secret.matches(offered),
            _ => false,
        };
        if !is_right {
            return Err(Refusal::ClientSecretInvalid { client_id: client_id.to_owned() });
        }
        Proof::Secret
    };
    let audience = match version {
        EndpointVersion::V1 => {
            let resource = request.field("resource").ok_or(Refusal::ParameterMissing { name: "resource" })?;
            Audience::from_resource(resource).ok_or_else(|| not_found(resource, tenant))?
        }
        EndpointVersion::V2 => {
            let scope = request.field("scope").ok_or(Refusal::ParameterMissing { name: "scope" })?;
            audience_of_scope(scope, tenant)?
        }
    };
    let issued = emulator.tokens().issue(&principal, proof, &audience, now, TOKEN_LIFETIME).await.map_err(|error| {
        tracing::error!(error = %chain(&error), "no token issued");
        Refusal::Internal
    })?;
    tracing::debug!(%client_id, %audience, "issued a token");
    let lifetime = issued.lifetime.as_secs();
    Ok(match version {
        EndpointVersion::V1 => Reply::json(
            StatusCode::OK,
            &TokenV1 {
                token_type: "Bearer",
                expires_in: lifetime.to_string(),
                ext_expires_in: lifetime.to_string(),
                expires_on: issued.expires.to_string(),
                not_before: issued.not_before.to_string(),
                resource: audience.as_str(),
                access_token: issued.expose(),
            },
        ),
        EndpointVersion::V2 => Reply::json(
            StatusCode::OK,
            &TokenV2 {
                token_type: "Bearer",
                expires_in: lifetime,
                ext_expires_in: lifetime,
                access_token: issued.expose(),
            },
        ),
    })
}

/// What an assertion may name as its audience: the token endpoints and the issuer, by Azure's name and by the caller's.
fn accepted_audiences(emulator: &Emulator, base: &str) -> Vec<String> {
    let tenant = emulator.tenant_id();
    let canonical = format!("https://{LOGIN_HOST}");
    let of =
        |base: &str| ["oauth2/token", "oauth2/v2.0/token", "v2.0", ""].map(|path| format!("{base}/{tenant}/{path}"));
    of(&canonical).into_iter().chain(of(base)).collect()
}

/// The resource of a scope list: one `{resource}/.default`, beside what clients add for signing in.
fn audience_of_scope(scope: &str, tenant: &str) -> Result<Audience, Refusal> {
    let beside = ["openid", "profile", "offline_access"];
    let mut resources = scope.split_ascii_whitespace().filter(|entry| !beside.contains(entry));
    match (resources.next(), resources.next()) {
        (Some(only), None) => match only.strip_suffix("/.default") {
            None => Err(Refusal::ScopeInvalid { scope: scope.to_owned() }),
            Some(resource) => Audience::from_scope(only).ok_or_else(|| not_found(resource, tenant)),
        },
        _ => Err(Refusal::ScopeInvalid { scope: scope.to_owned() }),
    }
}

fn not_found(resource: &str, tenant: &str) -> Refusal {
    Refusal::ResourceNotFound { resource: resource.to_owned(), tenant: tenant.to_owned() }
}

fn with_entra_headers(mut reply: Reply) -> Reply {
    reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store, no-cache"));
    reply.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    reply
}

#[derive(Serialize)]
struct TokenV1<'a> {
    token_type: &'static str,
    expires_in: String,
    ext_expires_in: String,
    expires_on: String,
    not_before: String,
    resource: &'a str,
    access_token: &'a str,
}

#[derive(Serialize)]
struct TokenV2<'a> {
    token_type: &'static str,
    expires_in: u64,
    ext_expires_in: u64,
    access_token: &'a str,
}

/// RFC 7523 section 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Entra's host in the public cloud.
const LOGIN_HOST: &str = "login.microsoftonline.com";
/// The names it has.
pub(crate) const LOGIN_HOSTS: [&str; 4] = [LOGIN_HOST, "login.windows.net", "login.microsoft.com", "sts.windows.net"];
/// `Assumed:` an application's token lives an hour, less the second that Entra takes off. On Azure it varies, 60 to 90 minutes.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3_599);
