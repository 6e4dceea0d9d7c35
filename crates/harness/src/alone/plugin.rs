//! The KMS plugin by itself, configured as Azure's plugin is: flags and an `azure.json`.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clock::Clock;
use kms_api::Endpoint;
use kms_plugin::{AzureJson, Config, Difference, Plugin, Probes, StackCloud};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::running::RunningPart;
use crate::etcd::chain;
use crate::ready::ReadyFile;
use crate::stack::{Part, StackError, Tasks};

/// What the KMS plugin is started with, where it runs by itself. Most fields are flags of Azure's plugin.
#[derive(Clone, Debug)]
pub struct PluginAlone {
    /// The socket, `unix:///...`.
    pub listen: String,
    /// Name of the vault or managed HSM.
    pub vault: String,
    /// Name of the key.
    pub key: String,
    /// Version of the key; none follows the newest.
    pub key_version: Option<String>,
    /// The version before, for AKS's two-key rule.
    pub previous_key: Option<String>,
    /// Whether the vault is a managed HSM.
    pub managed_hsm: bool,
    /// The `azure.json`, which says where and as whom the vault is reached.
    pub azure_json: PathBuf,
    /// The environment file of `AzureStackCloud`.
    pub cloud_environment: Option<PathBuf>,
    /// The helper of Azure's proxy mode, `http://{address}:{port}`.
    pub proxy_mode: Option<String>,
    /// Port of the health endpoint; 0 is any that is free.
    pub healthz_port: u16,
    /// Path of the health endpoint that Azure's plugin has too.
    pub healthz_path: String,
    /// How long a probe may take.
    pub healthz_timeout: Duration,
    /// Port of the metrics endpoint; 0 is any that is free.
    pub metrics_port: u16,
    /// How many calls to the vault are made at once; 0 is no limit.
    pub max_vault_calls: usize,
    /// What to do as Azure's plugin does it.
    pub like_azure: BTreeSet<Difference>,
    /// Certificates (PEM) to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Where the versions seen are remembered across restarts.
    pub known_versions_file: Option<PathBuf>,
    /// Where to write what was chosen.
    pub ready_file: Option<PathBuf>,
}

impl PluginAlone {
    /// Starts the plugin. The proxy is the one that the environment names, as for Azure's plugin.
    ///
    /// # Errors
    ///
    /// [`StackError::Name`], [`StackError::Socket`] and [`StackError::AzureJson`] for what was given; otherwise
    /// [`StackError::File`], [`StackError::Listen`] and [`StackError::Plugin`].
    pub async fn start(self) -> Result<RunningPart, StackError> {
        let socket: Endpoint = self.listen.parse().map_err(|error: kms_api::EndpointError| StackError::Socket {
            text: self.listen.clone(),
            source: error.into(),
        })?;
        let config = self.config()?;
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| StackError::Plugin(error);
        let metrics = listen_everywhere("KMS plugin's metrics", self.metrics_port).await?;
        let health = listen_everywhere("KMS plugin's health endpoint", self.healthz_port).await?;
        let listener = socket.bind().await.map_err(|error| failed(error.into()))?;
        let plugin = Plugin::start(config).map_err(|error| failed(error.into()))?;

        let (alarms, alarmed) = mpsc::unbounded_channel();
        let mut tasks = Tasks::new(Part::Plugin, &alarms);
        let served = kms_plugin::serve_metrics(metrics, plugin.clone(), tasks.shutdown());
        tasks.spawn(async move { log_end("metrics endpoint", served.await) });
        let probes = Probes { path: self.healthz_path, limit: self.healthz_timeout, socket: socket.clone() };
        let served = kms_plugin::serve_probes(health, plugin.clone(), probes, tasks.shutdown());
        tasks.spawn(async move { log_end("health endpoint", served.await) });
        let served = kms_plugin::serve(listener, plugin, tasks.shutdown());
        tasks.spawn(async move { log_end("KMS plugin", served.await) });
        let ready = ReadyFile { kms_sockets: vec![socket.to_string()], ..ReadyFile::default() };
        RunningPart::new(ready, self.ready_file, tasks, alarmed)
    }

    fn config(&self) -> Result<Config, StackError> {
        let stack = || self.stack_cloud().map_err(|text| format!("cloud AzureStackCloud: {text}"));
        let content = read(&self.azure_json)?;
        let azure = AzureJson::parse(&content, stack)
            .map_err(|error| StackError::AzureJson { path: self.azure_json.clone(), source: error.into() })?;
        let name = |text: &str, what: &'static str| {
            let text = text.to_owned();
            move |error: kms_plugin::NameError| StackError::Name { text, what, source: error.into() }
        };
        let version = |text: &Option<String>| {
            text.as_deref().map(|text| text.parse().map_err(name(text, "a version of a key"))).transpose()
        };
        let vault = self.vault.parse().map_err(name(&self.vault, "the name of a vault"))?;
        let key = self.key.parse().map_err(name(&self.key, "the name of a key"))?;
        let mut config = Config::new(vault, key, azure.credential, Clock::new());
        config.key_version = version(&self.key_version)?;
        config.previous_key = version(&self.previous_key)?;
        config.managed_hsm = self.managed_hsm;
        config.cloud = azure.cloud;
        config.http.ca_pem = self.ca_file.as_deref().map(read).transpose()?;
        config.proxy_mode.clone_from(&self.proxy_mode);
        config.max_vault_calls = self.max_vault_calls;
        config.like_azure.clone_from(&self.like_azure);
        config.known_versions_file.clone_from(&self.known_versions_file);
        Ok(config)
    }

    fn stack_cloud(&self) -> Result<StackCloud, String> {
        let path = self.cloud_environment.as_deref().ok_or("AZURE_ENVIRONMENT_FILEPATH names no file")?;
        let content = fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        StackCloud::parse(&content).map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// On every address, as Azure's plugin does: a kubelet probes by the pod's.
async fn listen_everywhere(what: &'static str, port: u16) -> Result<TcpListener, StackError> {
    if let Ok(listener) = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        return Ok(listener);
    }
    // A machine without IPv6 says so in several ways; what this second try says is meant for people.
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    TcpListener::bind(address).await.map_err(|source| StackError::Listen { part: what, address, source })
}

fn log_end<E: std::error::Error>(part: &str, outcome: Result<(), E>) {
    if let Err(error) = outcome {
        tracing::error!(error = %chain(&error), "the {part} ended");
    }
}

fn read(path: &Path) -> Result<Vec<u8>, StackError> {
    fs::read(path).map_err(|source| StackError::File { path: path.to_owned(), source })
}
