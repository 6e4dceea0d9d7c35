//! A server from its configuration to its end.

use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::auth::Authenticator;
use crate::config::Config;
use crate::core::{Core, Counters, Tally, Terminations};
use crate::encryption::Encryption;
use crate::metrics::Metrics;
use crate::namespaces;
use crate::store::{Etcd, Store};

/// A running API server. Clones share it. [`crate::serve`] answers its clients; its background tasks run until a
/// `serve` ends or [`ApiServer::stop`] is called, and the server is of no use afterwards.
#[derive(Clone, Debug)]
pub struct ApiServer {
    core: Arc<Core>,
}

impl ApiServer {
    /// Connects to etcd, starts the encryption providers and makes the system namespaces.
    ///
    /// A KMS plugin that does not answer is no error: as upstream, the server starts, and reads and writes of encrypted
    /// resources fail until it does.
    ///
    /// # Errors
    ///
    /// [`StartError::EtcdUnreachable`] if no endpoint answers, [`StartError::Bootstrap`] if the system namespaces
    /// cannot be stored, [`StartError::Endpoints`] or [`StartError::Metrics`] for a configuration that makes no sense.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let Config {
            etcd_endpoints,
            etcd_prefix,
            etcd_timeout,
            request_timeout,
            encryption,
            encryption_reload,
            credentials,
            clock,
            git_version,
        } = config;
        let endpoints = etcd_endpoints.join(", ");
        let etcd = Etcd::connect(&etcd_endpoints, etcd_timeout)
            .await
            .map_err(|source| StartError::Endpoints { endpoints: endpoints.clone(), source: Box::new(source) })?;
        // Before the KMS is asked for anything: without etcd there is nothing to encrypt.
        etcd.revision(&etcd_prefix).await.map_err(|source| StartError::EtcdUnreachable {
            endpoints,
            waited: etcd_timeout,
            source: Box::new(source),
        })?;
        let registry = Registry::new();
        let metrics = Metrics::new(registry.clone()).map_err(StartError::Metrics)?;
        let shutdown = CancellationToken::new();
        let encryption =
            Encryption::start(encryption, encryption_reload, clock.clone(), &registry, shutdown.child_token()).await;
        let (terminations, terminating) = Terminations::new();
        let core = Arc::new(Core {
            store: Arc::new(Store::new(etcd, Arc::clone(&encryption), &etcd_prefix)),
            encryption,
            clock,
            authenticator: Authenticator::new(&credentials),
            metrics,
            tally: Tally::default(),
            terminations,
            shutdown,
            request_timeout,
            git_version,
        });
        namespaces::bootstrap(&core).await.map_err(|source| StartError::Bootstrap { source: Box::new(source) })?;
        tokio::spawn(namespaces::empty_terminating(Arc::clone(&core), terminating));
        Ok(Self { core })
    }

    /// What the server has done so far.
    pub fn counters(&self) -> Counters {
        self.core.tally.read()
    }

    /// The text of `/metrics`.
    ///
    /// # Errors
    ///
    /// The encoder's error; it names the metric that cannot be written.
    pub fn metrics_text(&self) -> Result<String, prometheus::Error> {
        self.core.metrics.render()
    }

    /// Ends the background tasks and every watch.
    pub fn stop(&self) {
        self.core.shutdown.cancel();
    }

    pub(crate) fn core(&self) -> Arc<Core> {
        Arc::clone(&self.core)
    }
}

/// A server that could not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The system namespaces could not be stored.
    #[error("store the system namespaces in etcd")]
    Bootstrap {
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The endpoints are no addresses.
    #[error("read the etcd endpoints {endpoints:?}: give addresses like http://127.0.0.1:2379")]
    Endpoints {
        /// What was given.
        endpoints: String,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Nothing answers.
    #[error(
        "reach etcd at {endpoints}: no answer within {waited:?}; check that etcd runs there and serves clients at this address"
    )]
    EtcdUnreachable {
        /// Where it was looked for.
        endpoints: String,
        /// How long.
        waited: Duration,
        /// The last error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Two parts of the server want the same metric.
    #[error("register the metrics")]
    Metrics(#[source] prometheus::Error),
}
