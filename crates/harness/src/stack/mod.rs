//! Kyanite's parts put together: what `kyanite up` and every scenario runs on.
//!
//! One process holds the vault, the gateway, the plugin and the API server as tasks; they speak to each other over
//! their real wires only. etcd is outside (see [`crate::etcd`]).

mod api_server;
mod assembly;
mod azure;
mod clock_file;
mod config;
mod environment;
mod error;
mod file;
mod ground;
mod key;
mod kubeconfig;
mod listen;
mod part;
mod parts;
mod plugin;
mod progress;
mod ready_files;
mod secret;
mod secrets;
mod seed;
mod snapshot;

pub(crate) use api_server::{NAMES as API_SERVER_NAMES, read_encryption_config};
pub use assembly::Stack;
pub(crate) use assembly::WeakStack;
pub use config::{CLIENT_ID, EncryptionAtRest, KeySize, Ports, StackConfig, TENANT_ID};
pub use error::StackError;
pub use file::schema;
pub use key::KeyError;
pub(crate) use kubeconfig::kubeconfig;
pub(crate) use part::Tasks;
pub use part::{Part, UnknownPart};
pub use progress::{Progress, Step};
pub(crate) use secret::Token;
