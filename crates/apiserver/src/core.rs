//! What every request of one server shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clock::Clock;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::auth::Authenticator;
use crate::encryption::Encryption;
use crate::metrics::Metrics;
use crate::store::Store;

/// The parts of a server.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) store: Arc<Store>,
    pub(crate) encryption: Arc<Encryption>,
    pub(crate) clock: Clock,
    pub(crate) authenticator: Authenticator,
    pub(crate) metrics: Metrics,
    pub(crate) tally: Tally,
    pub(crate) terminations: Terminations,
    /// Ends watches and background tasks.
    pub(crate) shutdown: CancellationToken,
    pub(crate) request_timeout: Duration,
    pub(crate) git_version: String,
}

/// Counts for the control door.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) requests: AtomicU64,
    pub(crate) server_errors: AtomicU64,
    pub(crate) watches: AtomicU64,
}

impl Tally {
    pub(crate) fn read(&self) -> Counters {
        Counters {
            requests: self.requests.load(Ordering::Relaxed),
            server_errors: self.server_errors.load(Ordering::Relaxed),
            watches: self.watches.load(Ordering::Relaxed),
        }
    }
}

/// What a server has done since it started.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Requests that were answered.
    pub requests: u64,
    /// Answers with a code of 500 or above.
    pub server_errors: u64,
    /// Watches that were begun.
    pub watches: u64,
}

/// Where the names of namespaces go that have to be emptied.
#[derive(Debug)]
pub(crate) struct Terminations(mpsc::UnboundedSender<String>);

impl Terminations {
    /// The place, and the end at which [`crate::namespaces::empty_terminating`] takes the names.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<String>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Has a namespace emptied.
    pub(crate) fn ask(&self, name: &str) {
        // Nobody listens only when the server ends; the next one finds the namespace by its mark.
        let _ = self.0.send(name.to_owned());
    }
}
