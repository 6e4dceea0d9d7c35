//! Why a vault refuses an operation. No status codes and no wire texts: `http::error` gives it those.

use crate::vault::{KeyName, KeyOperation};

/// A refusal by the vault's own rules.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum VaultError {
    /// The ciphertext does not open under this key: other key, other algorithm, damage or length. One value for all.
    #[error("open the ciphertext")]
    Decryption,
    /// No deleted key has this name.
    #[error("find the deleted key {name}")]
    DeletedKeyNotFound { name: KeyName },
    /// `exp` does not lie after `nbf`.
    #[error("accept a validity that ends before it begins")]
    EmptyValidity,
    /// The version is disabled.
    #[error("{operation} with a disabled key")]
    KeyDisabled { operation: &'static str },
    /// `exp` has come; only operations that open or check existing data go on.
    #[error("{operation} with an expired key")]
    KeyExpired { operation: &'static str },
    /// No such key, no such version, or it is deleted. `version` is what the caller asked for.
    #[error("find the key {name}")]
    KeyNotFound { name: KeyName, version: Option<String> },
    /// `nbf` has not come; only operations that open or check existing data go on.
    #[error("{operation} with a key that is not valid yet")]
    KeyNotYetValid { operation: &'static str },
    /// A deleted key holds the name.
    #[error("reuse the name of the deleted key {name}")]
    NameHeldByDeletedKey { name: KeyName },
    /// The version's `key_ops` do not list the operation.
    #[error("{operation}: the key's operations do not list it", operation = operation.as_str())]
    OperationNotPermitted { operation: KeyOperation },
    /// The plaintext does not fit into one block of this key.
    #[error("encrypt {actual_bytes} bytes: the limit is {limit_bytes}")]
    PlaintextTooLong { limit_bytes: usize, actual_bytes: usize },
    /// The vault has purge protection.
    #[error("purge a key of a purge-protected vault")]
    PurgeProtected,
}
