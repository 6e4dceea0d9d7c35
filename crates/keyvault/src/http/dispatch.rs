//! From a request to its answer: which service the caller means, and the order in which the vault checks.
//!
//! The order: host, token (401), api-version and route, query and body (400), permission (403), existence (404, 409), state
//! of the key (403), cryptography (400). A client's first request carries neither token nor body, so the token comes first.
//! `Assumed:` the order, which is inferred from what the service's texts know when they are written; in particular that the
//! token is asked for before the path is looked at.
//! `Differs:` every declared principal may do everything, because access rules are not emulated yet.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::header::X_CONTENT_TYPE_OPTIONS;
use http::header::{AUTHORIZATION, CACHE_CONTROL, DATE, EXPIRES, PRAGMA, STRICT_TRANSPORT_SECURITY, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use jiff::fmt::rfc2822::DateTimePrinter;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::emulator::{Emulator, LiveVault};
use crate::faults::{Side, Verdict};
use crate::http::api_error::ApiError;
use crate::http::api_version::ApiVersion;
use crate::http::assumed;
use crate::http::command::KeyCommand;
use crate::http::host::CallerHost;
use crate::http::inbound::Inbound;
use crate::http::keys::VaultView;
use crate::http::reply::Reply;
use crate::http::route::KeyRoute;
use crate::http::trace::{CLIENT_REQUEST_ID, Trace};
use crate::identity::{Audience, EntraRoute, LOGIN_HOSTS, ManagedIdentityRoute};
use crate::operation::Operation;
use crate::vault::VaultName;

/// The listener that a request came in by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Door {
    /// Plain HTTP: the machine's token endpoints, and the KMS plugin's proxy mode.
    Plain,
    /// TLS: vaults and Entra.
    Tls,
}

/// The connection is to be closed without an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("answer: an injected fault or the shutdown closes the connection")]
pub(crate) struct Dropped;

/// Answers a request.
///
/// # Errors
///
/// [`Dropped`] if a fault says so, or at shutdown while a fault delays it.
pub(crate) async fn answer(
    emulator: Emulator,
    door: Door,
    peer: SocketAddr,
    request: Request<Incoming>,
    shutdown: CancellationToken,
) -> Result<Response<Full<Bytes>>, Dropped> {
    let mut inbound = Inbound::new(request, peer);
    if door == Door::Plain
        && let Some(host) = host_in_path(&inbound)
    {
        inbound.enter(host);
    }
    let mut trace = Trace::start(&emulator, &inbound);
    let context = Context { emulator: &emulator, shutdown: &shutdown };
    let reply = match service(&emulator, door, &inbound) {
        Service::Entra { base } => context.entra(&base, &mut inbound, &mut trace).await?,
        Service::Machine => context.managed_identity(&inbound, &mut trace).await?,
        Service::Nobody { refusal } => with_vault_headers(refusal.into_reply(), &emulator, &inbound, &trace),
        Service::Vault { host, vault } => {
            let reply = context.vault(&host, &vault, &mut inbound, &mut trace).await?;
            with_vault_headers(reply, &emulator, &inbound, &trace)
        }
    };
    trace.finish(&reply);
    Ok(reply.into_response())
}

/// Who is meant by a request.
enum Service {
    Entra { base: String },
    Machine,
    Nobody { refusal: ApiError },
    Vault { host: CallerHost, vault: Arc<LiveVault> },
}

/// The vault's host that a plain request names in its path, as the KMS plugin does in its proxy mode.
fn host_in_path(inbound: &Inbound) -> Option<CallerHost> {
    inbound.host()?.in_path(inbound.segments().first()?)
}

fn service(emulator: &Emulator, door: Door, inbound: &Inbound) -> Service {
    let Some(host) = inbound.host().cloned() else {
        // The machine's endpoints are known by their paths alone.
        return match door {
            Door::Plain => Service::Machine,
            Door::Tls => Service::Nobody { refusal: ApiError::bad_parameter(assumed::HOST_MISSING) },
        };
    };
    let is_entra = EntraRoute::parse(inbound.segments()).is_some();
    if door == Door::Plain && host.vault_label().is_none() {
        // The proxy mode of the KMS plugin asks for tokens here too.
        return if is_entra { Service::Entra { base: format!("http://{host}") } } else { Service::Machine };
    }
    // A direct caller reaches both by one name. No path of Entra's is an operation of a vault that could succeed.
    if LOGIN_HOSTS.contains(&host.name()) || (host.is_this_machine() && is_entra) {
        return Service::Entra { base: format!("https://{host}") };
    }
    let vault = if host.is_this_machine() {
        // A name that says nothing of a vault is enough if there is only one.
        let mut vaults = emulator.vaults();
        vaults.next().filter(|_| vaults.len() == 0)
    } else {
        host.vault_label().and_then(|(kind, label)| {
            let vault = emulator.vault(&label.parse::<VaultName>().ok()?)?;
            (vault.kind() == kind).then_some(vault)
        })
    };
    if let Some(vault) = vault {
        return Service::Vault { host, vault: Arc::clone(vault) };
    }
    let known = emulator.vaults().map(|vault| vault.name());
    Service::Nobody { refusal: ApiError::no_such_vault(&host.to_string(), known) }
}

