//! One request to a vault, in the order in which the vault checks.
//!
//! Host, token (401), network rules (403), api-version and route, limits (429), query and body (400), permission (403),
//! existence (404, 409), state of the object (403), cryptography (400). A client's first request carries neither token nor
//! body, so the token comes first; a refusal by the network names the caller, so it comes after.
//! `Assumed:` the order, which is inferred from what the service's texts know when they are written; in particular that the
//! token is asked for before the path is looked at, and that limits come after the network.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use tokio_util::sync::CancellationToken;

use crate::access::{Grant, Need, Question};
use crate::emulator::{Emulator, LiveVault};
use crate::faults::{Side, Subject, Verdict};
use crate::http::api_error::ApiError;
use crate::http::api_version::ApiVersion;
use crate::http::assumed;
use crate::http::dispatch::Dropped;
use crate::http::forbidden::Attempt;
use crate::http::host::CallerHost;
use crate::http::inbound::Inbound;
use crate::http::reply::Reply;
use crate::http::route::{Command, Route};
use crate::http::trace::Trace;
use crate::http::view::{Answer, VaultView};
use crate::identity::{Audience, Caller};
use crate::limits::Transaction;
use crate::network::Place;
use crate::operation::Operation;
use crate::vault::ObjectKind;

/// A request to a vault.
#[derive(Clone, Copy)]
pub(super) struct VaultCall<'a> {
    pub(super) emulator: &'a Emulator,
    pub(super) shutdown: &'a CancellationToken,
    pub(super) host: &'a CallerHost,
    pub(super) vault: &'a Arc<LiveVault>,
}

impl VaultCall<'_> {
    /// Answers a caller who stands at `place` and whom the vault sees under `address`.
    ///
    /// # Errors
    ///
    /// [`Dropped`] if a fault says so, or at shutdown while a fault delays it.
    pub(super) async fn answer(
        self,
        place: &Place,
        address: IpAddr,
        inbound: &mut Inbound,
        trace: &mut Trace,
    ) -> Result<Reply, Dropped> {
        let is_health = matches!(inbound.segments(), [only] if only.eq_ignore_ascii_case("healthstatus"));
        trace.is(if is_health { Operation::Health } else { Operation::Authentication });
        if is_health {
            trace.is_unaudited();
        }
        let subject = Subject::arriving(Side::Vault, Some(self.vault.name().as_str()));
        let verdict = self.emulator.faults().strike(subject, self.shutdown).await;
        let bytes = match gone_on(verdict)? {
            Ok(bytes) => bytes,
            Err(refusal) => return Ok(refusal.into_reply()),
        };
        // For whoever looks into a private link: no token, no rules.
        if is_health && *inbound.method() == Method::GET {
            return Ok(Reply::bytes(StatusCode::OK, Bytes::from_static(assumed::HEALTH_BODY)));
        }
        let audience = Audience::of_vault(self.vault.kind(), self.host.port());
        let caller = match self.emulator.tokens().verify(inbound.header(&AUTHORIZATION), &audience).await {
            Ok(caller) => caller,
            Err(error) => return Ok(challenged(ApiError::from(error), &audience, self.emulator)),
        };
        trace.by(&caller);
        trace.is(Operation::Unknown);
        match self.carry_out(&caller, place, address, inbound, trace).await {
            Ok(reply) => Ok(reply.truncated(bytes)),
            Err(Stop::Dropped(dropped)) => Err(dropped),
            Err(Stop::Refused(refusal)) => Ok(refusal.into_reply().truncated(bytes)),
        }
    }

    async fn carry_out(
        self,
        caller: &Caller,
        place: &Place,
        address: IpAddr,
        inbound: &mut Inbound,
        trace: &mut Trace,
    ) -> Result<Reply, Stop> {
        let attempt = Attempt { caller, vault: self.vault, region: self.emulator.region() };
        let admitted = self.vault.rules().network.admit(place, address);
        // The operation is named in the log even if the caller does not come far.
        let route = Route::parse(inbound.method(), inbound.segments());
        if let Ok(route) = &route {
            trace.is(route.operation());
        }
        admitted.map_err(|refusal| attempt.not_from_there(refusal, &address.to_string()))?;
        let version = ApiVersion::parse(inbound.query("api-version"))?;
        let route = route?;
        let operation = route.operation();
        let target = Target::of(inbound.segments());
        self.throttle(operation, &target)?;
        let ids = [caller.client_id.as_str(), caller.object_id.as_str()];
        let subject = Subject {
            side: Side::Vault,
            operation: Some(operation),
            vault: Some(self.vault.name().as_str()),
            object: target.object().map(|(_, name)| name),
            caller: &ids,
        };
        let verdict = self.emulator.faults().strike(subject, self.shutdown).await;
        let bytes = gone_on(verdict).map_err(Stop::Dropped)?.map_err(Stop::Refused)?;
        route.check_version(inbound.method(), &version)?;
        let command = Command::read(route, inbound).await?;
        let grant = self.authorize(attempt, operation, &target, trace)?;
        let view = VaultView { vault: self.vault, host: self.host, version: &version };
        let Answer { reply, key_id } = view.carry_out(command).await?;
        trace.uses(key_id);
        self.tell(operation, &target);
        Ok(with_assignment(reply, grant).truncated(bytes))
    }

    /// Counts the request against the limits.
    fn throttle(self, operation: Operation, target: &Target) -> Result<(), ApiError> {
        let throttle = self.emulator.throttle();
        if !throttle.is_on() {
            return Ok(());
        }
        let key = match target.object() {
            Some((ObjectKind::Key, name)) => self.vault.material(name, target.version.as_deref()),
            _ => None,
        };
        let transaction = Transaction::of(operation, key);
        throttle.admit(self.vault.name(), transaction, self.emulator.clock().now()).map_err(ApiError::from)
    }

    /// Asks the vault's access model. What does not exist is refused as what does, so that nobody learns which it is.
    fn authorize(
        self,
        attempt: Attempt<'_>,
        operation: Operation,
        target: &Target,
        trace: &mut Trace,
    ) -> Result<Grant, ApiError> {
        let principal = self.emulator.directory().by_object_id(&attempt.caller.object_id);
        let Some(need) = Need::of(operation) else { return Ok(Grant::Open) };
        let question = Question {
            principal_id: principal.map(|principal| principal.object_id),
            need,
            vault: self.vault.name(),
            object: target.object(),
            now: self.emulator.clock().now(),
        };
        let access = self.vault.rules().access.clone();
        let decided = access.decide(&self.emulator.roster(), &question);
        match decided {
            Ok(Grant::Assignment(id)) => trace.authorized(Some(id)),
            Err(_) if access.is_rbac() => trace.authorized(None),
            _ => {}
        }
        decided.map_err(|denial| attempt.denied(denial, need, &self.emulator.resource_id(self.vault), target.object()))
    }

    /// Tells subscribers what has happened to an object.
    fn tell(self, operation: Operation, target: &Target) {
        use Operation as O;
        let makes = matches!(operation, O::KeyCreate | O::KeyImport | O::KeyRotate | O::SecretSet);
        let moves_end = matches!(operation, O::KeyUpdate | O::SecretUpdate | O::KeyRecover | O::SecretRecover);
        if matches!(
            operation,
            O::KeyDelete | O::KeyRecover | O::KeyRestore | O::KeyRotationPolicySet | O::SecretDelete | O::SecretRestore
        ) {
            self.emulator.expiry_changed();
        }
        if !makes && !moves_end {
            return;
        }
        let Some(life) = target.object().and_then(|(kind, name)| self.vault.life(kind, name)) else { return };
        if makes {
            self.emulator.tell_new_version(self.vault, &life);
        }
        if life.expires.is_some() {
            self.emulator.expiry_changed();
        }
    }
}

