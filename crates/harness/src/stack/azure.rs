//! Azure's side of a stack: the vault with its token endpoints, and the gateway before them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gateway::{Counters, Routes, Traffic};
use keyvault::{Emulator, OpenError, Principal, PrincipalKind, SeedError, VaultConfig};
use rustls::ServerConfig;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, interval};

use super::config::{CLIENT_ID, MACHINE_CLIENT_ID, MACHINE_OBJECT_ID, OBJECT_ID, StackConfig};
use super::error::StackError;
use super::listen::listen;
use super::part::{Alarms, Part, Tasks};
use super::secrets::Secrets;
use super::seed;

/// The running vault and token endpoints.
#[derive(Debug)]
pub(super) struct Vault {
    pub(super) control: keyvault::Control,
    pub(super) tls_address: SocketAddr,
    pub(super) identity_address: SocketAddr,
    /// Where callers from each place of the seed are joined to.
    pub(super) places: Places,
    tasks: Tasks,
}

/// Addresses by the name of a place in the network.
pub(super) type Places = BTreeMap<String, SocketAddr>;

impl Vault {
    /// Opens the state in `data_dir`, seeds it and serves it. Ports are those of `ports`, 0 for any; places listen where
    /// they did `before`.
    pub(super) async fn start(
        config: &StackConfig,
        secrets: &Secrets,
        data_dir: PathBuf,
        tls: Arc<ServerConfig>,
        ports: (u16, u16),
        before: &Places,
        alarms: &Alarms,
    ) -> Result<Self, StackError> {
        let seed = seed::read(config.seed.as_deref())?;
        // The sockets first: a port that is taken is found before a key is made.
        let (tls_listener, tls_address) = listen("vault", ports.0).await?;
        let (identity_listener, identity_address) = listen("managed-identity endpoint", ports.1).await?;
        let mut places = Places::new();
        let mut doors = Vec::new();
        for (name, place) in seed.places {
            let port = before.get(&name).map_or(0, SocketAddr::port);
            let (listener, address) = listen("vault", port).await?;
            places.insert(name, address);
            doors.push((listener, place));
        }
        let emulator = open(config, secrets, &data_dir).await?;
        let mut tasks = Tasks::new(Part::Vault, alarms);
        let shutdown = tasks.shutdown();
        for (listener, place) in doors {
            let (tls, emulator) = (Arc::clone(&tls), emulator.clone());
            tasks.spawn(keyvault::serve_tls_at(listener, tls, emulator, place, shutdown.clone()));
        }
        tasks.spawn(keyvault::serve_tls(tls_listener, tls, emulator.clone(), shutdown.clone()));
        tasks.spawn(keyvault::serve_plain(identity_listener, emulator.clone(), shutdown));
        Ok(Self { control: emulator.control(), tls_address, identity_address, places, tasks })
    }

    pub(super) async fn stop(self) {
        self.tasks.stop().await;
    }
}

/// The running gateway: a listener for the internet, and one for each place of the seed.
#[derive(Debug)]
pub(super) struct Gateway {
    pub(super) address: SocketAddr,
    pub(super) places: Places,
    counters: Vec<Counters>,
    tasks: Tasks,
}

impl Gateway {
    pub(super) async fn start(
        port: u16,
        vault: SocketAddr,
        places: &Places,
        identity: SocketAddr,
        before: &Places,
        alarms: &Alarms,
    ) -> Result<Self, StackError> {
        let (listener, address) = listen("gateway", port).await?;
        let mut doors = vec![(listener, vault)];
        let mut opened = Places::new();
        for (name, vault) in places {
            let port = before.get(name).map_or(0, SocketAddr::port);
            let (listener, address) = listen("gateway", port).await?;
            opened.insert(name.clone(), address);
            doors.push((listener, *vault));
        }
        let mut tasks = Tasks::new(Part::Gateway, alarms);
        let mut counters = Vec::new();
        for (listener, vault) in doors {
            let routes = routes(vault, identity).map_err(|error| StackError::Vault(error.into()))?;
            counters.push(routes.counters());
            let shutdown = tasks.shutdown();
            tasks.spawn(gateway::serve(listener, routes, shutdown));
        }
        Ok(Self { address, places: opened, counters, tasks })
    }

