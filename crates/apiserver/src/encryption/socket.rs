//! Calls over a plugin's socket, with errors as Go's gRPC prints them.
//!
//! Imitates what `envelope/kmsv2/grpc_service.go` and `envelope/grpc_service.go` of kube-apiserver ask of gRPC: plaintext over
//! a unix socket, `:authority` `localhost`, a deadline for each call, and "wait for ready": while nobody listens, a call
//! waits for the plugin until its deadline.
//!
//! Differs: Go's gRPC waits longer after each failed connection (its back-off makes a real server take up to 50 s to
//! notice that a plugin is back); here a waiting call tries again every 100 ms. And a call whose connection breaks is
//! sent again on the next one, while Go fails it unless the plugin cannot have seen it; every call may be repeated.

use std::error::Error;
use std::io;
use std::time::Duration;

use envelope::{RpcCode, RpcError};
use kms_api::{Endpoint, EndpointError};
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Code, ConnectError, Request, Response, Status};

/// The socket of one plugin. It is connected to when it is first used.
#[derive(Debug)]
pub(super) struct Socket(Result<Target, EndpointError>);

#[derive(Debug)]
struct Target {
    channel: Channel,
    /// The socket as Go names it: a path, or `@name`.
    name: String,
}

impl Socket {
    pub(super) fn new(endpoint: &str) -> Self {
        let target = endpoint
            .parse::<Endpoint>()
            .map(|endpoint| Target { channel: endpoint.channel(), name: socket_of(&endpoint) });
        Self(target)
    }

    /// Sends until there is an answer or the deadline has passed. `send` gets the channel and the time that is left.
    pub(super) async fn call<T, F>(
        &self,
        deadline: Instant,
        send: impl Fn(Channel, Duration) -> F,
    ) -> Result<T, RpcError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        match &self.0 {
            Ok(target) => target.call(deadline, send).await,
            Err(error) => Err(RpcError { code: RpcCode::Internal, message: error.to_string() }),
        }
    }
}

impl Target {
    async fn call<T, F>(&self, deadline: Instant, send: impl Fn(Channel, Duration) -> F) -> Result<T, RpcError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut not_ready = None;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let status = match tokio::time::timeout_at(deadline, send(self.channel.clone(), left)).await {
                Ok(Ok(response)) => return Ok(response.into_inner()),
                Ok(Err(status)) => status,
                // Connected, or still connecting: nothing more is known.
                Err(_) => return Err(deadline_exceeded(None)),
            };
            if Instant::now() >= deadline {
                return Err(deadline_exceeded(not_ready));
            }
            // A status that the plugin sent has no source; one that tells of the connection has.
            if status.source().is_none() {
                return Err(RpcError { code: rpc_code(status.code()), message: status.message().to_owned() });
            }
            not_ready = Some(self.connection_error(&status));
            if tokio::time::timeout_at(deadline, tokio::time::sleep_until(Instant::now() + RETRY_PAUSE)).await.is_err()
            {
                return Err(deadline_exceeded(not_ready));
            }
        }
    }

    /// What Go says of a connection that cannot be had.
    fn connection_error(&self, status: &Status) -> String {
        let description = match dial_error(status) {
            Some(error) => {
                format!("transport: Error while dialing: dial unix {}: connect: {}", self.name, errno_text(error))
            }
            None => status.message().to_owned(),
        };
        format!("connection error: desc = {description:?}")
    }
}

/// The request with the header `grpc-timeout`, by which the plugin knows how long it is waited for.
pub(super) fn limited<T>(message: T, limit: Duration) -> Request<T> {
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