/// What the path of a request names.
struct Target {
    object: Option<(ObjectKind, String)>,
    version: Option<String>,
}

impl Target {
    fn of(segments: &[String]) -> Self {
        let kind = segments.first().and_then(|first| ObjectKind::of_collection(first));
        // `POST /keys/restore` names no object.
        let name = segments.get(1).filter(|name| segments.len() > 2 || !name.eq_ignore_ascii_case("restore"));
        let is_id = |segment: &&String| segment.len() == 32 && segment.bytes().all(|byte| byte.is_ascii_hexdigit());
        Self { object: kind.zip(name.cloned()), version: segments.get(2).filter(is_id).cloned() }
    }

    fn object(&self) -> Option<(ObjectKind, &str)> {
        self.object.as_ref().map(|(kind, name)| (*kind, name.as_str()))
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

/// How much of the answer is sent, if not all; or the refusal that a fault demands.
fn gone_on(verdict: Verdict) -> Result<Result<Option<usize>, ApiError>, Dropped> {
    match verdict {
        Verdict::Drop => Err(Dropped),
        Verdict::Truncate { bytes } => Ok(Ok(Some(bytes))),
        verdict => Ok(ApiError::fault(verdict).map_or(Ok(None), Err)),
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

/// Names the role assignment that allowed it. `Assumed:` the form of both values.
fn with_assignment(mut reply: Reply, grant: Grant) -> Reply {
    if let Grant::Assignment(id) = grant
        && let Ok(id) = HeaderValue::try_from(id.shown())
    {
        reply.headers_mut().insert(RBAC_ASSIGNMENT_ID, id);
        reply.headers_mut().insert(RBAC_CACHE, HeaderValue::from_static("ref_age=0"));
    }
    reply
}

const RBAC_ASSIGNMENT_ID: HeaderName = HeaderName::from_static("x-ms-keyvault-rbac-assignment-id");
const RBAC_CACHE: HeaderName = HeaderName::from_static("x-ms-keyvault-rbac-cache");
