//! Encryption at rest: the driver of `envelope` over the KMS sockets.
//!
//! `envelope` decides everything; this module makes the calls it asks for, on the stack's clock, and counts what happens.
//! Imitates kube-apiserver's `storage/value` (who reads and writes, metrics), `encryptionconfig` (probes) and
//! `envelope/kmsv2/grpc_service.go` (the calls).
//!
//! Not here: hot reload of the configuration, the providers other than `kms` v2 and `identity`, KMS v1.

mod client;
mod metrics;
mod probe;
mod provider;
mod recent;
mod transform;

#[cfg(test)]
mod tests;

pub(crate) use transform::{Encryption, TransformError};
