//! Calls to a KMS v2 plugin, with errors as Go's gRPC prints them.
//!
//! Imitates `envelope/kmsv2/grpc_service.go` of kube-apiserver: plaintext over a unix socket, `:authority` `localhost`, a
//! deadline for each call, and "wait for ready": while nobody listens, a call waits for the plugin until its deadline.
//!
//! Differs: Go's gRPC waits longer after each failed connection (its back-off makes a real server take up to 50 s to
//! notice that a plugin is back); here a waiting call tries again every 100 ms. And a call whose connection breaks is
//! sent again on the next one, while Go fails it unless the plugin cannot have seen it; all three calls may be repeated.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use envelope::{
    EncryptAnswer, EncryptedObject, KeyMaterial, KmsProvider, ProviderName, RpcCode, RpcError, StatusAnswer,
};
use kms_api::v2::key_management_service_client::KeyManagementServiceClient;
use kms_api::v2::{DecryptRequest, EncryptRequest, StatusRequest};
use kms_api::{Endpoint, EndpointError};
use tonic::transport::Channel;
use tonic::{Code, ConnectError, Request, Response, Status};
use tracing::Instrument as _;

use super::metrics::Metrics;

/// A client of one plugin. It connects when it is first used.
#[derive(Debug)]
pub(super) struct KmsClient {
    provider: ProviderName,
    metrics: Arc<Metrics>,
    timeout: Duration,
    target: Result<Target, EndpointError>,
}

#[derive(Debug)]
struct Target {
    channel: Channel,
    /// The socket as Go names it: a path, or `@name`.
    socket: String,
}

impl KmsClient {
    pub(super) fn new(provider: &KmsProvider, metrics: Arc<Metrics>) -> Self {
        let target = provider
            .endpoint
            .parse::<Endpoint>()
            .map(|endpoint| Target { channel: endpoint.channel(), socket: socket_of(&endpoint) });
        Self { provider: provider.name.clone(), metrics, timeout: provider.timeout, target }
    }

    pub(super) async fn status(&self) -> Result<StatusAnswer, RpcError> {
        let answer = self
            .call("/v2.KeyManagementService/Status", "", |mut client, limit| async move {
                client.status(limited(StatusRequest {}, limit)).await
            })
            .await?;
        Ok(StatusAnswer { version: answer.version, healthz: answer.healthz, key_id: answer.key_id })
    }

    pub(super) async fn encrypt(&self, uid: &str, plaintext: &[u8]) -> Result<EncryptAnswer, RpcError> {
        let answer = self
            .call("/v2.KeyManagementService/Encrypt", uid, |mut client, limit| {
                let request = EncryptRequest { plaintext: plaintext.to_vec(), uid: uid.to_owned() };
                async move { client.encrypt(limited(request, limit)).await }
            })
            .await?;
        Ok(EncryptAnswer { ciphertext: answer.ciphertext, key_id: answer.key_id, annotations: answer.annotations })
    }

    pub(super) async fn decrypt(&self, uid: &str, object: &EncryptedObject) -> Result<KeyMaterial, RpcError> {
        let answer = self
            .call("/v2.KeyManagementService/Decrypt", uid, |mut client, limit| {
                let annotations = object.annotations().iter();
                let request = DecryptRequest {
                    ciphertext: object.encrypted_dek_source().as_bytes().to_vec(),
                    uid: uid.to_owned(),
                    key_id: object.key_id().as_str().to_owned(),
                    annotations: annotations.map(|(name, value)| (name.to_owned(), value.to_vec())).collect(),
                };
                async move { client.decrypt(limited(request, limit)).await }
            })
            .await?;
        Ok(KeyMaterial::new(answer.plaintext))
    }

    /// `uid` ties the call to the plugin's log and the vault's; Status has none.
    async fn call<T, F>(&self, method: &str, uid: &str, send: impl Fn(Client, Duration) -> F) -> Result<T, RpcError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let started = Instant::now();
        let span = tracing::debug_span!("kms", provider = %self.provider, method, uid);
        let answer = match &self.target {
            Ok(target) => target.call(self.timeout, send).instrument(span).await,
            Err(error) => Err(RpcError { code: RpcCode::Internal, message: error.to_string() }),
        };
        let code = answer.as_ref().err().map_or(RpcCode::Ok, |error| error.code);
        self.metrics.kms_called(&self.provider, method, code, started);
        answer
    }
}

