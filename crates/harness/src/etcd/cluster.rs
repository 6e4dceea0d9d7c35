//! The etcd of a stack, whatever it runs on.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::config::{Backend, EtcdConfig, EtcdSource};
use super::containers::{self, Containers};
use super::error::EtcdError;
use super::health::{self, Wait};
use super::processes::{Processes, find_binary};
use crate::runtime::StackDir;
use crate::stack::Progress;

/// A running etcd. Dropping it ends what Kyanite started.
#[derive(Debug)]
pub struct Etcd {
    endpoints: Vec<String>,
    prefix: String,
    cluster: Cluster,
    stopped: BTreeSet<usize>,
}

#[derive(Debug)]
enum Cluster {
    Containers(Containers),
    Endpoints,
    Processes(Processes),
}

impl Etcd {
    /// Starts the etcd that `config` asks for, or looks at the one it names, and waits until it is healthy.
    ///
    /// # Errors
    ///
    /// [`EtcdError`]; nothing that was started is left behind then. [`EtcdError::Cancelled`] once `cancel` fires.
    pub async fn start(
        config: &EtcdConfig,
        stack: &StackDir,
        progress: &Progress,
        cancel: &CancellationToken,
    ) -> Result<Self, EtcdError> {
        let cluster = match &config.source {
            EtcdSource::Endpoints(endpoints) => {
                stop_at(cancel, look_at(endpoints, config)).await??;
                return Ok(Self {
                    endpoints: endpoints.clone(),
                    prefix: config.prefix.clone(),
                    cluster: Cluster::Endpoints,
                    stopped: BTreeSet::new(),
                });
            }
            EtcdSource::Container => containers(config, stack, progress, cancel).await?,
            EtcdSource::Process => processes(config, stack, progress, cancel).await?,
            EtcdSource::Auto => auto(config, stack, progress, cancel).await?,
        };
        let endpoints = match &cluster {
            Cluster::Containers(containers) => containers.endpoints(),
            Cluster::Processes(processes) => processes.endpoints(),
            Cluster::Endpoints => Vec::new(),
        };
        Ok(Self { endpoints, prefix: config.prefix.clone(), cluster, stopped: BTreeSet::new() })
    }

    /// One endpoint for each member, `http://host:port`.
    pub fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// What it runs on.
    pub fn backend(&self) -> Backend {
        match self.cluster {
            Cluster::Containers(_) => Backend::Container,
            Cluster::Endpoints => Backend::Endpoints,
            Cluster::Processes(_) => Backend::Process,
        }
    }

    /// The prefix under which the API server stores, without a slash at its end.
    pub fn prefix(&self) -> &str {
        self.prefix.trim_end_matches('/')
    }

    /// Whether a majority of the members is meant to run: false after members were stopped on purpose.
    pub fn has_majority(&self) -> bool {
        self.stopped.len() * 2 < self.endpoints.len()
    }

    /// Numbers of the members that were stopped on purpose.
    pub fn stopped(&self) -> impl Iterator<Item = usize> {
        self.stopped.iter().copied()
    }

    /// Stops member `number` (from 0) at once; its data stays. Returns once the others have a leader, if they are a
    /// majority.
    ///
    /// # Errors
    ///
    /// [`EtcdError::Member`] if there is no such member or Kyanite did not start it; [`EtcdError::NotReady`] if the
    /// others find no leader.
    pub async fn stop_member(&mut self, number: usize) -> Result<(), EtcdError> {
        match &mut self.cluster {
            Cluster::Containers(containers) => containers.stop_member(number).await,
            Cluster::Processes(processes) => processes.stop_member(number).await,
            Cluster::Endpoints => Err(not_ours(number)),
        }?;
        self.stopped.insert(number);
        if self.has_majority() {
            for (_, endpoint) in self.endpoints.iter().enumerate().filter(|(other, _)| !self.stopped.contains(other)) {
                Wait::new(endpoint.clone(), ELECTION_WITHIN).finish().await?;
            }
        }
        Ok(())
    }

    /// Starts member `number` (from 0) again, on its data. Returns once it answers, if a majority runs by now; else the
    /// member waits for others to be started.
    ///
    /// # Errors
    ///
    /// [`EtcdError::Member`] as for [`stop_member`](Self::stop_member), else why it does not start.
    pub async fn start_member(&mut self, number: usize) -> Result<(), EtcdError> {
        match &mut self.cluster {
            Cluster::Containers(containers) => containers.start_member(number).await?,
            Cluster::Processes(processes) => processes.start_member(number)?,
            Cluster::Endpoints => return Err(not_ours(number)),
        }
        self.stopped.remove(&number);
        if !self.has_majority() {
            return Ok(());
        }
        match &mut self.cluster {
            Cluster::Containers(containers) => containers.wait(number).await,
            Cluster::Processes(processes) => processes.wait(number).await,
            Cluster::Endpoints => Ok(()),
        }
    }

