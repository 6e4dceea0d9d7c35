//! The KMS plugin by itself, configured as Azure's plugin is: flags and an `azure.json`.

use std::fs;
use std::path::{Path, PathBuf};

use clock::Clock;
use kms_api::Endpoint;
use kms_plugin::{AzureJson, Config, Plugin};
use tokio::sync::mpsc;

use super::running::RunningPart;
use crate::etcd::chain;
use crate::ready::ReadyFile;
use crate::stack::{Part, StackError, Tasks};

/// What the KMS plugin is started with, where it runs by itself.
#[derive(Clone, Debug)]
pub struct PluginAlone {
    /// The socket, `unix:///...`.
    pub listen: String,
    /// Name of the vault.
    pub vault: String,
    /// Name of the key.
    pub key: String,
    /// Version of the key; none follows the newest.
    pub key_version: Option<String>,
    /// The `azure.json`, which says where and as whom the vault is reached.
    pub azure_json: PathBuf,
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
    /// [`StackError::File`] and [`StackError::Plugin`].
    pub async fn start(self) -> Result<RunningPart, StackError> {
        let socket: Endpoint = self.listen.parse().map_err(|error: kms_api::EndpointError| StackError::Socket {
            text: self.listen.clone(),
            source: error.into(),
        })?;
        let content = read(&self.azure_json)?;
        let azure = AzureJson::parse(&content)
            .map_err(|error| StackError::AzureJson { path: self.azure_json.clone(), source: error.into() })?;
        let name = |text: &str, what: &'static str| {
            let text = text.to_owned();
            move |error: kms_plugin::NameError| StackError::Name { text, what, source: error.into() }
        };
        let vault = self.vault.parse().map_err(name(&self.vault, "the name of a vault"))?;
        let key = self.key.parse().map_err(name(&self.key, "the name of a key"))?;
        let mut config = Config::new(vault, key, azure.credential, Clock::new());
        let version = self.key_version.as_deref().map(|text| text.parse().map_err(name(text, "a version of a key")));
        config.key_version = version.transpose()?;
        config.cloud = azure.cloud;
        config.http.ca_pem = self.ca_file.as_deref().map(read).transpose()?;
        config.known_versions_file = self.known_versions_file;

        let failed = |error: Box<dyn std::error::Error + Send + Sync>| StackError::Plugin(error);
        let listener = socket.bind().await.map_err(|error| failed(error.into()))?;
        let plugin = Plugin::start(config).map_err(|error| failed(error.into()))?;
        let (alarms, alarmed) = mpsc::unbounded_channel();
        let mut tasks = Tasks::new(Part::Plugin, &alarms);
        let shutdown = tasks.shutdown();
        tasks.spawn(async move {
            if let Err(error) = kms_plugin::serve(listener, plugin, shutdown).await {
                tracing::error!(error = %chain(&error), "the KMS plugin ended");
            }
        });
        let ready = ReadyFile { kms_sockets: vec![socket.to_string()], ..ReadyFile::default() };
        RunningPart::new(ready, self.ready_file, tasks, alarmed)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, StackError> {
    fs::read(path).map_err(|source| StackError::File { path: path.to_owned(), source })
}
