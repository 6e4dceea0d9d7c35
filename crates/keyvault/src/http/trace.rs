//! Follows one request and enters it into the journal when it ends, be it answered, dropped or given up.

use std::net::IpAddr;
use std::time::Instant;

use http::header::USER_AGENT;
use http::{HeaderName, StatusCode};
use uuid::Uuid;

use crate::access::AssignmentId;
use crate::audit::{AuditClaim, AuditRecord};
use crate::emulator::{Emulator, LiveVault};
use crate::http::host::CallerHost;
use crate::http::inbound::Inbound;
use crate::http::reply::Reply;
use crate::identity::Caller;
use crate::journal::RequestRecord;
use crate::network;
use crate::operation::Operation;
use crate::vault::ObjectKind;

/// One request on its way. Dropping it enters it as not answered.
pub(super) struct Trace {
    emulator: Emulator,
    started: Instant,
    /// `None` once it has been entered.
    record: Option<RequestRecord>,
    /// What the audit log will say; `None` if it says nothing.
    audit: Option<AuditRecord>,
}

impl Trace {
    pub(super) fn start(emulator: &Emulator, inbound: &Inbound) -> Self {
        let host = inbound.host().map(ToString::to_string).unwrap_or_default();
        let record = RequestRecord {
            at: emulator.clock().now(),
            operation: Operation::Unknown,
            method: inbound.method().to_string(),
            url: format!("{host}{}", inbound.path()),
            key_id: None,
            client_id: None,
            status: None,
            error_code: None,
            inner_code: None,
            client_request_id: inbound.header(&CLIENT_REQUEST_ID).map(str::to_owned),
            request_id: Uuid::new_v4().to_string(),
            user_agent: inbound.header(&USER_AGENT).map(str::to_owned),
            duration_micros: 0,
        };
        Self { emulator: emulator.clone(), started: Instant::now(), record: Some(record), audit: None }
    }

    /// Makes it a request that the audit log of a vault tells of.
    pub(super) fn audits(&mut self, vault: &LiveVault, host: &CallerHost, inbound: &Inbound, seen: Seen) {
        let Some(record) = &self.record else { return };
        let resource_id = self.emulator.resource_id(vault);
        let mut audit = AuditRecord::notice(record.at, &resource_id, "", object_url(host, inbound));
        inbound.query("api-version").unwrap_or_default().clone_into(&mut audit.operation_version);
        audit.caller_ip_address = seen.address.to_string();
        audit.correlation_id = record.client_request_id.clone().unwrap_or_default();
        let properties = &mut audit.properties;
        properties.client_info = record.user_agent.clone().unwrap_or_default();
        properties.request_uri = format!("https://{host}{}", inbound.target());
        properties.http_method.clone_from(&record.method);
        properties.addr_auth_type = Some(
            match seen.path {
                network::Path::PrivateLink => "PrivateLink",
                network::Path::Public => "PublicIP",
                network::Path::Subnet => "Subnet",
            }
            .to_owned(),
        );
        properties.tls_version = seen.tls_version.map(str::to_owned);
        self.audit = Some(audit);
    }

    /// The audit log tells nothing of it after all: it needs no token.
    pub(super) fn is_unaudited(&mut self) {
        self.audit = None;
    }

    /// Why the caller was allowed to, or that no role allowed it.
    pub(super) fn authorized(&mut self, assignment: Option<AssignmentId>) {
        if let Some(audit) = &mut self.audit {
            audit.properties.is_rbac_authorized = Some(assignment.is_some());
            audit.properties.applied_assignment_id = assignment.map(AssignmentId::shown);
        }
    }

    pub(super) fn is(&mut self, operation: Operation) {
        self.note(|record| record.operation = operation);
    }

    pub(super) fn by(&mut self, caller: &Caller) {
        self.note(|record| record.client_id = Some(caller.client_id.clone()));
        if let Some(audit) = &mut self.audit {
            let claim = AuditClaim { object_id: caller.object_id.clone(), appid: caller.client_id.clone() };
            audit.identity.claim = Some(claim);
        }
    }

    pub(super) fn uses(&mut self, key_id: Option<String>) {
        self.note(|record| record.key_id = key_id);
    }

    /// The id of the request, for the answer.
    pub(super) fn request_id(&self) -> String {
        self.record.as_ref().map(|record| record.request_id.clone()).unwrap_or_default()
    }

    pub(super) fn finish(mut self, reply: &Reply) {
        if let Some(audit) = &mut self.audit {
            audit.properties.http_status_code = Some(reply.status().as_u16());
            audit.result_signature = signature(reply.status());
            reply.error_message().unwrap_or_default().clone_into(&mut audit.result_description);
        }
        self.note(|record| {
            record.status = Some(reply.status().as_u16());
            record.error_code = reply.error_code().map(str::to_owned);
            record.inner_code = reply.inner_code().map(str::to_owned);
        });
        self.enter();
    }

    fn note(&mut self, note: impl FnOnce(&mut RequestRecord)) {
        if let Some(record) = &mut self.record {
            note(record);
        }
    }

    fn enter(&mut self) {
        if let Some(mut record) = self.record.take() {
            record.duration_micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
            tracing::debug!(
                operation = %record.operation,
                status = record.status,
                error_code = record.error_code,
                inner_code = record.inner_code,
                request_id = record.request_id,
                client_request_id = record.client_request_id,
                micros = record.duration_micros,
                "request"
            );
            if let Some(mut audit) = self.audit.take() {
                audit.operation_name = record.operation.to_string();
                audit.duration_ms = (record.duration_micros / 1_000).to_string();
                if record.status.is_none_or(|status| status >= 400) {
                    "Failed".clone_into(&mut audit.result_type);
                }
                if record.status.is_none() {
                    audit.result_signature.clear();
                }
                if let Some(id) = &record.key_id {
                    audit.properties.id.clone_from(id);
                }
                self.emulator.audit().append(audit);
            }
            self.emulator.journal().record(record);
        }
    }
}

/// From where and how a request came, as the vault sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) address: IpAddr,
    pub(super) path: network::Path,
    pub(super) tls_version: Option<&'static str>,
}

/// The id of the object that a path is about; of the vault if it is about none.
fn object_url(host: &CallerHost, inbound: &Inbound) -> String {
    let segments = inbound.segments();
    let collection = segments.first().and_then(|first| ObjectKind::of_collection(first));
    match (collection, segments.get(1)) {
        (Some(kind), Some(name)) => format!("https://{host}/{}/{name}", kind.collection()),
        _ => format!("https://{host}/"),
    }
}

/// A status by name, as .NET names it: `OK`, `NotFound`, `TooManyRequests`.
fn signature(status: StatusCode) -> String {
    status.canonical_reason().unwrap_or_default().replace([' ', '-'], "")
}

impl Drop for Trace {
    fn drop(&mut self) {
        self.enter();
    }
}

/// A caller's own id for a request.
pub(super) const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");
