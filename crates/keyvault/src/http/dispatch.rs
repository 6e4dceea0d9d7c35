//! From a request to its answer: which service the caller means, and the headers that all answers of a vault have.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::header::X_CONTENT_TYPE_OPTIONS;
use http::header::{CACHE_CONTROL, DATE, EXPIRES, PRAGMA, STRICT_TRANSPORT_SECURITY};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use jiff::fmt::rfc2822::DateTimePrinter;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::emulator::{Emulator, LiveVault};
use crate::faults::{Side, Subject, Verdict};
use crate::http::api_error::ApiError;
use crate::http::assumed;
use crate::http::host::CallerHost;
use crate::http::inbound::Inbound;
use crate::http::reply::{Reply, ReplyBody};
use crate::http::trace::{CLIENT_REQUEST_ID, Seen, Trace};
use crate::http::vault_call::VaultCall;
use crate::identity::{EntraRoute, LOGIN_HOSTS, ManagedIdentityRoute};
use crate::network::{self, Place};
use crate::operation::Operation;
use crate::vault::VaultName;

/// The listener that a request came in by.
#[derive(Clone, Debug)]
pub(crate) enum Door {
    /// Plain HTTP: the machine's token endpoints, and the KMS plugin's proxy mode.
    Plain,
    /// TLS: vaults and Entra.
    Tls {
        /// Where its callers stand.
        place: Arc<Place>,
        /// The version of TLS, as the audit log names it.
        version: Option<&'static str>,
    },
}

impl Door {
    /// Where its callers stand.
    pub(super) fn place(&self) -> Place {
        match self {
            Self::Plain => Place::default(),
            Self::Tls { place, .. } => Place::clone(place),
        }
    }

    pub(super) fn tls_version(&self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Tls { version, .. } => *version,
        }
    }

    fn is_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }
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
    door: &Door,
    peer: SocketAddr,
    request: Request<Incoming>,
    shutdown: CancellationToken,
) -> Result<Response<ReplyBody>, Dropped> {
    let mut inbound = Inbound::new(request, peer);
    if door.is_plain()
        && let Some(host) = host_in_path(&inbound)
    {
        inbound.enter(host);
    }
    let mut trace = Trace::start(&emulator, &inbound);
    let context = Context { emulator: &emulator, shutdown: &shutdown };
    let reply = match service(&emulator, door, &inbound) {
        Service::Entra { base } => context.entra(&base, &mut inbound, &mut trace).await?,
        Service::Machine => context.managed_identity(&inbound, &mut trace).await?,
        Service::Nobody { refusal } => {
            let network_info = network_info(inbound.peer().ip(), network::Path::Public);
            with_vault_headers(refusal.into_reply(), &emulator, &inbound, &trace, network_info)
        }
        Service::Vault { host, vault } => {
            let place = door.place();
            let address = place.address(inbound.peer().ip());
            let path = vault.rules().network.path(&place);
            trace.audits(&vault, &host, &inbound, Seen { address, path, tls_version: door.tls_version() });
            let call = VaultCall { emulator: &emulator, shutdown: &shutdown, host: &host, vault: &vault };
            let reply = call.answer(&place, address, &mut inbound, &mut trace).await?;
            with_vault_headers(reply, &emulator, &inbound, &trace, network_info(address, path))
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

fn service(emulator: &Emulator, door: &Door, inbound: &Inbound) -> Service {
    let Some(host) = inbound.host().cloned() else {
        // The machine's endpoints are known by their paths alone.
        let refusal = ApiError::bad_parameter(assumed::HOST_MISSING);
        return if door.is_plain() { Service::Machine } else { Service::Nobody { refusal } };
    };
    let is_entra = EntraRoute::parse(inbound.segments()).is_some();
    if door.is_plain() && host.vault_label().is_none() {
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
        let bytes = match self.identity_faults(operation).await? {
            Ok(bytes) => bytes,
            Err(reply) => return Ok(reply),
        };
        let reply = match route {
            Some(route) => route.answer(self.emulator, inbound).await,
            None => ManagedIdentityRoute::not_emulated(inbound),
        };
        Ok(reply.truncated(bytes))
    }

    async fn entra(self, base: &str, inbound: &mut Inbound, trace: &mut Trace) -> Result<Reply, Dropped> {
        let route = EntraRoute::parse(inbound.segments());
        let operation = route.as_ref().map_or(Operation::Unknown, EntraRoute::operation);
        trace.is(operation);
        let bytes = match self.identity_faults(operation).await? {
            Ok(bytes) => bytes,
            Err(reply) => return Ok(reply),
        };
        let reply = match route {
            Some(route) => route.answer(self.emulator, base, inbound).await,
            None => EntraRoute::not_emulated(inbound),
        };
        Ok(reply.truncated(bytes))
    }

    /// What faults make of a request to the identity endpoints: how much of the answer is sent, if not all; or a refusal in
    /// their shape.
    async fn identity_faults(self, operation: Operation) -> Result<Result<Option<usize>, Reply>, Dropped> {
        let faults = self.emulator.faults();
        let arriving = Subject::arriving(Side::Identity, None);
        let mut verdict = faults.strike(arriving, self.shutdown).await;
        if verdict == Verdict::Proceed {
            verdict = faults.strike(Subject { operation: Some(operation), ..arriving }, self.shutdown).await;
        }
        match verdict {
            Verdict::Drop => Err(Dropped),
            Verdict::Proceed => Ok(Ok(None)),
            Verdict::Truncate { bytes } => Ok(Ok(Some(bytes))),
            Verdict::Refuse { status, code, inner_code: _, message, retry_after_seconds } => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let error = code.unwrap_or_else(|| "temporarily_unavailable".to_owned());
                let text = message.unwrap_or_else(|| "An injected fault refuses the request.".to_owned());
                let body = json!({ "error": error, "error_description": text });
                let mut reply = Reply::json(status, &body).with_error_code(error);
                if let Some(seconds) = retry_after_seconds {
                    reply.headers_mut().insert(http::header::RETRY_AFTER, HeaderValue::from(seconds));
                }
                Ok(Err(reply))
            }
        }
    }
}

/// The headers that each answer of a vault carries.
///
/// Captured in Azure/azure-sdk-for-net#38464 and #22002, hashicorp/terraform-provider-azurerm#12285.
/// `Differs:` the `Date` is that of the stack's clock, so that it agrees with the times of the keys.
fn with_vault_headers(
    mut reply: Reply,
    emulator: &Emulator,
    inbound: &Inbound,
    trace: &Trace,
    network_info: String,
) -> Reply {
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
        (NETWORK_INFO, Some(network_info)),
        (DATE, date.ok()),
    ];
    for (name, value) in computed {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
    reply
}

/// How the service says from where it was reached. `Assumed:` the forms for IPv6 and for a private link, of which only the
/// address family was captured.
fn network_info(address: IpAddr, path: network::Path) -> String {
    let (kind, family) = match (path, address) {
        (network::Path::PrivateLink, _) => ("PrivateLink", "InterNetworkV6"),
        (_, IpAddr::V4(_)) => ("Ipv4", "InterNetwork"),
        (_, IpAddr::V6(_)) => ("Ipv6", "InterNetworkV6"),
    };
    format!("conn_type={kind};addr={address};act_addr_fam={family};")
}

const REGION: HeaderName = HeaderName::from_static("x-ms-keyvault-region");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");
const SERVICE_VERSION: HeaderName = HeaderName::from_static("x-ms-keyvault-service-version");
const NETWORK_INFO: HeaderName = HeaderName::from_static("x-ms-keyvault-network-info");
