//! A stack: its parts put together, watched, and taken apart.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use clock::Clock;
use jiff::Timestamp;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::api_server::Probe;
use super::azure::Gateway;
use super::config::{CLIENT_ID, EncryptionAtRest, StackConfig};
use super::environment::Environment;
use super::error::StackError;
use super::ground::Ground;
use super::key::KeyOutcome;
use super::kubeconfig::kubeconfig;
use super::listen::listen;
use super::part::Part;
use super::parts::Parts;
use super::plugin;
use super::progress::{Progress, Step};
use crate::control::{
    self, ApiServerStatus, ClockStatus, EtcdStatus, GatewayStatus, KeyStatus, PluginStatus, Status, VaultStatus,
};
use crate::etcd::{Backend, Etcd, chain, wait_until_lost};
use crate::ready::{ControlDoor, Credentials, GatewayDoor, ReadyFile, Vault};
use crate::runtime::write_private;

/// A running stack. Clones are handles on the same one; it ends with [`shutdown`](Self::shutdown), or when the last
/// handle is dropped.
#[derive(Clone, Debug)]
pub struct Stack {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    // Fields are dropped in this order: who uses others goes first.
    watchers: Vec<JoinHandle<()>>,
    ready_files: ReadyFiles,
    ready: ReadyFile,
    parts: Mutex<Parts>,
    failure: Mutex<mpsc::UnboundedReceiver<StackError>>,
    /// Whether etcd is meant to answer: not while a majority of its members is stopped on purpose.
    etcd_expected: Arc<AtomicBool>,
    end: CancellationToken,
    backend: Option<Backend>,
    warnings: Vec<String>,
    ground: Ground,
}

impl Stack {
    /// Starts a stack and waits until every part answers.
    ///
    /// # Errors
    ///
    /// [`StackError`]; nothing that was started is left behind then. [`StackError::Cancelled`] once `cancel` fires.
    pub async fn start(
        config: StackConfig,
        progress: &Progress,
        cancel: &CancellationToken,
    ) -> Result<Self, StackError> {
        let ground = Ground::prepare(config)?;
        let (alarms, alarmed) = mpsc::unbounded_channel();
        let mut parts = Parts::new(alarms);
        // Boxed: most of a start's state is in here, and every future that waits for one would hold it.
        match Box::pin(assemble(&ground, &mut parts, progress, cancel)).await {
            Ok(warnings) => Self::open(ground, parts, warnings, alarmed).await,
            Err(error) => {
                parts.stop_all().await;
                Err(error)
            }
        }
    }

    /// Where everything is: what the ready file says.
    pub fn ready(&self) -> &ReadyFile {
        &self.inner.ready
    }

    /// Path of the ready file by which other commands find this stack.
    pub fn ready_file(&self) -> PathBuf {
        self.inner.ground.directory.ready_file()
    }

    /// What is not as it should be though the stack runs, such as a key that an earlier run left disabled.
    pub fn warnings(&self) -> &[String] {
        &self.inner.warnings
    }

    /// The stack in a line: what it runs on.
    pub fn describe(&self) -> String {
        let ready = self.ready();
        let etcd = match (&self.inner.backend, ready.etcd.len()) {
            (None, _) => return format!("the vault {} with its token endpoints", self.config().vault),
            (Some(Backend::Container), 1) => "etcd in a container".to_owned(),
            (Some(Backend::Container), members) => format!("etcd in {members} containers"),
            (Some(Backend::Process), 1) => "etcd as a child process".to_owned(),
            (Some(Backend::Process), members) => format!("etcd as {members} child processes"),
            (Some(Backend::Endpoints), _) => format!("etcd at {}", ready.etcd.join(",")),
        };
        match self.config().encryption {
            EncryptionAtRest::Kms => {
                format!("{etcd}, KMS v2 with the key {} of the vault {}", self.config().key, self.config().vault)
            }
            EncryptionAtRest::None => format!("{etcd}, Secrets not encrypted"),
        }
    }

