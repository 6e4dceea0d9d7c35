//! The parts of a stack that can be stopped and started alone, and the tasks they run as.

use std::fmt;
use std::future::Future;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A part of a stack that can be stopped and started alone.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Part {
    /// The API server.
    ApiServer,
    /// A member of etcd, by number from 0.
    Etcd(usize),
    /// The gateway.
    Gateway,
    /// The KMS plugin.
    Plugin,
    /// The vault, with the token endpoints.
    Vault,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApiServer => f.write_str("apiserver"),
            Self::Etcd(member) => write!(f, "etcd-{member}"),
            Self::Gateway => f.write_str("gateway"),
            Self::Plugin => f.write_str("plugin"),
            Self::Vault => f.write_str("vault"),
        }
    }
}

impl FromStr for Part {
    type Err = UnknownPart;

    fn from_str(text: &str) -> Result<Self, UnknownPart> {
        match text {
            "apiserver" => Ok(Self::ApiServer),
            "gateway" => Ok(Self::Gateway),
            "plugin" => Ok(Self::Plugin),
            "vault" => Ok(Self::Vault),
            "etcd" => Ok(Self::Etcd(0)),
            other => match other.strip_prefix("etcd-").map(str::parse) {
                Some(Ok(member)) => Ok(Self::Etcd(member)),
                _ => Err(UnknownPart { text: text.to_owned() }),
            },
        }
    }
}

impl TryFrom<String> for Part {
    type Error = UnknownPart;

    fn try_from(text: String) -> Result<Self, UnknownPart> {
        text.parse()
    }
}

impl From<Part> for String {
    fn from(part: Part) -> Self {
        part.to_string()
    }
}

/// A text that names no part.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("`{text}` is no part of a stack: apiserver, gateway, plugin, vault, etcd-0, ...")]
pub struct UnknownPart {
    text: String,
}

/// The tasks of a running part. Dropping it ends them at once.
#[derive(Debug)]
pub(crate) struct Tasks {
    part: Part,
    alarms: Alarms,
    shutdown: CancellationToken,
    handles: Vec<JoinHandle<()>>,
}

/// Where a part is reported that ended though nobody asked it to.
pub(crate) type Alarms = UnboundedSender<Part>;

impl Tasks {
    pub(crate) fn new(part: Part, alarms: &Alarms) -> Self {
        Self { part, alarms: alarms.clone(), shutdown: CancellationToken::new(), handles: Vec::new() }
    }

    /// What a server of this part is told its end by.
    pub(crate) fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    pub(crate) fn spawn(&mut self, server: impl Future<Output = ()> + Send + 'static) {
        let alarm = Alarm { part: self.part, alarms: self.alarms.clone(), shutdown: self.shutdown() };
        self.handles.push(tokio::spawn(async move {
            let _alarm = alarm;
            server.await;
        }));
    }

    /// Ends the part and waits until its sockets are free.
    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        for task in &mut self.handles {
            if timeout(GRACE, &mut *task).await.is_err() {
                tracing::warn!(part = %self.part, "does not end by itself and is ended");
                task.abort();
                // An aborted task ends at its next await; its listener is closed by then.
                let _ = task.await;
            }
        }
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.shutdown.cancel();
        self.handles.iter().for_each(JoinHandle::abort);
    }
}

/// Goes off when a server ends, by a return or a panic, before it was asked to.
struct Alarm {
    part: Part,
    alarms: Alarms,
    shutdown: CancellationToken,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if !self.shutdown.is_cancelled() {
            // Nobody listens while the stack is taken apart.
            let _ = self.alarms.send(self.part);
        }
    }
}

/// A request that is being served gets this long to its end, on real time.
const GRACE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[test]
    fn parts_are_read_as_they_are_written() {
        for part in [Part::ApiServer, Part::Etcd(2), Part::Gateway, Part::Plugin, Part::Vault] {
            assert_eq!(part.to_string().parse(), Ok(part));
        }
        assert_eq!("etcd".parse(), Ok(Part::Etcd(0)));
        assert!("etcd-x".parse::<Part>().is_err());
        assert!("scheduler".parse::<Part>().is_err());
    }

    #[tokio::test]
    async fn a_part_that_does_not_end_is_ended() {
        let (alarms, mut alarmed) = mpsc::unbounded_channel();
        let mut tasks = Tasks::new(Part::Plugin, &alarms);
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        tasks.spawn(async move {
            let _kept = sender;
            std::future::pending::<()>().await;
        });
        timeout(2 * GRACE, tasks.stop()).await.unwrap();
        assert!(receiver.await.is_err(), "the task's values are dropped");
        assert!(alarmed.try_recv().is_err(), "an end that was asked for is no alarm");
    }

    #[tokio::test]
    async fn a_part_that_ends_by_itself_is_an_alarm() {
        let (alarms, mut alarmed) = mpsc::unbounded_channel();
        let mut tasks = Tasks::new(Part::Plugin, &alarms);
        tasks.spawn(async {});
        assert_eq!(alarmed.recv().await, Some(Part::Plugin));
    }
}
