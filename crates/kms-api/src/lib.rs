//! The published KMS v2 and v1beta1 protocols of Kubernetes, and the sockets they are spoken on.
//!
//! The messages and services in [`v2`] and [`v1beta1`] are generated from `proto/`, which states the contract of
//! `k8s.io/kms/apis`; a test proves that the checked-in code is current (`KYANITE_UPDATE=1 cargo test -p kms-api`
//! rewrites it). [`Endpoint`] is the `unix:///…` address that both ends are configured with.
//!
//! What this crate does not do: decide anything. Limits on key ids and annotations are the API server's (`envelope`),
//! keys and vaults the plugin's.

mod endpoint;
mod listener;
mod redact;
pub mod v1beta1;
pub mod v2;

pub use endpoint::{Endpoint, EndpointError};
pub use listener::{BindError, Listener};