    /// Commands with which somebody looks into the running stack.
    pub fn hints(&self) -> Vec<String> {
        let mut hints = vec![format!("eval \"$(kyanite env --ready-file {})\"", self.ready_file().display())];
        if self.ready().kubeconfig.is_some() {
            hints.push("kubectl get secrets -A".to_owned());
            let prefix = self.config().etcd.prefix.trim_end_matches('/');
            hints.push(format!("etcdctl get --prefix {prefix}/secrets --print-value-only"));
        }
        hints
    }

    /// What the stack was made from.
    pub fn config(&self) -> &StackConfig {
        &self.inner.ground.config
    }

    /// Moves the stack's clock forward; a stack that keeps its data keeps that too. Returns what it shows then.
    ///
    /// # Errors
    ///
    /// [`StackError::Clock`] past the year 9999; [`StackError::File`] if it cannot be kept.
    pub fn advance_clock(&self, by: Duration) -> Result<Timestamp, StackError> {
        let now = self.clock().advance(by).map_err(StackError::Clock)?;
        self.inner.ground.clock_file.store(self.clock())?;
        Ok(now)
    }

    /// The stack's clock.
    pub fn clock(&self) -> &Clock {
        &self.inner.ground.config.clock
    }

    /// The control door of the vault.
    ///
    /// # Errors
    ///
    /// [`StackError::NoPart`] while the vault is stopped.
    pub async fn vault_control(&self) -> Result<keyvault::Control, StackError> {
        let parts = self.inner.parts.lock().await;
        let vault = parts.vault.as_ref().ok_or(StackError::NoPart { part: Part::Vault })?;
        Ok(vault.control.clone())
    }

    /// Stops a part; requests that are being served get a moment to their end. A part that is stopped already is no
    /// error.
    ///
    /// # Errors
    ///
    /// [`StackError::NoPart`] if this stack has no such part; [`StackError::Etcd`] for an etcd that Kyanite did not
    /// start.
    pub async fn stop_part(&self, part: Part) -> Result<(), StackError> {
        let mut parts = self.inner.parts.lock().await;
        if let (Part::Etcd(_), Some(etcd)) = (part, &parts.etcd) {
            // Before it happens, so that no watcher takes it for a loss.
            let left = etcd.endpoints().len().saturating_sub(etcd.stopped().count() + 1);
            self.inner.etcd_expected.store(left * 2 > etcd.endpoints().len(), Ordering::SeqCst);
        }
        parts.stop(part).await
    }

    /// Starts a part that was stopped, on the address that it had, and waits until it answers. A part that runs
    /// already is no error.
    ///
    /// # Errors
    ///
    /// [`StackError`], of which [`StackError::NoPart`] if this stack has no such part.
    pub async fn start_part(&self, part: Part) -> Result<(), StackError> {
        let mut parts = self.inner.parts.lock().await;
        parts.start(&self.inner.ground, part).await?;
        if let Some(etcd) = &parts.etcd {
            self.inner.etcd_expected.store(etcd.has_majority(), Ordering::SeqCst);
        }
        Ok(())
    }

    /// Stops a part and starts it again. What it held in memory is gone.
    ///
    /// # Errors
    ///
    /// As [`stop_part`](Self::stop_part) and [`start_part`](Self::start_part).
    pub async fn restart(&self, part: Part) -> Result<(), StackError> {
        self.stop_part(part).await?;
        self.start_part(part).await
    }

