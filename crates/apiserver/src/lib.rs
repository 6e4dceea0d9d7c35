//! The part of kube-apiserver that touches Secrets, for unmodified kubectl and client libraries.
//!
//! An HTTPS front over a real etcd: discovery, Namespaces, Secrets and ConfigMaps with every verb, health, metrics. What
//! is stored is sealed with the etcd key as authenticated data, as kube-apiserver's encryption at rest does; the
//! cryptography is in `envelope`, its driver over the KMS sockets in `encryption`.
//!
//! ```no_run
//! # async fn run(tls: std::sync::Arc<rustls::ServerConfig>) -> Result<(), Box<dyn std::error::Error>> {
//! use apiserver::{ApiServer, Config};
//! use tokio_util::sync::CancellationToken;
//!
//! let config = Config::new(vec!["http://127.0.0.1:2379".into()], clock::Clock::new());
//! let server = ApiServer::start(config).await?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! apiserver::serve(listener, tls, server, CancellationToken::new()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # The life of a request
//!
//! `http` reads and routes it and writes the answer; `verbs` does what it asks; `object` has the fields of objects, their
//! JSON and their stored form; `validation`, `patch`, `selector` and `managed_fields` are pure; `store` reads and writes
//! etcd; `status` has every refusal. Upstream is kube-apiserver 1.34; `docs/apiserver.md` lists what is not here.

mod auth;
mod config;
mod core;
mod discovery;
mod encryption;
mod health;
mod http;
mod managed_fields;
mod metrics;
mod namespaces;
mod object;
mod openapi;
mod patch;
mod resource;
mod selector;
mod server;
mod status;
mod store;
mod table;
mod validation;
mod verbs;

pub use crate::config::{BearerToken, Config, Credential, TokenFileError, User};
pub use crate::core::Counters;
pub use crate::encryption::EncryptionReload;
pub use crate::http::serve;
pub use crate::server::{ApiServer, StartError};
