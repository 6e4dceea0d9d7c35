//! Follows one request and enters it into the journal when it ends, be it answered, dropped or given up.

use std::time::Instant;

use http::HeaderName;
use http::header::USER_AGENT;
use uuid::Uuid;

use crate::emulator::Emulator;
use crate::http::inbound::Inbound;
use crate::http::reply::Reply;
use crate::identity::Caller;
use crate::journal::RequestRecord;
use crate::operation::Operation;

/// One request on its way. Dropping it enters it as not answered.
pub(super) struct Trace {
    emulator: Emulator,
    started: Instant,
    /// `None` once it has been entered.
    record: Option<RequestRecord>,
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
        Self { emulator: emulator.clone(), started: Instant::now(), record: Some(record) }
    }

    pub(super) fn is(&mut self, operation: Operation) {
        self.note(|record| record.operation = operation);
    }

    pub(super) fn by(&mut self, caller: &Caller) {
        self.note(|record| record.client_id = Some(caller.client_id.clone()));
    }

    pub(super) fn uses(&mut self, key_id: Option<String>) {
        self.note(|record| record.key_id = key_id);
    }

    /// The id of the request, for the answer.
    pub(super) fn request_id(&self) -> String {
        self.record.as_ref().map(|record| record.request_id.clone()).unwrap_or_default()
    }

    pub(super) fn finish(mut self, reply: &Reply) {
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
            self.emulator.journal().record(record);
        }
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        self.enter();
    }
}

/// A caller's own id for a request.
pub(super) const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");