    /// Everything the stack says of itself.
    pub async fn status(&self) -> Status {
        let ground = &self.inner.ground;
        let (mut status, probe, has_plugin) = {
            let parts = self.inner.parts.lock().await;
            let probe = parts.api_server.as_ref().and_then(|running| Probe::new(running.url(), &ground.ca_pem).ok());
            (snapshot(ground, &parts), probe, parts.plugin.is_some())
        };
        // Asked over the wire, and without the lock: a part that hangs must not keep others from being restarted.
        let (key_id, ready) = tokio::join!(
            async { if has_plugin { Some(plugin::ask_key_id(&ground.socket).await) } else { None } },
            async {
                match &probe {
                    Some(probe) => Some(probe.ask("readyz").await.err().unwrap_or_else(|| "ok".to_owned())),
                    None => None,
                }
            },
        );
        status.plugin = key_id.map(|key_id| PluginStatus { socket: ground.socket.to_string(), key_id });
        if let (Some(server), Some(ready)) = (&mut status.api_server, ready) {
            server.ready = ready;
        }
        status
    }

    /// Waits until something is lost that the stack cannot go on without, and says what. Waits for ever while all is
    /// well.
    pub async fn failed(&self) -> StackError {
        match self.inner.failure.lock().await.recv().await {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    /// Waits until somebody asked for the end over the control door.
    pub async fn end_requested(&self) {
        self.inner.end.cancelled().await;
    }

    pub(crate) fn request_shutdown(&self) {
        self.inner.end.cancel();
    }

    /// Ends every part and removes what was made for this run.
    pub async fn shutdown(self) {
        self.inner.watchers.iter().for_each(JoinHandle::abort);
        self.inner.ready_files.remove();
        self.inner.parts.lock().await.stop_all().await;
        if let Err(error) = self.inner.ground.clock_file.store(self.clock()) {
            tracing::warn!(error = %chain(&error), "cannot keep the clock");
        }
    }

    /// Opens the doors of a stack whose parts run: the control door and the ready files.
    async fn open(
        ground: Ground,
        mut parts: Parts,
        warnings: Vec<String>,
        alarmed: mpsc::UnboundedReceiver<Part>,
    ) -> Result<Self, StackError> {
        let prepared = async {
            let (listener, address) = listen("control door", ground.config.ports.control).await?;
            let ready = ready_file(&ground, &parts, format!("http://{address}"))?;
            let files = ReadyFiles::write(&ready, &ground)?;
            Ok((listener, ready, files))
        };
        let (listener, ready, ready_files) = match prepared.await {
            Ok(prepared) => prepared,
            Err(error) => {
                parts.stop_all().await;
                return Err(error);
            }
        };
        let endpoints = ready.etcd.clone();
        let backend = parts.etcd.as_ref().map(Etcd::backend);
        let etcd_expected = Arc::new(AtomicBool::new(true));
        let (failed, failure) = mpsc::unbounded_channel();
        let inner = Arc::new_cyclic(|inner: &Weak<Inner>| {
            let token = Arc::clone(&ground.secrets.control_token);
            let door = control::serve(listener, WeakStack { inner: inner.clone() }, token);
            let watchers = vec![
                tokio::spawn(door),
                tokio::spawn(watch_etcd(endpoints, Arc::clone(&etcd_expected), failed.clone())),
                tokio::spawn(watch_parts(alarmed, failed)),
            ];
            Inner {
                watchers,
                ready_files,
                ready,
                parts: Mutex::new(parts),
                failure: Mutex::new(failure),
                etcd_expected,
                end: CancellationToken::new(),
                backend,
                warnings,
                ground,
            }
        });
        Ok(Self { inner })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.watchers.iter().for_each(JoinHandle::abort);
    }
}

/// A handle that does not keep its stack running.
#[derive(Clone, Debug)]
pub(crate) struct WeakStack {
    inner: Weak<Inner>,
}

impl WeakStack {
    pub(crate) fn upgrade(&self) -> Option<Stack> {
        self.inner.upgrade().map(|inner| Stack { inner })
    }
}

/// The ready files of a stack, removed when it ends.
#[derive(Debug)]
struct ReadyFiles {
    paths: Vec<PathBuf>,
}

impl ReadyFiles {
    fn write(ready: &ReadyFile, ground: &Ground) -> Result<Self, StackError> {
        let mut written = Self { paths: Vec::new() };
        let own = ground.directory.ready_file();
        // The one that was asked for last: who waits for it may run any command then.
        for path in std::iter::once(&own).chain(&ground.config.ready_file) {
            ready.write(path).map_err(|source| StackError::File { path: path.clone(), source })?;
            written.paths.push(path.clone());
        }
        Ok(written)
    }

    fn remove(&self) {
        for path in &self.paths {
            // It may have been removed by hand.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Drop for ReadyFiles {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Starts every part; says what is not as it should be though all of them run.
async fn assemble(
    ground: &Ground,
    parts: &mut Parts,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Vec<String>, StackError> {
    let etcd = async {
        if ground.config.vault_alone {
            return Ok(None);
        }
        Etcd::start(&ground.config.etcd, &ground.directory, progress, cancel).await.map(Some)
    };
    let azure = async {
        let key = parts.start_azure(ground, progress).await?;
        if !ground.config.vault_alone && ground.config.encryption == EncryptionAtRest::Kms {
            progress.step(Step::StartPlugin);
            parts.start_plugin(ground).await?;
        }
        Ok::<_, StackError>(key)
    };
    // Both to their ends, also when one fails: etcd must be known to be taken away again.
    let (etcd, azure) = tokio::join!(etcd, cancel.run_until_cancelled(azure));
    parts.etcd = etcd?;
    let key = azure.ok_or(StackError::Cancelled)??;
    let mut warnings = Vec::new();
    if key == KeyOutcome::Deleted {
        let name = &ground.config.key;
        warnings.push(format!(
            "the key {name} was deleted in an earlier run; recover or purge it, then restart the plugin"
        ));
    }
    if ground.config.vault_alone {
        return Ok(warnings);
    }
    progress.step(Step::StartApiServer);
    let api_server = async {
        parts.start_api_server(ground).await?;
        let url = parts.api_server.as_ref().map(super::api_server::ApiServerPart::url).unwrap_or_default();
        Probe::new(url, &ground.ca_pem)?.wait("readyz", READY_WITHIN).await
    };
    match cancel.run_until_cancelled(api_server).await.ok_or(StackError::Cancelled)? {
        // State from an earlier run may well be unusable: that can be the very thing to look at.
        Err(StackError::NotReady { last, .. }) if ground.config.data_dir.is_some() => {
            warnings.push(format!("the API server is not ready: {last}"));
        }
        outcome => outcome?,
    }
    Ok(warnings)
}

fn ready_file(ground: &Ground, parts: &Parts, control_url: String) -> Result<ReadyFile, StackError> {
    let url =
        |address: Option<std::net::SocketAddr>| address.map(|address| format!("https://localhost:{}", address.port()));
    let vault_url = url(parts.addresses.vault);
    let gateway = parts.gateway.as_ref().map(Gateway::url).unwrap_or_default();
    let etcd = parts.etcd.as_ref().map(|etcd| etcd.endpoints().to_vec()).unwrap_or_default();
    let kubeconfig = parts.api_server.as_ref().map(|running| write_kubeconfig(ground, &running.url())).transpose()?;
    let environment = Environment {
        proxy: &gateway,
        ca: &ground.ca_file,
        kubeconfig: kubeconfig.as_deref(),
        etcd: &etcd,
        tenant_id: ground.config.tenant_id.to_string(),
        client_id: CLIENT_ID.to_string(),
        client_secret: ground.secrets.client_secret.expose(),
    };
    let vault = |url: &String| Vault {
        name: ground.config.vault.clone(),
        url: url.clone(),
        challenge_resource: "https://vault.azure.net".to_owned(),
    };
    Ok(ReadyFile {
        ca: Some(ground.ca_file.clone()),
        vaults: vault_url.iter().map(vault).collect(),
        entra: vault_url.clone(),
        imds: parts.addresses.identity.map(|address| format!("http://{address}")),
        kms_sockets: parts.plugin.iter().map(|_| ground.socket.to_string()).collect(),
        encryption_config: parts.api_server.as_ref().and(ground.encryption_config.clone()),
        control: Some(ControlDoor { url: control_url, token_file: ground.secrets.control_token_file.clone() }),
        gateway: vec![GatewayDoor { place: "internet".to_owned(), url: gateway.clone() }],
        credentials: Some(Credentials {
            tenant_id: ground.config.tenant_id.to_string(),
            client_id: CLIENT_ID.to_string(),
            client_secret_file: ground.secrets.client_secret_file.clone(),
        }),
        env: environment.variables(),
        kubeconfig,
        etcd,
    })
}

fn write_kubeconfig(ground: &Ground, url: &str) -> Result<PathBuf, StackError> {
    let path = ground.directory.path().join("kubeconfig");
    let text = kubeconfig(url, &ground.ca_pem, ground.secrets.api_token.expose());
    write_private(&path, text.as_bytes()).map_err(|source| StackError::File { path: path.clone(), source })?;
    Ok(path)
}

/// The status as far as it is known without asking a part.
fn snapshot(ground: &Ground, parts: &Parts) -> Status {
    let clock = &ground.config.clock;
    let etcd = parts.etcd.as_ref().map(|etcd| EtcdStatus {
        backend: etcd.backend().to_string(),
        endpoints: etcd.endpoints().to_vec(),
        stopped: etcd.stopped().collect(),
    });
    let vault = parts.vault.as_ref().map(|vault| VaultStatus {
        name: ground.config.vault.clone(),
        url: format!("https://localhost:{}", vault.tls_address.port()),
        keys: ground
            .config
            .vault
            .parse()
            .ok()
            .and_then(|name| vault.control.keys(&name))
            .into_iter()
            .flatten()
            .map(|key| KeyStatus { name: key.name, versions: key.versions, deleted: key.deleted })
            .collect(),
        faults: vault.control.faults(),
        requests: vault.control.counts(),
    });
    let gateway = parts.gateway.iter().flat_map(|gateway| gateway.counters.snapshot());
    let gateway = gateway.map(|seen| GatewayStatus {
        name: format!("{}:{}", seen.host, seen.port),
        joined: seen.joined,
        refused: seen.refused,
        unreachable: seen.unreachable,
    });
    let api_server = parts.api_server.as_ref().map(|running| {
        let counters = running.counters();
        ApiServerStatus {
            url: running.url(),
            ready: "it was not asked".to_owned(),
            requests: counters.requests,
            server_errors: counters.server_errors,
            watches: counters.watches,
            key_id_hash: running.key_id_hash(),
        }
    });
    Status {
        id: ground.directory.id().to_owned(),
        pid: std::process::id(),
        clock: ClockStatus { now: clock.now(), ahead_seconds: clock.offset().as_secs() },
        etcd,
        vault,
        gateway: gateway.collect(),
        plugin: None,
        api_server,
    }
}

async fn watch_etcd(endpoints: Vec<String>, expected: Arc<AtomicBool>, failed: mpsc::UnboundedSender<StackError>) {
    if endpoints.is_empty() {
        return;
    }
    let last = wait_until_lost(&endpoints, || expected.load(Ordering::SeqCst)).await;
    // The stack may have ended meanwhile.
    let _ = failed.send(StackError::EtcdLost { last });
}

async fn watch_parts(mut alarmed: mpsc::UnboundedReceiver<Part>, failed: mpsc::UnboundedSender<StackError>) {
    while let Some(part) = alarmed.recv().await {
        let _ = failed.send(StackError::Ended { part });
    }
}

/// What a fresh stack's API server needs to become ready is a Status and an Encrypt of the plugin.
const READY_WITHIN: Duration = Duration::from_secs(10);
