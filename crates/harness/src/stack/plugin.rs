//! The KMS plugin of a stack: on its socket, and through the gateway to the vault by Azure's name.

use std::path::{Path, PathBuf};

use kms_api::Endpoint;
use kms_api::v2::StatusRequest;
use kms_api::v2::key_management_service_client::KeyManagementServiceClient;
use kms_plugin::{ClientSecret, Config, Credential, HttpConfig, Plugin, Proxy};

use super::config::{CLIENT_ID, StackConfig};
use super::error::StackError;
use super::part::{Alarms, Part, Tasks};
use super::secret::Token;
use crate::etcd::chain;

/// The running plugin.
#[derive(Debug)]
pub(super) struct PluginPart {
    tasks: Tasks,
}

/// What a plugin is started with, again after a restart.
pub(super) struct PluginSetup<'a> {
    pub(super) config: &'a StackConfig,
    pub(super) client_secret: &'a Token,
    pub(super) proxy: String,
    pub(super) ca_pem: String,
    pub(super) socket: &'a Endpoint,
    pub(super) known_versions: PathBuf,
}

impl PluginPart {
    pub(super) async fn start(setup: PluginSetup<'_>, alarms: &Alarms) -> Result<Self, StackError> {
        let listener = setup.socket.bind().await.map_err(|error| StackError::Plugin(error.into()))?;
        let stack = setup.config;
        let name = |text: &str, what: &'static str| {
            let text = text.to_owned();
            move |error: kms_plugin::NameError| StackError::Name { text, what, source: error.into() }
        };
        let credential = Credential::ClientSecret {
            tenant: stack.tenant_id.to_string(),
            client: CLIENT_ID.to_string(),
            secret: ClientSecret::new(setup.client_secret.expose().to_owned()),
        };
        let mut config = Config::new(
            stack.vault.parse().map_err(name(&stack.vault, "the name of a vault"))?,
            stack.key.parse().map_err(name(&stack.key, "the name of a key"))?,
            credential,
            stack.clock.clone(),
        );
        config.http = HttpConfig { proxy: Proxy::Url(setup.proxy), ca_pem: Some(setup.ca_pem.into_bytes()) };
        config.known_versions_file = Some(setup.known_versions);
        let plugin = Plugin::start(config).map_err(|error| StackError::Plugin(error.into()))?;
        let mut tasks = Tasks::new(Part::Plugin, alarms);
        let shutdown = tasks.shutdown();
        tasks.spawn(async move {
            if let Err(error) = kms_plugin::serve(listener, plugin, shutdown).await {
                tracing::error!(error = %chain(&error), "the KMS plugin ended");
            }
        });
        Ok(Self { tasks })
    }

    pub(super) async fn stop(self) {
        self.tasks.stop().await;
    }
}

/// The plugin's socket in `directory`.
pub(super) fn socket(directory: &Path) -> Result<Endpoint, StackError> {
    Endpoint::of_path(directory.join("kms.sock"))
        .map_err(|source| StackError::SocketPath { directory: directory.to_owned(), source })
}

/// What the plugin on `socket` answers to `Status`.
pub(super) async fn ask_key_id(socket: &Endpoint) -> Result<String, String> {
    let mut client = KeyManagementServiceClient::new(socket.channel());
    match client.status(StatusRequest {}).await {
        Ok(answer) => Ok(answer.into_inner().key_id),
        Err(status) => Err(format!("{:?}: {}", status.code(), status.message())),
    }
}