/// What answering needs beside the request.
#[derive(Clone, Copy)]
struct Context<'a> {
    emulator: &'a Emulator,
    shutdown: &'a CancellationToken,
}

impl Context<'_> {
    async fn managed_identity(self, inbound: &Inbound, trace: &mut Trace) -> Result<Reply, Dropped> {
        let route = ManagedIdentityRoute::parse(inbound.segments());
        let operation = route.map_or(Operation::Unknown, |_| Operation::ManagedIdentityToken);
        trace.is(operation);
        if let Some(reply) = self.identity_faults(operation).await? {
            return Ok(reply);
        }
        Ok(match route {
            Some(route) => route.answer(self.emulator, inbound).await,
            None => ManagedIdentityRoute::not_emulated(inbound),
        })
    }

    async fn entra(self, base: &str, inbound: &mut Inbound, trace: &mut Trace) -> Result<Reply, Dropped> {
        let route = EntraRoute::parse(inbound.segments());
        let operation = route.as_ref().map_or(Operation::Unknown, EntraRoute::operation);
        trace.is(operation);
        if let Some(reply) = self.identity_faults(operation).await? {
            return Ok(reply);
        }
        Ok(match route {
            Some(route) => route.answer(self.emulator, base, inbound).await,
            None => EntraRoute::not_emulated(inbound),
        })
    }

    async fn vault(
        self,
        host: &CallerHost,
        vault: &Arc<LiveVault>,
        inbound: &mut Inbound,
        trace: &mut Trace,
    ) -> Result<Reply, Dropped> {
        let is_health = matches!(inbound.segments(), [only] if only.eq_ignore_ascii_case("healthstatus"));
        trace.is(if is_health { Operation::Health } else { Operation::Authentication });
        let verdict = self.emulator.faults().strike_arrival(Side::Vault, self.shutdown).await;
        if let Some(refusal) = refusal(verdict)? {
            return Ok(refusal.into_reply());
        }
        if is_health && *inbound.method() == Method::GET {
            return Ok(Reply::bytes(StatusCode::OK, Bytes::from_static(assumed::HEALTH_BODY)));
        }
        let audience = Audience::of_vault(vault.kind(), host.port());
        let caller = match self.emulator.tokens().verify(inbound.header(&AUTHORIZATION), &audience).await {
            Ok(caller) => caller,
            Err(error) => return Ok(challenged(ApiError::from(error), &audience, self.emulator)),
        };
        trace.by(&caller);
        trace.is(Operation::Unknown);
        let done = async {
            let version = ApiVersion::parse(inbound.query("api-version"))?;
            let route = KeyRoute::parse(inbound.method(), inbound.segments())?;
            trace.is(route.operation());
            let verdict = self.emulator.faults().strike_operation(route.operation(), self.shutdown).await;
            if let Some(refusal) = refusal(verdict).map_err(Stop::Dropped)? {
                return Err(Stop::Refused(refusal));
            }
            if matches!(route, KeyRoute::Rotate { .. }) && !version.has_rotation() {
                let method = inbound.method().as_str();
                return Err(ApiError::bad_parameter(assumed::method_not_allowed(method, "rotate")).into());
            }
            let action = route.data_action();
            let command = KeyCommand::read(route, inbound).await?;
            if self.emulator.directory().by_object_id(&caller.object_id).is_none() {
                let region = self.emulator.region();
                return Err(ApiError::forbidden(&caller, action, vault.name(), region).into());
            }
            let view = VaultView { vault, host, version: &version };
            let answer = view.carry_out(command).await?;
            trace.uses(answer.key_id);
            Ok(answer.reply)
        };
        match done.await {
            Ok(reply) => Ok(reply),
            Err(Stop::Dropped(dropped)) => Err(dropped),
            Err(Stop::Refused(refusal)) => Ok(refusal.into_reply()),
        }
    }

    /// The refusal that a fault on the identity endpoints demands, in their shape.
    async fn identity_faults(self, operation: Operation) -> Result<Option<Reply>, Dropped> {
        let faults = self.emulator.faults();
        let mut verdict = faults.strike_arrival(Side::Identity, self.shutdown).await;
        if verdict == Verdict::Proceed {
            verdict = faults.strike_operation(operation, self.shutdown).await;
        }
        match verdict {
            Verdict::Drop => Err(Dropped),
            Verdict::Proceed => Ok(None),
            Verdict::Refuse { status, code, inner_code: _, message, retry_after_seconds } => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let error = code.unwrap_or_else(|| "temporarily_unavailable".to_owned());
                let text = message.unwrap_or_else(|| "An injected fault refuses the request.".to_owned());
                let body = json!({ "error": error, "error_description": text });
                let mut reply = Reply::json(status, &body).with_error_code(error);
                if let Some(seconds) = retry_after_seconds {
                    reply.headers_mut().insert(http::header::RETRY_AFTER, HeaderValue::from(seconds));
                }
                Ok(Some(reply))
            }
        }
    }
}