    /// Ends what Kyanite started. A user's own etcd is left as it is.
    pub async fn shutdown(mut self) {
        match &mut self.cluster {
            Cluster::Containers(containers) => containers.remove().await,
            Cluster::Processes(processes) => processes.stop_all().await,
            Cluster::Endpoints => {}
        }
    }
}

/// Returns once no member of a cluster has answered for a while, with what was seen last. `expected` is asked before
/// each look: while it says no (a member was stopped on purpose), nothing is counted.
pub async fn wait_until_lost(endpoints: &[String], expected: impl Fn() -> bool) -> String {
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut misses = 0;
    loop {
        looks.tick().await;
        let mut last = None;
        for endpoint in endpoints {
            match health::check(endpoint).await {
                Ok(()) => {
                    last = None;
                    break;
                }
                Err(error) => last = Some(format!("{endpoint}: {error}")),
            }
        }
        match last {
            Some(last) if expected() => {
                misses += 1;
                if misses == MISSES {
                    return last;
                }
            }
            _ => misses = 0,
        }
    }
}

fn not_ours(member: usize) -> EtcdError {
    EtcdError::Member { member, reason: "Kyanite did not start this etcd" }
}

async fn auto(
    config: &EtcdConfig,
    stack: &StackDir,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Cluster, EtcdError> {
    match containers(config, stack, progress, cancel).await {
        Err(EtcdError::Engine { .. }) => match processes(config, stack, progress, cancel).await {
            Err(EtcdError::Binary { .. }) if config.binary.is_none() => Err(EtcdError::None),
            outcome => outcome,
        },
        // An engine without access to an image, in a machine room or on a train, must not be the end of it; who named
        // an image wants that one.
        Err(EtcdError::Image { image, source }) if config.image.is_none() => {
            tracing::info!(image, error = %health::chain(&source), "no etcd image, trying a process");
            match processes(config, stack, progress, cancel).await {
                Err(EtcdError::Binary { .. }) => Err(EtcdError::Image { image, source }),
                outcome => outcome,
            }
        }
        outcome => outcome,
    }
}

async fn containers(
    config: &EtcdConfig,
    stack: &StackDir,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Cluster, EtcdError> {
    let docker = stop_at(cancel, containers::engine()).await?.map_err(|source| EtcdError::Engine { source })?;
    let named = config.image.as_deref();
    let (image, is_present) = containers::choose_image(&docker, named)
        .await
        .map_err(|source| EtcdError::Image { image: named.unwrap_or("by name").to_owned(), source })?;
    if !is_present {
        progress.pull_image(&image);
        let pulled = stop_at(cancel, containers::pull(&docker, &image)).await?;
        pulled.map_err(|source| EtcdError::Image { image: image.clone(), source })?;
    }
    containers::sweep(&docker, stack).await;
    progress.start_etcd(Backend::Container, config.members);
    // Not raced with `cancel`: a start that is dropped halfway could leave a container that nobody knows.
    let data = config.data_dir.clone();
    let mut started = Containers::start(docker, &image, config, stack, data).await?;
    if cancel.is_cancelled() {
        started.remove().await;
        return Err(EtcdError::Cancelled);
    }
    Ok(Cluster::Containers(started))
}

async fn processes(
    config: &EtcdConfig,
    stack: &StackDir,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Cluster, EtcdError> {
    let binary = find_binary(config).await?;
    progress.start_etcd(Backend::Process, config.members);
    let directory = config.data_dir.clone().unwrap_or_else(|| stack.path().join("etcd"));
    let started = Processes::start(config, binary, directory, cancel).await?;
    Ok(Cluster::Processes(started))
}

/// Checks a user's own etcd: each endpoint answers, and nothing stands where the stack would write.
async fn look_at(endpoints: &[String], config: &EtcdConfig) -> Result<(), EtcdError> {
    let not_ready =
        |endpoint: &str, last| EtcdError::NotReady { endpoint: endpoint.to_owned(), within: FOREIGN_WITHIN, last };
    for endpoint in endpoints {
        Wait::new(endpoint.clone(), FOREIGN_WITHIN).finish().await?;
    }
    let Some(first) = endpoints.first() else { return Ok(()) };
    let found = health::count_keys(endpoints, &config.prefix).await;
    let count = found.map_err(|error| not_ready(first, health::chain(&error)))?;
    if count > 0 && !config.adopt {
        return Err(EtcdError::PrefixInUse { endpoint: first.clone(), prefix: config.prefix.clone(), count });
    }
    Ok(())
}

async fn stop_at<T>(cancel: &CancellationToken, work: impl Future<Output = T>) -> Result<T, EtcdError> {
    cancel.run_until_cancelled(work).await.ok_or(EtcdError::Cancelled)
}

/// A user's etcd runs already: it answers soon or not at all.
const FOREIGN_WITHIN: Duration = Duration::from_secs(5);
/// A cluster of several elects a leader within half a second to one second, see `layout`.
const ELECTION_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// An election after the loss of a leader takes up to a second; a loss is reported after about two.
const MISSES: u32 = 4;
