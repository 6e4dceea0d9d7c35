//! etcd as child processes of this one.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::config::EtcdConfig;
use super::error::{EtcdError, StartError};
use super::guard::Guarded;
use super::health::Wait;
use super::layout::{Layout, Member, StoredBackend, common_arguments};

/// A cluster of child processes. Dropping it kills them.
#[derive(Debug)]
pub(super) struct Processes {
    binary: PathBuf,
    directory: PathBuf,
    layout: Layout,
    running: Vec<Option<Guarded>>,
}

impl Processes {
    /// Starts every member and waits until each answers. `directory` holds data and logs. Whatever was started when it
    /// fails or is called off has ended by then.
    pub(super) async fn start(
        config: &EtcdConfig,
        binary: PathBuf,
        directory: PathBuf,
        cancel: &CancellationToken,
    ) -> Result<Self, EtcdError> {
        let layout = Layout::load_or_new(config, StoredBackend::Process, &directory)?;
        let running = layout.members.iter().map(|_| None).collect();
        let mut cluster = Self { binary, directory, layout, running };
        let started = cancel.run_until_cancelled(cluster.start_somewhere()).await;
        if let Err(error) = started.unwrap_or(Err(EtcdError::Cancelled)) {
            cluster.stop_all().await;
            return Err(error);
        }
        Ok(cluster)
    }

    pub(super) fn endpoints(&self) -> Vec<String> {
        self.layout.endpoints()
    }

    /// Kills a member; its data stays.
    pub(super) async fn stop_member(&mut self, number: usize) -> Result<(), EtcdError> {
        let slot =
            self.running.get_mut(number).ok_or(EtcdError::Member { member: number, reason: "no such member" })?;
        if let Some(mut member) = slot.take() {
            member.kill().await;
        }
        Ok(())
    }

    /// Starts a member that was stopped, on its data.
    pub(super) fn start_member(&mut self, number: usize) -> Result<(), EtcdError> {
        match self.running.get(number) {
            Some(Some(_)) => Ok(()),
            _ => self.spawn(number),
        }
    }

    pub(super) async fn stop_all(&mut self) {
        for member in &mut self.running {
            if let Some(mut member) = member.take() {
                member.kill().await;
            }
        }
    }

    /// Starts every member, on other ports if somebody else has taken one.
    async fn start_somewhere(&mut self) -> Result<(), EtcdError> {
        for attempt in 1.. {
            match self.start_all().await {
                Err(EtcdError::Port { .. }) if attempt < PORT_ATTEMPTS => self.move_to_free_ports().await?,
                outcome => {
                    outcome?;
                    break;
                }
            }
        }
        self.layout.save(&self.directory)
    }

    async fn start_all(&mut self) -> Result<(), EtcdError> {
        for number in 0..self.running.len() {
            self.spawn(number)?;
        }
        // All before any wait: a member of three is only ready once it has a majority.
        for number in 0..self.running.len() {
            self.wait(number).await?;
        }
        Ok(())
    }

    /// Starts over on other ports. A cluster that was stored keeps its ports: its members know each other by them.
    async fn move_to_free_ports(&mut self) -> Result<(), EtcdError> {
        self.stop_all().await;
        for member in &mut self.layout.members {
            let failed = |source| EtcdError::Data { path: self.directory.clone(), source };
            if member.data(&self.directory).join("member").exists() && self.running.len() > 1 {
                return Err(EtcdError::Port { member: member.name.clone() });
            }
            member.move_to_free_ports().map_err(failed)?;
        }
        Ok(())
    }

    fn spawn(&mut self, number: usize) -> Result<(), EtcdError> {
        let (Some(member), Some(slot)) = (self.layout.members.get(number), self.running.get_mut(number)) else {
            return Err(EtcdError::Member { member: number, reason: "no such member" });
        };
        let log = self.directory.join(format!("{}.log", member.name));
        let file = File::create(&log).map_err(|source| EtcdError::Data { path: log, source })?;
        let arguments = arguments(&self.layout, member, &self.directory);
        let failed = |source| EtcdError::Start { member: member.name.clone(), source: StartError::Process(source) };
        *slot = Some(Guarded::start(&self.binary, &arguments, file).map_err(failed)?);
        Ok(())
    }

    /// Waits until a member answers.
    pub(super) async fn wait(&mut self, number: usize) -> Result<(), EtcdError> {
        let (Some(member), Some(Some(process))) = (self.layout.members.get(number), self.running.get_mut(number))
        else {
            return Err(EtcdError::Member { member: number, reason: "it is not running" });
        };
        let log = self.directory.join(format!("{}.log", member.name));
        let mut wait = Wait::new(member.endpoint(), READY_WITHIN);
        loop {
            match process.exit() {
                Ok(None) => {}
                Ok(Some(_)) => return Err(exit_error(&member.name, &log)),
                Err(source) => {
                    return Err(EtcdError::Start { member: member.name.clone(), source: StartError::Process(source) });
                }
            }
            if wait.look().await? {
                return Ok(());
            }
        }
    }
}

/// The program that is meant by `config`, if it is there.
pub(super) async fn find_binary(config: &EtcdConfig) -> Result<PathBuf, EtcdError> {
    let binary = config.binary.clone().unwrap_or_else(|| PathBuf::from("etcd"));
    crate::doctor::find_program(&binary).await.ok_or(EtcdError::Binary { binary })
}

fn arguments(layout: &Layout, member: &Member, directory: &Path) -> Vec<String> {
    let peer_url = |member: &Member| format!("http://127.0.0.1:{}", member.peer_port);
    let mut arguments = common_arguments(layout, member);
    let own = [
        ("--data-dir", member.data(directory).display().to_string()),
        ("--listen-client-urls", member.endpoint()),
        ("--advertise-client-urls", member.endpoint()),
        ("--listen-peer-urls", peer_url(member)),
        ("--initial-advertise-peer-urls", peer_url(member)),
        ("--initial-cluster", layout.initial_cluster(peer_url)),
    ];
    arguments.extend(own.into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
    arguments
}

fn exit_error(member: &str, log: &Path) -> EtcdError {
    let text =
        fs::read(log).map_or_else(|error| error.to_string(), |bytes| String::from_utf8_lossy(&bytes).into_owned());
    if text.contains("address already in use") {
        return EtcdError::Port { member: member.to_owned() };
    }
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("(none)");
    EtcdError::Exited { member: member.to_owned(), log: last.trim().to_owned() }
}

/// A directory for etcd's data, open to its owner alone as etcd asks for.
pub(super) fn private_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

const PORT_ATTEMPTS: u32 = 5;
/// An etcd that recovers a large log takes longer than a new one, which is ready in a tenth of a second.
const READY_WITHIN: Duration = Duration::from_secs(20);
