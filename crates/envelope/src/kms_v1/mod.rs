//! One KMS v1 provider without its wire: a data key for every write, a cache of data keys by use, and its health.
//!
//! Sans-I/O like [`Kms`](crate::Kms): the caller, `apiserver::encryption`, makes the calls. KMS v1 is deprecated and off
//! unless a server is told otherwise.

mod cache;
mod dek;
mod health;
mod provider;

pub use health::{KmsV1Error, ProbeV1};
pub use provider::{DekV1, KmsV1, OpenerV1, PendingDek, PendingReadV1, ReadV1};
pub(crate) use provider::{KMS_V1_PREFIX, prefix, split};
