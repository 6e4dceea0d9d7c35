//! Why there is no stack, or no longer.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use super::key::KeyError;
use super::part::Part;
use crate::etcd::{EtcdError, EtcdSourceError};
use crate::pki::PkiError;
use crate::runtime::RuntimeError;

/// Why there is no stack, or no longer. All of these are the environment's doing, none is a bug.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StackError {
    /// The API server does not start.
    #[error("start the API server")]
    ApiServer(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The `azure.json` is no good.
    #[error("use the Azure configuration {}", path.display())]
    AzureJson {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The start was called off.
    #[error("start the stack: it was called off")]
    Cancelled,
    /// The clock cannot be moved that far.
    #[error("move the clock")]
    Clock(#[source] clock::AdvanceError),
    /// A part has ended by itself.
    #[error("go on: the {part} ended by itself")]
    Ended {
        /// The part.
        part: Part,
    },
    /// The `EncryptionConfiguration` is no good.
    #[error("use the encryption configuration {}", path.display())]
    EncryptionConfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// etcd.
    #[error(transparent)]
    Etcd(#[from] EtcdError),
    /// etcd answered, and does no longer.
    #[error("go on: etcd does not answer any more ({last})")]
    EtcdLost {
        /// What was seen last.
        last: String,
    },
    /// The endpoints of etcd are none.
    #[error("use `{text}` as etcd servers: they are endpoints like http://127.0.0.1:2379,...")]
    EtcdServers {
        /// The text.
        text: String,
        /// What is wrong with it.
        source: Option<EtcdSourceError>,
    },
    /// A file of the stack cannot be used.
    #[error("use {}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The data directory belongs to another stack that runs.
    #[error("use the data directory {}: another stack runs on it", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The key cannot be made.
    #[error("make the key in the vault")]
    Key(#[source] KeyError),
    /// The vault's seed is no good.
    #[error("use the seed {}", path.display())]
    Seed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A port cannot be listened on.
    #[error("listen on {address} for the {part}")]
    Listen {
        /// What would listen.
        part: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A name, of a vault or a key, is not one.
    #[error("use `{text}` as {what}")]
    Name {
        /// The text.
        text: String,
        /// What it should name.
        what: &'static str,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The part is not one that can be stopped or started in this stack.
    #[error("find the {part} in this stack")]
    NoPart {
        /// The part.
        part: Part,
    },
    /// A part does not become ready.
    #[error("wait for the {part}: it is not ready after {} s ({last})", within.as_secs())]
    NotReady {
        /// The part.
        part: Part,
        /// How long it was waited for.
        within: Duration,
        /// What was seen last.
        last: String,
    },
    /// A certificate cannot be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The KMS plugin does not start.
    #[error("start the KMS plugin")]
    Plugin(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The runtime directory cannot be used.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The address of a KMS socket is none.
    #[error("use `{text}` as a socket")]
    Socket {
        /// The text.
        text: String,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The runtime directory's path leaves no room for a socket's name.
    #[error("make a socket in {}", directory.display())]
    SocketPath {
        /// The stack's directory.
        directory: PathBuf,
        /// How long it may be.
        source: kms_api::EndpointError,
    },
    /// The static token file is no good.
    #[error("use the token file {}", path.display())]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The vault does not start.
    #[error("start the vault")]
    Vault(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StackError {
    /// Whether it is about what was given, a name or a file's contents, and not about this machine.
    pub fn is_bad_input(&self) -> bool {
        matches!(
            self,
            Self::AzureJson { .. }
                | Self::EncryptionConfig { .. }
                | Self::EtcdServers { .. }
                | Self::Name { .. }
                | Self::Socket { .. }
                | Self::TokenFile { .. }
        )
    }

    /// What to do next, where there is something to do.
    pub fn help(&self) -> Option<String> {
        let text = match self {
            Self::Etcd(error) => return error.help(),
            Self::Listen { source, address, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                return Some(format!(
                    "another program has port {}: end it, or leave the port out to get a free one",
                    address.port()
                ));
            }
            Self::SocketPath { .. } => "set XDG_RUNTIME_DIR to a shorter path",
            Self::InUse { .. } => "end the other stack, or use another --data-dir",
            Self::EtcdLost { .. } => "start the stack again; with --data-dir nothing that was acknowledged is lost",
            _ => return None,
        };
        Some(text.to_owned())
    }
}