    /// What went through, place by place.
    pub(super) fn traffic(&self) -> Vec<Traffic> {
        self.counters.iter().flat_map(Counters::snapshot).collect()
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) async fn stop(self) {
        self.tasks.stop().await;
    }
}

fn routes(vault: SocketAddr, identity: SocketAddr) -> Result<Routes, gateway::PatternError> {
    let routes = Routes::new().plain("169.254.169.254", 80, identity)?;
    AZURE_NAMES.iter().try_fold(routes, |routes, name| routes.tls(name, 443, vault))
}

/// Opens the state. A vault that was stopped a moment ago may still hold it: the task of its last request can end a
/// little later than its connection. Nobody else can, since the stack has its directory for itself.
async fn open(config: &StackConfig, secrets: &Secrets, data_dir: &Path) -> Result<Emulator, StackError> {
    let mut attempts = interval(OPEN_RETRY);
    let deadline = Instant::now() + OPEN_WITHIN;
    loop {
        attempts.tick().await;
        let path = config.seed.clone().unwrap_or_default();
        let refused = |source: SeedError| StackError::Seed { path, source: source.into() };
        let seed = seed::read(config.seed.as_deref())?;
        let mut config = emulator_config(config, secrets, data_dir.to_owned())?;
        let contents = config.sow(seed).map_err(refused.clone())?;
        // Reading the state and making the key that signs tokens take a while.
        let opened =
            spawn_blocking(|| Emulator::open(config)).await.map_err(|error| StackError::Vault(error.into()))?;
        match opened {
            Err(OpenError::Locked { .. }) if Instant::now() < deadline => {}
            outcome => {
                let emulator = outcome.map_err(|error| StackError::Vault(error.into()))?;
                emulator.plant(contents).await.map_err(refused)?;
                return Ok(emulator);
            }
        }
    }
}

fn emulator_config(config: &StackConfig, secrets: &Secrets, data_dir: PathBuf) -> Result<keyvault::Config, StackError> {
    let name = config.vault.parse().map_err(|error: keyvault::NameError| StackError::Name {
        text: config.vault.clone(),
        what: "the name of a vault",
        source: error.into(),
    })?;
    let secret = |token: &super::secret::Token| keyvault::Secret::new(token.expose().to_owned());
    Ok(keyvault::Config {
        region: config.region.clone(),
        vaults: vec![VaultConfig::new(name)],
        principals: vec![
            Principal::new(
                CLIENT_ID,
                OBJECT_ID,
                PrincipalKind::ServicePrincipal { client_secret: Some(secret(&secrets.client_secret)) },
            ),
            Principal::new(
                MACHINE_CLIENT_ID,
                MACHINE_OBJECT_ID,
                PrincipalKind::SystemAssigned { resource_id: MACHINE_RESOURCE_ID.to_owned() },
            ),
        ],
        identity_header: Some(secret(&secrets.identity_header)),
        audit_log: Some(data_dir.join("audit.jsonl")),
        event_log: Some(data_dir.join("events.jsonl")),
        data_dir: Some(data_dir),
        ..keyvault::Config::new(config.tenant_id, config.clock.clone())
    })
}

/// Names that the vault's listener answers for, also in its certificate.
pub(super) const AZURE_NAMES: [&str; 3] = ["*.vault.azure.net", "*.managedhsm.azure.net", "login.microsoftonline.com"];

/// The machine that the system-assigned identity belongs to, as ARM would name a node of a cluster.
const MACHINE_RESOURCE_ID: &str = "/subscriptions/00000000-0000-4000-8000-000000000000/resourceGroups/MC_kyanite_kyanite_westeurope\
     /providers/Microsoft.Compute/virtualMachineScaleSets/aks-nodepool1-kyanite-vmss";

const OPEN_RETRY: Duration = Duration::from_millis(10);
const OPEN_WITHIN: Duration = Duration::from_secs(2);