impl Target {
    async fn call<T, F>(&self, limit: Duration, send: impl Fn(Client, Duration) -> F) -> Result<T, RpcError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let deadline = tokio::time::Instant::now() + limit;
        let mut not_ready = None;
        loop {
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            let client = Client::new(self.channel.clone());
            let status = match tokio::time::timeout_at(deadline, send(client, left)).await {
                Ok(Ok(response)) => return Ok(response.into_inner()),
                Ok(Err(status)) => status,
                // Connected, or still connecting: nothing more is known.
                Err(_) => return Err(deadline_exceeded(None)),
            };
            if tokio::time::Instant::now() >= deadline {
                return Err(deadline_exceeded(not_ready));
            }
            // A status that the plugin sent has no source; one that tells of the connection has.
            if status.source().is_none() {
                return Err(RpcError { code: rpc_code(status.code()), message: status.message().to_owned() });
            }
            not_ready = Some(self.connection_error(&status));
            if tokio::time::timeout_at(deadline, tokio::time::sleep_until(tokio::time::Instant::now() + RETRY_PAUSE))
                .await
                .is_err()
            {
                return Err(deadline_exceeded(not_ready));
            }
        }
    }

    /// What Go says of a connection that cannot be had.
    fn connection_error(&self, status: &Status) -> String {
        let description = match dial_error(status) {
            Some(error) => {
                format!("transport: Error while dialing: dial unix {}: connect: {}", self.socket, errno_text(error))
            }
            None => status.message().to_owned(),
        };
        format!("connection error: desc = {description:?}")
    }
}

type Client = KeyManagementServiceClient<Channel>;

/// The request with the header `grpc-timeout`, by which the plugin knows how long it is waited for.
fn limited<T>(message: T, limit: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(limit);
    request
}

fn deadline_exceeded(not_ready: Option<String>) -> RpcError {
    let message = match not_ready {
        Some(error) => format!("latest balancer error: {error}"),
        None => "context deadline exceeded".to_owned(),
    };
    RpcError { code: RpcCode::DeadlineExceeded, message }
}

/// The system's error, if the socket could not be connected to.
fn dial_error(status: &Status) -> Option<&io::Error> {
    let mut error = status.source();
    let mut connecting = false;
    while let Some(current) = error {
        connecting |= current.is::<ConnectError>();
        if let Some(io) = current.downcast_ref::<io::Error>() {
            return connecting.then_some(io);
        }
        if let Some(ConnectError(inner)) = current.downcast_ref::<ConnectError>()
            && let Some(io) = inner.downcast_ref::<io::Error>()
        {
            return Some(io);
        }
        error = current.source();
    }
    None
}

/// `connection refused`, as Go prints it, of `Connection refused (os error 111)`.
fn errno_text(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

fn socket_of(endpoint: &Endpoint) -> String {
    match endpoint.path() {
        Some(path) => path.display().to_string(),
        None => endpoint.to_string().trim_start_matches("unix:///").to_owned(),
    }
}

fn rpc_code(code: Code) -> RpcCode {
    match code {
        Code::Ok => RpcCode::Ok,
        Code::Cancelled => RpcCode::Canceled,
        Code::Unknown => RpcCode::Unknown,
        Code::InvalidArgument => RpcCode::InvalidArgument,
        Code::DeadlineExceeded => RpcCode::DeadlineExceeded,
        Code::NotFound => RpcCode::NotFound,
        Code::AlreadyExists => RpcCode::AlreadyExists,
        Code::PermissionDenied => RpcCode::PermissionDenied,
        Code::ResourceExhausted => RpcCode::ResourceExhausted,
        Code::FailedPrecondition => RpcCode::FailedPrecondition,
        Code::Aborted => RpcCode::Aborted,
        Code::OutOfRange => RpcCode::OutOfRange,
        Code::Unimplemented => RpcCode::Unimplemented,
        Code::Internal => RpcCode::Internal,
        Code::Unavailable => RpcCode::Unavailable,
        Code::DataLoss => RpcCode::DataLoss,
        Code::Unauthenticated => RpcCode::Unauthenticated,
    }
}

/// How long a waiting call leaves a socket alone on which nobody listens.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
