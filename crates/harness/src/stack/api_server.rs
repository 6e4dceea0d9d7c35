//! The API server of a stack.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use apiserver::{ApiServer, BearerToken, Counters, Credential, User};
use envelope::{EncryptionConfiguration, ParseOptions};
use reqwest::{Certificate, Client, StatusCode};
use rustls::ServerConfig;
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::config::{PROVIDER, StackConfig};
use super::error::StackError;
use super::listen::listen;
use super::part::{Alarms, Part, Tasks};
use super::secret::Token;
use crate::etcd::chain;
use crate::runtime::write_public;

/// The running API server.
#[derive(Debug)]
pub(super) struct ApiServerPart {
    pub(super) address: SocketAddr,
    server: ApiServer,
    tasks: Tasks,
}

/// What an API server is started with, again after a restart.
pub(super) struct ApiServerSetup<'a> {
    pub(super) config: &'a StackConfig,
    pub(super) endpoints: Vec<String>,
    pub(super) encryption_config: Option<&'a Path>,
    pub(super) token: &'a Token,
    pub(super) tls: Arc<ServerConfig>,
    pub(super) port: u16,
}

impl ApiServerPart {
    pub(super) async fn start(setup: ApiServerSetup<'_>, alarms: &Alarms) -> Result<Self, StackError> {
        let (listener, address) = listen("API server", setup.port).await?;
        let mut config = apiserver::Config::new(setup.endpoints, setup.config.clock.clone());
        config.etcd_prefix = setup.config.etcd.prefix.trim_end_matches('/').to_owned();
        config.encryption =
            setup.encryption_config.map(|path| read_encryption_config(path, ParseOptions::default())).transpose()?;
        config.credentials = vec![Credential {
            token: BearerToken::new(setup.token.expose().to_owned()),
            user: User { name: ADMIN.to_owned(), uid: ADMIN.to_owned(), groups: vec!["system:masters".to_owned()] },
        }];
        let server = ApiServer::start(config).await.map_err(|error| StackError::ApiServer(error.into()))?;
        let mut tasks = Tasks::new(Part::ApiServer, alarms);
        let shutdown = tasks.shutdown();
        let (tls, handle) = (setup.tls, server.clone());
        tasks.spawn(async move {
            if let Err(error) = apiserver::serve(listener, tls, handle, shutdown).await {
                tracing::error!(%error, "the API server ended");
            }
        });
        Ok(Self { address, server, tasks })
    }

    pub(super) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// What it has done so far.
    pub(super) fn counters(&self) -> Counters {
        self.server.counters()
    }

    /// The hash of the key id that the plugin last told it, which new seeds are encrypted under; as upstream shows it,
    /// on its metrics page.
    pub(super) fn key_id_hash(&self) -> Option<String> {
        let page = self.server.metrics_text().ok()?;
        let told = page.lines().filter(|line| line.starts_with(KEY_ID_TOLD)).filter_map(|line| {
            let hash = line.split_once("key_id_hash=\"")?.1.split_once('"')?.0;
            let at: f64 = line.rsplit(' ').next()?.parse().ok()?;
            Some((at, hash))
        });
        let last = told.max_by(|a, b| a.0.total_cmp(&b.0));
        last.map(|(_, hash)| hash.to_owned())
    }

    pub(super) async fn stop(self) {
        self.tasks.stop().await;
    }
}

/// Asks an API server for its health, as a kubelet's probe does.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    http: Client,
    url: String,
}

impl Probe {
    pub(super) fn new(url: String, ca_pem: &str) -> Result<Self, StackError> {
        let failed = |error: reqwest::Error| StackError::ApiServer(error.into());
        let ca = Certificate::from_pem(ca_pem.as_bytes()).map_err(failed)?;
        let http = Client::builder().no_proxy().tls_certs_only([ca]).timeout(PROBE_TIMEOUT).build().map_err(failed)?;
        Ok(Self { http, url })
    }

    /// `Ok` if the endpoint (`readyz`, `livez`) answers 200, else what does not hold, in a line.
    pub(super) async fn ask(&self, endpoint: &str) -> Result<(), String> {
        let answer =
            self.http.get(format!("{}/{endpoint}?verbose", self.url)).send().await.map_err(|error| chain(&error))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| chain(&error))?;
        if status == StatusCode::OK {
            return Ok(());
        }
        let failing: Vec<_> = text.lines().filter(|line| line.starts_with("[-]")).collect();
        Err(if failing.is_empty() { format!("{status}: {}", text.trim()) } else { failing.join(", ") })
    }

    /// Waits until the endpoint answers 200.
    pub(super) async fn wait(&self, endpoint: &str, within: Duration) -> Result<(), StackError> {
        let mut last = "it was not asked yet".to_owned();
        let mut ticks = interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let attempts = async {
            loop {
                ticks.tick().await;
                match self.ask(endpoint).await {
                    Ok(()) => break,
                    Err(error) => last = error,
                }
            }
        };
        let outcome = timeout(within, attempts).await;
        outcome.map_err(|_| StackError::NotReady { part: Part::ApiServer, within, last })
    }
}

/// Writes the `EncryptionConfiguration` of a stack: new values through the plugin on `socket`, old ones readable.
pub(super) fn write_encryption_config(socket: &str, directory: &Path) -> Result<PathBuf, StackError> {
    let path = directory.join("encryption-config.json");
    let config = json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{
            "resources": ["secrets"],
            "providers": [
                { "kms": { "apiVersion": "v2", "name": PROVIDER, "endpoint": socket } },
                { "identity": {} },
            ],
        }],
    });
    let written = write_public(&path, format!("{config:#}\n").as_bytes());
    written.map_err(|source| StackError::File { path: path.clone(), source })?;
    Ok(path)
}

/// Reads an `EncryptionConfiguration` (YAML or JSON), for a server with these options.
pub(crate) fn read_encryption_config(
    path: &Path,
    options: ParseOptions,
) -> Result<EncryptionConfiguration, StackError> {
    let content = std::fs::read(path).map_err(|source| StackError::File { path: path.to_owned(), source })?;
    EncryptionConfiguration::parse_with(&content, options)
        .map_err(|problems| StackError::EncryptionConfig { path: path.to_owned(), source: problems.into() })
}

/// Names in the API server's certificate, as kubeadm has them.
pub(crate) const NAMES: [&str; 6] = [
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
    "127.0.0.1",
];

/// Upstream's metric: when each key id was last told by a plugin's Status.
const KEY_ID_TOLD: &str = "apiserver_envelope_encryption_key_id_hash_status_last_timestamp_seconds{";
const ADMIN: &str = "kyanite-admin";
/// As a kubelet's probe allows.
const PROBE_TIMEOUT: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(10);
