//! A stack's public wires, each spoken by a client that was not written for Kyanite: kube-rs, etcd-client, reqwest, and
//! the KMS protocol's generated client.
//!
//! Everything here is found by the ready file alone, so that what works on a stack of this process works on any other.

mod etcd;
mod key_id;
mod kms;
mod kubernetes;
mod metrics;
mod refusal;
mod vault;

use thiserror::Error;

use crate::ready::ReadyFile;

pub(crate) use etcd::{Etcd, StoredValue};
pub(crate) use key_id::{KeyIds, key_id, key_id_hash};
pub(crate) use kms::Plugin;
pub(crate) use kubernetes::{Kubernetes, SecretData};
pub(crate) use metrics::sum;
pub(crate) use refusal::Refusal;
pub(crate) use vault::{Ciphertext, Vault, VersionState, version_id};

/// Clients of every part of one stack.
#[derive(Debug)]
pub(crate) struct Wires {
    pub(crate) etcd: Etcd,
    pub(crate) kubernetes: Kubernetes,
    /// Absent on a stack without KMS.
    pub(crate) plugin: Option<Plugin>,
    pub(crate) vault: Vault,
}

impl Wires {
    /// Clients for the stack that `ready` describes, whose API server stores everything under `etcd_prefix`.
    /// Connections are made when they are first used.
    ///
    /// # Errors
    ///
    /// [`WireError`] if the ready file lacks an address or names a file that is no good.
    pub(crate) async fn new(ready: &ReadyFile, etcd_prefix: &str) -> Result<Self, WireError> {
        Ok(Self {
            etcd: Etcd::new(ready, etcd_prefix).await?,
            kubernetes: Kubernetes::new(ready).await?,
            plugin: Plugin::new(ready)?,
            vault: Vault::new(ready)?,
        })
    }
}

/// Why a client of a part cannot be made.
#[derive(Debug, Error)]
pub enum WireError {
    /// An address in the ready file is not one.
    #[error("understand the address {address} of the {part}")]
    Address {
        /// The part.
        part: &'static str,
        /// What the ready file says.
        address: String,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file that the ready file names cannot be used.
    #[error("use {}", path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The ready file does not say where a part is.
    #[error("find the {part}: the ready file has no `{field}` (it is written by a part of a stack that runs alone)")]
    Missing {
        /// The part.
        part: &'static str,
        /// The field of the ready file.
        field: &'static str,
    },
}
