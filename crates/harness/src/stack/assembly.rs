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

use super::api_server::{ApiServerPart, Probe};
use super::config::{EncryptionAtRest, StackConfig};
use super::error::StackError;
use super::ground::Ground;
use super::key::KeyOutcome;
use super::listen::listen;
use super::part::Part;
use super::parts::Parts;
use super::plugin;
use super::progress::{Progress, Step};
use super::ready_files::{ReadyFiles, ready_file};
use super::snapshot::snapshot;
use crate::control::{self, PluginStatus, Status};
use crate::etcd::{Backend, Etcd, chain, wait_until_lost};
use crate::ready::ReadyFile;

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
        if let Part::Etcd(_) = part {
            // Before it happens, so that no watcher takes it for a loss.
            self.inner.etcd_expected.store(false, Ordering::SeqCst);
        }
        let stopped = parts.stop(part).await;
        self.expect_etcd(&parts);
        stopped
    }

    /// Starts a part that was stopped, on the address that it had, and waits until it answers. A part that runs
    /// already is no error.
    ///
    /// # Errors
    ///
    /// [`StackError`], of which [`StackError::NoPart`] if this stack has no such part.
    pub async fn start_part(&self, part: Part) -> Result<(), StackError> {
        let mut parts = self.inner.parts.lock().await;
        let started = parts.start(&self.inner.ground, part).await;
        self.expect_etcd(&parts);
        started
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

    /// Tells the watcher whether etcd is meant to answer.
    fn expect_etcd(&self, parts: &Parts) {
        let expected = parts.etcd.as_ref().is_some_and(Etcd::has_majority);
        self.inner.etcd_expected.store(expected, Ordering::SeqCst);
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
    let name = &ground.config.key;
    let mut warnings: Vec<_> = match key {
        KeyOutcome::Found | KeyOutcome::Made => None,
        KeyOutcome::Deleted => Some(format!("the key {name} was deleted in an earlier run: nothing can be encrypted")),
        KeyOutcome::Disabled => {
            Some(format!("the key {name} was disabled in an earlier run: nothing can be encrypted"))
        }
    }
    .into_iter()
    .collect();
    if ground.config.vault_alone {
        return Ok(warnings);
    }
    progress.step(Step::StartApiServer);
    let api_server = async {
        parts.start_api_server(ground).await?;
        let url = parts.api_server.as_ref().map(ApiServerPart::url).unwrap_or_default();
        let probe = Probe::new(url, &ground.ca_pem)?;
        if !warnings.is_empty() {
            // It cannot become ready, and the reason is known.
            return Ok(());
        }
        probe.wait("readyz", READY_WITHIN).await
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
