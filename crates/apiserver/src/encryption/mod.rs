//! Encryption at rest: the driver of `envelope` over the KMS sockets.
//!
//! `envelope` decides everything; this module makes the calls it asks for, on the stack's clock, and counts what happens.
//! Imitates kube-apiserver's `storage/value` (who reads and writes, metrics), `encryptionconfig` (probes) and
//! `envelope/kmsv2/grpc_service.go` (the calls).
//!
//! Not here: reading and validating the file that the server starts with, which its caller does.

mod client;
mod client_v1;
mod config_metrics;
mod metrics;
mod probe;
mod provider;
mod provider_v1;
mod recent;
mod reload;
mod socket;
mod transform;
mod transformers;
mod v1_metrics;

#[cfg(test)]
mod tests;

pub use transform::EncryptionReload;
pub(crate) use transform::{Encryption, KmsCheck, TransformError};