/// Why an operation ends early.
enum Stop {
    Dropped(Dropped),
    Refused(ApiError),
}

impl From<ApiError> for Stop {
    fn from(refusal: ApiError) -> Self {
        Self::Refused(refusal)
    }
}

fn refusal(verdict: Verdict) -> Result<Option<ApiError>, Dropped> {
    match verdict {
        Verdict::Drop => Err(Dropped),
        verdict => Ok(ApiError::fault(verdict)),
    }
}

/// A refusal of the token, with the challenge that tells where to get a better one.
///
/// The form is what every SDK parses: one space after the comma, quoted values without `=` or spaces in them.
fn challenged(error: ApiError, audience: &Audience, emulator: &Emulator) -> Reply {
    let is_unauthorized = error.status() == StatusCode::UNAUTHORIZED;
    let mut reply = error.into_reply();
    let tenant_id = emulator.tenant_id();
    let challenge =
        format!("Bearer authorization=\"https://login.microsoftonline.com/{tenant_id}\", resource=\"{audience}\"");
    if let Ok(challenge) = HeaderValue::try_from(challenge)
        && is_unauthorized
    {
        reply.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    reply
}

/// The headers that each answer of a vault carries.
///
/// Captured in Azure/azure-sdk-for-net#38464 and #22002, hashicorp/terraform-provider-azurerm#12285.
/// `Differs:` the `Date` is that of the stack's clock, so that it agrees with the times of the keys.
fn with_vault_headers(mut reply: Reply, emulator: &Emulator, inbound: &Inbound, trace: &Trace) -> Reply {
    let headers = reply.headers_mut();
    let fixed = [
        (CACHE_CONTROL, "no-cache"),
        (PRAGMA, "no-cache"),
        (EXPIRES, "-1"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (STRICT_TRANSPORT_SECURITY, "max-age=31536000;includeSubDomains"),
        (SERVICE_VERSION, "1.9.950.1"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&emulator.clock().now());
    let computed = [
        (REGION, Some(emulator.region().to_owned())),
        (REQUEST_ID, Some(trace.request_id())),
        (CLIENT_REQUEST_ID, inbound.header(&CLIENT_REQUEST_ID).map(str::to_owned)),
        (NETWORK_INFO, Some(network_info(inbound.peer().ip()))),
        (DATE, date.ok()),
    ];
    for (name, value) in computed {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
    reply
}

/// How the service says from where it was reached. `Assumed:` the form for IPv6.
fn network_info(peer: IpAddr) -> String {
    match peer.to_canonical() {
        IpAddr::V4(peer) => format!("conn_type=Ipv4;addr={peer};act_addr_fam=InterNetwork;"),
        IpAddr::V6(peer) => format!("conn_type=Ipv6;addr={peer};act_addr_fam=InterNetworkV6;"),
    }
}

const REGION: HeaderName = HeaderName::from_static("x-ms-keyvault-region");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");
const SERVICE_VERSION: HeaderName = HeaderName::from_static("x-ms-keyvault-service-version");
const NETWORK_INFO: HeaderName = HeaderName::from_static("x-ms-keyvault-network-info");
