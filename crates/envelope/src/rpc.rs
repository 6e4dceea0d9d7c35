//! A failed call to a KMS plugin, as data: its gRPC code and the plugin's message, printed as Go's gRPC prints it.

use std::fmt;

/// Why a call to the plugin failed. Its `Display` is Go's: `rpc error: code = Unavailable desc = vault down`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RpcError {
    /// The gRPC status code.
    pub code: RpcCode,
    /// The text that came with it.
    pub message: String,
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rpc error: code = {} desc = {}", self.code, self.message)
    }
}

impl std::error::Error for RpcError {}

/// The status codes of gRPC, in the order of their numbers; `Display` is Go's name for them, which is also the label
/// `grpc_status_code` of the metrics. The list is closed by the protocol.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(
    missing_docs,
    reason = "the names are the protocol's; https://grpc.io/docs/guides/status-codes/ explains them"
)]
pub enum RpcCode {
    Ok,
    Canceled,
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    OutOfRange,
    Unimplemented,
    Internal,
    Unavailable,
    DataLoss,
    Unauthenticated,
}

impl fmt::Display for RpcCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("OK"),
            // Every other name is the variant's.
            other => fmt::Debug::fmt(other, f),
        }
    }
}
