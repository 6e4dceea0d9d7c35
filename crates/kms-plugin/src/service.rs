//! The socket: KMS v2 and v1beta1 on one gRPC server. The one place where an error becomes a gRPC status.

use std::time::Duration;

use kms_api::Listener;
use kms_api::v1beta1::key_management_service_server::KeyManagementServiceServer as ServerV1;
use kms_api::v2::key_management_service_server::KeyManagementServiceServer as ServerV2;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::{Code, Response, Status};
use tracing::{error, info};

use crate::difference::Difference;
use crate::log::ALWAYS;
use crate::operation::OperationError;
use crate::plugin::Plugin;
use crate::service_v1::ServiceV1;
use crate::service_v2::ServiceV2;
use crate::vault_error::FailureClass;

/// Serves KMS v2 and v1beta1 on `listener` until `shutdown` is cancelled; calls under way then have 3 s to end.
///
/// # Errors
///
/// [`ServeError`] if the gRPC server ends by itself.
pub async fn serve(listener: Listener, plugin: Plugin, shutdown: CancellationToken) -> Result<(), ServeError> {
    info!(target: ALWAYS, addr = %listener.endpoint(), "Listening for connections");
    let v1 = ServerV1::new(ServiceV1 { plugin: plugin.clone() }).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let v2 = ServerV2::new(ServiceV2 { plugin }).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let serving = Server::builder()
        .add_service(v1)
        .add_service(v2)
        .serve_with_incoming_shutdown(listener, shutdown.clone().cancelled_owned());
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        // Without connections the server ends at once with the signal: that is no end by itself.
        biased;
        () = shutdown.cancelled() => info!(target: ALWAYS, "received shutdown signal"),
        ended = serving.as_mut() => return ended.map_err(|source| ServeError { source }),
    }
    // A connection that stays open although its calls are done must not keep the process.
    let ended = timeout(GRACE, serving).await;
    info!(target: ALWAYS, "terminating the server");
    ended.unwrap_or(Ok(())).map_err(|source| ServeError { source })
}

/// The gRPC server ended by itself.
#[derive(Debug, thiserror::Error)]
#[error("serve KMS")]
pub struct ServeError {
    source: tonic::transport::Error,
}

/// One call: what it is counted and logged as.
pub(crate) struct Call<'a> {
    method: &'static str,
    plugin: &'a Plugin,
    started: Instant,
}

impl<'a> Call<'a> {
    pub(crate) fn begin(plugin: &'a Plugin, method: &'static str) -> Self {
        Self { method, plugin, started: Instant::now() }
    }

    /// Counts the call, and makes a gRPC answer of what came of it.
    pub(crate) fn end<T>(self, outcome: Result<T, OperationError>) -> Result<Response<T>, Status> {
        let inner = &self.plugin.inner;
        let took = self.started.elapsed();
        let refusal = outcome.as_ref().err().map(|error| (error.class(), error.text()));
        let failure = refusal.as_ref().map(|(class, text)| (*class, text.as_str()));
        // Azure's plugin counts the work and the gRPC call around it.
        if matches!(self.method, "encrypt" | "decrypt") {
            inner.metrics.record(self.method, took, failure);
        }
        inner.metrics.record(&format!("grpc_{}", self.method), took, failure);
        if let Some((class, text)) = failure {
            match self.method {
                "status" => error!(?class, error = text, "failed to encrypt healthcheck call"),
                method => error!(?class, error = text, "failed to {method}"),
            }
        }
        match (outcome, refusal) {
            (Ok(answer), _) => Ok(Response::new(answer)),
            (Err(_), Some((class, text))) => Err(Status::new(self.code(class), text)),
            (Err(error), None) => Err(Status::internal(error.text())),
        }
    }

    /// Differs: every failure of Azure's plugin has the code Unknown, but for a deadline, which gRPC itself tells.
    fn code(&self, class: FailureClass) -> Code {
        if self.plugin.inner.is_like_azure(Difference::Codes) && class != FailureClass::TimedOut {
            return Code::Unknown;
        }
        match class {
            FailureClass::Bug | FailureClass::Corrupt => Code::Internal,
            FailureClass::Denied => Code::PermissionDenied,
            FailureClass::KeyState => Code::FailedPrecondition,
            FailureClass::Missing => Code::NotFound,
            FailureClass::Rejected => Code::InvalidArgument,
            FailureClass::Throttled => Code::ResourceExhausted,
            FailureClass::TimedOut => Code::DeadlineExceeded,
            FailureClass::Unavailable => Code::Unavailable,
        }
    }
}

/// A seed, 1 kB of ciphertext and key id each, and 32 kB of annotations, with room.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// How long calls under way may take after the end was announced.
const GRACE: Duration = Duration::from_secs(3);
