//! The real etcd of a stack: in containers, as child processes, or the user's own endpoints.
//!
//! What this module does not do: it never imitates etcd, and it never deletes a key. Whatever it starts it takes away
//! again, also after a failed start and when this process is killed; a user's own etcd is only looked at.

mod cluster;
mod config;
mod containers;
mod error;
mod guard;
mod health;
mod layout;
mod processes;

pub use cluster::{Etcd, wait_until_lost};
pub use config::{Backend, EtcdConfig, EtcdSource, EtcdSourceError};
pub(crate) use containers::{docker_version, image_for};
pub use error::{EngineError, EtcdError, StartError};
pub(crate) use health::chain;
