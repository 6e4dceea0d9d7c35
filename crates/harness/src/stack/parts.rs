//! The parts of a stack as they run now, each started on the address that it had before.

use std::net::SocketAddr;
use std::time::Duration;

use super::api_server::{ApiServerPart, ApiServerSetup, Probe};
use super::azure::{Gateway, Places, Vault};
use super::config::{CLIENT_ID, EncryptionAtRest};
use super::error::StackError;
use super::ground::Ground;
use super::key::{KeyOutcome, VaultAccess};
use super::part::{Alarms, Part};
use super::plugin::{PluginPart, PluginSetup};
use super::progress::{Progress, Step};
use crate::etcd::Etcd;

/// The parts of a stack.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) etcd: Option<Etcd>,
    pub(super) vault: Option<Vault>,
    pub(super) gateway: Option<Gateway>,
    pub(super) plugin: Option<PluginPart>,
    pub(super) api_server: Option<ApiServerPart>,
    pub(super) addresses: Addresses,
    /// Where the vault listens for each place, and where the gateway does, from their first start on.
    places: (Places, Places),
    alarms: Alarms,
}

/// Where parts listen, from their first start on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Addresses {
    pub(super) vault: Option<SocketAddr>,
    pub(super) identity: Option<SocketAddr>,
    pub(super) gateway: Option<SocketAddr>,
    pub(super) api_server: Option<SocketAddr>,
}

impl Parts {
    pub(super) fn new(alarms: Alarms) -> Self {
        Self {
            etcd: None,
            vault: None,
            gateway: None,
            plugin: None,
            api_server: None,
            addresses: Addresses::default(),
            places: (Places::new(), Places::new()),
            alarms,
        }
    }

    /// Starts vault and gateway, and makes the key if there is none; says what became of it.
    pub(super) async fn start_azure(&mut self, ground: &Ground, progress: &Progress) -> Result<KeyOutcome, StackError> {
        progress.step(Step::StartVault);
        self.start_vault(ground).await?;
        self.start_gateway(ground).await?;
        let access = VaultAccess {
            proxy: &self.proxy(),
            ca_pem: &ground.ca_pem,
            tenant_id: ground.config.tenant_id,
            client_id: CLIENT_ID,
            client_secret: &ground.secrets.client_secret,
            vault: &ground.config.vault,
        };
        access.ensure_key(&ground.config.key, ground.config.key_size).await.map_err(StackError::Key)
    }

    pub(super) async fn start(&mut self, ground: &Ground, part: Part) -> Result<(), StackError> {
        match part {
            Part::ApiServer if self.etcd.is_some() => self.start_api_server(ground).await,
            Part::Etcd(member) => {
                let etcd = self.etcd.as_mut().ok_or(StackError::NoPart { part })?;
                Ok(etcd.start_member(member).await?)
            }
            Part::Gateway => self.start_gateway(ground).await,
            Part::Plugin if ground.config.encryption == EncryptionAtRest::Kms => self.start_plugin(ground).await,
            Part::Vault => self.start_vault(ground).await,
            Part::ApiServer | Part::Plugin => Err(StackError::NoPart { part }),
        }
    }

    pub(super) async fn stop(&mut self, part: Part) -> Result<(), StackError> {
        match part {
            Part::ApiServer => {
                if let Some(api_server) = self.api_server.take() {
                    api_server.stop().await;
                }
            }
            Part::Etcd(member) => {
                let etcd = self.etcd.as_mut().ok_or(StackError::NoPart { part })?;
                etcd.stop_member(member).await?;
            }
            Part::Gateway => {
                if let Some(gateway) = self.gateway.take() {
                    gateway.stop().await;
                }
            }
            Part::Plugin => {
                if let Some(plugin) = self.plugin.take() {
                    plugin.stop().await;
                }
            }
            Part::Vault => {
                if let Some(vault) = self.vault.take() {
                    vault.stop().await;
                }
            }
        }
        Ok(())
    }

    /// Ends everything, those that depend on others first.
    pub(super) async fn stop_all(&mut self) {
        for part in [Part::ApiServer, Part::Plugin, Part::Gateway, Part::Vault] {
            // None of these can fail to stop.
            let _ = self.stop(part).await;
        }
        if let Some(etcd) = self.etcd.take() {
            etcd.shutdown().await;
        }
    }

    pub(super) async fn start_plugin(&mut self, ground: &Ground) -> Result<(), StackError> {
        if self.plugin.is_some() {
            return Ok(());
        }
        let setup = PluginSetup {
            config: &ground.config,
            client_secret: &ground.secrets.client_secret,
            proxy: self.proxy(),
            ca_pem: ground.ca_pem.clone(),
            socket: &ground.socket,
            known_versions: ground.state.join("known-versions.json"),
        };
        self.plugin = Some(PluginPart::start(setup, &self.alarms).await?);
        Ok(())
    }

    /// Starts the API server and waits until it lives; whether it is ready is another question.
    pub(super) async fn start_api_server(&mut self, ground: &Ground) -> Result<(), StackError> {
        if self.api_server.is_some() {
            return Ok(());
        }
        let setup = ApiServerSetup {
            config: &ground.config,
            endpoints: self.etcd.as_ref().map(|etcd| etcd.endpoints().to_vec()).unwrap_or_default(),
            encryption_config: ground.encryption_config.as_deref(),
            token: &ground.secrets.api_token,
            tls: ground.api_server_tls.clone(),
            port: port(self.addresses.api_server, ground.config.ports.api_server),
        };
        let started = ApiServerPart::start(setup, &self.alarms).await?;
        self.addresses.api_server = Some(started.address);
        let probe = Probe::new(started.url(), &ground.ca_pem)?;
        self.api_server = Some(started);
        probe.wait("livez", LIVE_WITHIN).await
    }

    async fn start_vault(&mut self, ground: &Ground) -> Result<(), StackError> {
        if self.vault.is_some() {
            return Ok(());
        }
        let ports = ground.config.ports;
        let ports = (port(self.addresses.vault, ports.vault), port(self.addresses.identity, ports.identity));
        let data = ground.state.join("vault");
        let tls = ground.vault_tls.clone();
        let started =
            Vault::start(&ground.config, &ground.secrets, data, tls, ports, &self.places.0, &self.alarms).await?;
        self.places.0.clone_from(&started.places);
        self.addresses.vault = Some(started.tls_address);
        self.addresses.identity = Some(started.identity_address);
        self.vault = Some(started);
        Ok(())
    }

    async fn start_gateway(&mut self, ground: &Ground) -> Result<(), StackError> {
        let (None, Some(vault), Some(identity)) = (&self.gateway, self.addresses.vault, self.addresses.identity) else {
            return Ok(());
        };
        let port = port(self.addresses.gateway, ground.config.ports.gateway);
        let started = Gateway::start(port, vault, &self.places.0, identity, &self.places.1, &self.alarms).await?;
        self.places.1.clone_from(&started.places);
        self.addresses.gateway = Some(started.address);
        self.gateway = Some(started);
        Ok(())
    }

    /// Where clients of Azure's names connect to.
    fn proxy(&self) -> String {
        self.addresses.gateway.map(|address| format!("http://{address}")).unwrap_or_default()
    }
}

/// The port that a part had before, else the one that is configured.
fn port(before: Option<SocketAddr>, configured: u16) -> u16 {
    before.map_or(configured, |address| address.port())
}

/// An API server answers as soon as it listens; the rest is a busy machine.
const LIVE_WITHIN: Duration = Duration::from_secs(20);
