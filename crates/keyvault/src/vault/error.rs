//! Why a vault refuses an operation. No status codes and no wire texts: `http::api_error` gives it those.

use crate::vault::material::CryptoError;
use crate::vault::{KeyOperation, ObjectKind, ObjectName, RotationPolicyProblem};

/// A refusal by the vault's own rules.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum VaultError {
    /// The key's kind or size does not have the algorithm.
    #[error("use {algorithm} with a key of type {key}")]
    AlgorithmMismatch { algorithm: &'static str, key: &'static str },
    /// What should be a backup was not made here, was made of the other kind of object, or is damaged.
    #[error("open the backup of a {kind}", kind = kind.lower())]
    BackupUnreadable { kind: ObjectKind },
    /// The algorithm takes whole blocks.
    #[error("encrypt {actual_bytes} bytes with {algorithm}: it takes whole blocks of {block_bytes}")]
    BlockLength { algorithm: &'static str, block_bytes: usize, actual_bytes: usize },
    /// The cryptographic library failed; no fault of the caller.
    #[error("compute")]
    Crypto(#[source] CryptoError),
    /// The ciphertext does not open under this key: other key, other algorithm, damage or length. One value for all.
    #[error("open the ciphertext")]
    Decryption,
    /// No deleted object has this name.
    #[error("find the deleted {kind} {name}", kind = kind.lower())]
    DeletedNotFound { kind: ObjectKind, name: ObjectName },
    /// A digest has exactly one length.
    #[error("sign a digest of {actual_bytes} bytes with {algorithm}: it takes {expected_bytes}")]
    DigestLength { algorithm: &'static str, expected_bytes: usize, actual_bytes: usize },
    /// The version is disabled.
    #[error("{operation} with a disabled {kind}", kind = kind.lower())]
    Disabled { kind: ObjectKind, operation: &'static str },
    /// `exp` does not lie after `nbf`.
    #[error("accept a validity that ends before it begins")]
    EmptyValidity,
    /// An initialization vector of the wrong length, or one that the algorithm does not take.
    #[error("use the initialization vector with {algorithm}")]
    InvalidIv { algorithm: &'static str },
    /// `exp` has come; only operations that open or check existing data go on.
    #[error("{operation} with an expired key")]
    KeyExpired { operation: &'static str },
    /// `nbf` has not come; only operations that open or check existing data go on.
    #[error("{operation} with a key that is not valid yet")]
    KeyNotYetValid { operation: &'static str },
    /// A deleted object holds the name.
    #[error("reuse the name of the deleted {kind} {name}", kind = kind.lower())]
    NameHeldByDeleted { kind: ObjectKind, name: ObjectName },
    /// A backup cannot be restored over what is there.
    #[error("restore the {kind} {name}: there is one of this name", kind = kind.lower())]
    NameTaken { kind: ObjectKind, name: ObjectName },
    /// The key may not leave the vault.
    #[error("release a key that is not exportable")]
    NotExportable,
    /// No such object, no such version, or it is deleted. `version` is what the caller asked for.
    #[error("find the {kind} {name}", kind = kind.lower())]
    NotFound { kind: ObjectKind, name: ObjectName, version: Option<String> },
    /// The version's `key_ops` do not list the operation.
    #[error("{operation}: the key's operations do not list it", operation = operation.as_str())]
    OperationNotPermitted { operation: KeyOperation },
    /// Keys of this type can never do it.
    #[error("allow {operation} to a key of type {kty}", operation = operation.as_str())]
    OperationUnknown { operation: KeyOperation, kty: &'static str },
    /// The plaintext does not fit into one block of this key.
    #[error("encrypt {actual_bytes} bytes: the limit is {limit_bytes}")]
    PlaintextTooLong { limit_bytes: usize, actual_bytes: usize },
    /// The vault has purge protection.
    #[error("purge from a purge-protected vault")]
    PurgeProtected,
    /// The release policy was made immutable.
    #[error("change an immutable release policy")]
    ReleasePolicyImmutable,
    /// The key was made without a release policy, and stays without.
    #[error("give a release policy to a key that is not exportable")]
    ReleasePolicyLate,
    /// The rotation policy breaks a rule.
    #[error("accept the rotation policy: {problem:?}")]
    RotationPolicy { problem: RotationPolicyProblem },
    /// The value of a secret is above the limit.
    #[error("keep a secret of {actual_bytes} bytes: the limit is {limit_bytes}")]
    SecretTooLong { limit_bytes: usize, actual_bytes: usize },
}
