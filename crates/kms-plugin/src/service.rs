//! The gRPC side: KMS v2 on a socket. The one place where an error becomes a gRPC status.

use std::time::Duration;

use kms_api::Listener;
use kms_api::v2::key_management_service_server::{KeyManagementService, KeyManagementServiceServer};
use kms_api::v2::{DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse, StatusRequest, StatusResponse};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};
use tracing::{Instrument as _, Level, debug, info, span, warn};

use crate::budget::Budget;
use crate::operation::OperationError;
use crate::plugin::Plugin;
use crate::secret::Plaintext;
use crate::vault_error::FailureClass;

/// Serves KMS v2 on `listener` until `shutdown` is cancelled; calls under way then have 3 s to end.
///
/// # Errors
///
/// [`ServeError`] if the gRPC server ends by itself.
pub async fn serve(listener: Listener, plugin: Plugin, shutdown: CancellationToken) -> Result<(), ServeError> {
    info!(addr = %listener.endpoint(), "listening for connections");
    let service = KeyManagementServiceServer::new(Service { plugin }).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let serving = Server::builder()
        .add_service(service)
        .serve_with_incoming_shutdown(listener, shutdown.clone().cancelled_owned());
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        ended = serving.as_mut() => return ended.map_err(|source| ServeError { source }),
        () = shutdown.cancelled() => info!("received shutdown signal"),
    }
    // A connection that stays open although its calls are done must not keep the process.
    match timeout(GRACE, serving).await {
        Ok(ended) => ended.map_err(|source| ServeError { source }),
        Err(_) => Ok(()),
    }
}

/// The gRPC server ended by itself.
#[derive(Debug, thiserror::Error)]
#[error("serve KMS")]
pub struct ServeError {
    source: tonic::transport::Error,
}

struct Service {
    plugin: Plugin,
}

#[tonic::async_trait]
impl KeyManagementService for Service {
    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        let budget = Budget::of_call(request.metadata());
        let key_id = self.plugin.inner.status(budget).await.map_err(|error| refused("status", &error))?;
        debug!(%key_id, "status");
        Ok(Response::new(StatusResponse {
            version: STATUS_VERSION.to_owned(),
            healthz: "ok".to_owned(),
            key_id: key_id.to_string(),
        }))
    }

    async fn decrypt(&self, request: Request<DecryptRequest>) -> Result<Response<DecryptResponse>, Status> {
        let budget = Budget::of_call(request.metadata());
        let request = request.into_inner();
        let span = span!(Level::INFO, "decrypt", uid = request.uid);
        async {
            info!("decrypt request started");
            let opened = self.plugin.inner.decrypt(&request, budget).await;
            let plaintext = opened.map_err(|error| refused("decrypt", &error))?;
            info!("decrypt request complete");
            Ok(Response::new(DecryptResponse { plaintext: plaintext.expose().to_vec() }))
        }
        .instrument(span)
        .await
    }

    async fn encrypt(&self, request: Request<EncryptRequest>) -> Result<Response<EncryptResponse>, Status> {
        let budget = Budget::of_call(request.metadata());
        let EncryptRequest { plaintext, uid } = request.into_inner();
        let plaintext = Plaintext::new(plaintext);
        let span = span!(Level::INFO, "encrypt", uid);
        async {
            info!("encrypt request started");
            let sealed = self.plugin.inner.encrypt(&plaintext, &uid, budget).await;
            let sealed = sealed.map_err(|error| refused("encrypt", &error))?;
            info!(key_id = %sealed.key_id, "encrypt request complete");
            Ok(Response::new(EncryptResponse {
                ciphertext: sealed.ciphertext,
                key_id: sealed.key_id.to_string(),
                annotations: sealed.annotations,
            }))
        }
        .instrument(span)
        .await
    }
}

/// Differs: every failure of Azure's plugin has the code Unknown.
fn refused(method: &str, error: &OperationError) -> Status {
    let class = error.class();
    let text = error.text();
    warn!(method, ?class, "{text}");
    let code = match class {
        FailureClass::Bug | FailureClass::Corrupt => Code::Internal,
        FailureClass::Denied => Code::PermissionDenied,
        FailureClass::KeyState => Code::FailedPrecondition,
        FailureClass::Missing => Code::NotFound,
        FailureClass::Rejected => Code::InvalidArgument,
        FailureClass::Throttled => Code::ResourceExhausted,
        FailureClass::TimedOut => Code::DeadlineExceeded,
        FailureClass::Unavailable => Code::Unavailable,
    };
    Status::new(code, text)
}

/// What Azure's plugin says. It must never change during an API server's life, so Kyanite says it too.
const STATUS_VERSION: &str = "v2beta1";

/// A seed, 1 kB of ciphertext and key id each, and 32 kB of annotations, with room.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// How long calls under way may take after the end was announced.
const GRACE: Duration = Duration::from_secs(3);
