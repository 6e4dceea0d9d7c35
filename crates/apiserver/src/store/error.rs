//! What the storage says no with, and what a client then reads.

use envelope::storage::StorageError;
use thiserror::Error;

use super::etcd::EtcdError;
use crate::encryption::TransformError;
use crate::resource::Resource;
use crate::status::ApiError;

/// A read or write failed.
#[derive(Debug, Error)]
pub(crate) enum StoreError {
    #[error("the object was written since it was read")]
    Conflict,
    #[error("decode the stored object")]
    Decode(#[source] StorageError),
    #[error("ask etcd")]
    Etcd(#[source] EtcdError),
    #[error("there is such an object already")]
    Exists,
    #[error("the namespace was written since it was read")]
    NamespaceChanged,
    #[error("there is no such object")]
    NotFound,
    #[error("the revision {asked} is of the future, the store is at {current}")]
    TooLargeRevision { asked: i64, current: i64 },
    /// Sealing, or opening the value of a single read.
    #[error("transform the value")]
    Transform(#[source] TransformError),
    /// Opening one value of a list.
    #[error("transform the value of {key}")]
    TransformKey {
        key: String,
        #[source]
        source: TransformError,
    },
}

impl StoreError {
    /// The answer to a request about `name`.
    ///
    /// Imitates `registry/generic/registry/store.go` with `api/errors/storage`: transformation failures are
    /// `InternalError` (`spec/kms.md` 1.14), errors of etcd pass as they are.
    pub(crate) fn for_client(self, resource: Resource, name: &str) -> ApiError {
        match self {
            Self::Conflict => ApiError::modified(resource, name),
            Self::Decode(error) => ApiError::without_reason(error.to_string()),
            Self::Etcd(EtcdError::Compacted) => ApiError::expired(LIST_IS_TOO_OLD),
            Self::Etcd(EtcdError::TimedOut) => ApiError::timeout(REQUEST_TIMED_OUT),
            Self::Etcd(error) => ApiError::without_reason(error.to_string()),
            Self::Exists => ApiError::already_exists(resource, name),
            Self::NamespaceChanged => {
                ApiError::internal("the namespace changed while the object was created; try again")
            }
            Self::NotFound => ApiError::not_found(resource, name),
            Self::TooLargeRevision { asked, current } => ApiError::too_large_resource_version(asked, current),
            Self::Transform(error) => ApiError::internal(error.to_string()),
            Self::TransformKey { key, source } => {
                ApiError::internal(format!("unable to transform key {key:?}: {source}"))
            }
        }
    }
}

impl From<EtcdError> for StoreError {
    fn from(error: EtcdError) -> Self {
        Self::Etcd(error)
    }
}

/// `storage/etcd3/errors.go: handleCompactedErrorForPaging`, without a continue token.
const LIST_IS_TOO_OLD: &str = "The resourceVersion for the provided list is too old.";
/// `endpoints/handlers/finisher`: a request whose storage did not answer in time.
const REQUEST_TIMED_OUT: &str = "request did not complete within requested timeout - context deadline exceeded";
