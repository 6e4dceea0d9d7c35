//! What went through a gateway, for the control door.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::routes::Destination;

/// A handle on the counters of one gateway listener. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    hosts: Arc<Mutex<BTreeMap<Destination, Counts>>>,
}

impl Counters {
    /// Everything counted so far, in the order of host and port.
    ///
    /// Clients choose the names, so only the first thousand are told apart; the rest are counted together under the
    /// host `(others)` and port 0.
    pub fn snapshot(&self) -> Vec<Traffic> {
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts
            .iter()
            .map(|(destination, counts)| Traffic {
                host: destination.host.clone(),
                port: destination.port,
                joined: counts.joined,
                refused: counts.refused,
                unreachable: counts.unreachable,
            })
            .collect()
    }

    pub(crate) fn joined(&self, destination: &Destination) {
        self.count(destination, |counts| &mut counts.joined);
    }

    pub(crate) fn refused(&self, destination: &Destination) {
        self.count(destination, |counts| &mut counts.refused);
    }

    pub(crate) fn unreachable(&self, destination: &Destination) {
        self.count(destination, |counts| &mut counts.unreachable);
    }

    fn count(&self, destination: &Destination, which: impl FnOnce(&mut Counts) -> &mut u64) {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = if hosts.len() < MAX_HOSTS || hosts.contains_key(destination) {
            hosts.entry(destination.clone()).or_default()
        } else {
            hosts.entry(Destination { host: "(others)".to_owned(), port: 0 }).or_default()
        };
        let counter = which(counts);
        *counter = counter.saturating_add(1);
    }
}

/// What one name was asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Traffic {
    /// The name, in lower case.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Tunnels joined and requests passed on.
    pub joined: u64,
    /// Times it was refused because the gateway does not answer for it.
    pub refused: u64,
    /// Times the emulator behind it could not be reached.
    pub unreachable: u64,
}

#[derive(Debug, Default)]
struct Counts {
    joined: u64,
    refused: u64,
    unreachable: u64,
}

/// How many names are told apart, so that a client cannot fill the memory.
const MAX_HOSTS: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_nothing_goes_uncounted() {
        let counters = Counters::default();
        for number in 0..3000_u32 {
            counters.refused(&Destination::new(&format!("host{number}"), 443));
        }
        let snapshot = counters.snapshot();
        assert_eq!(snapshot.len(), MAX_HOSTS + 1);
        assert_eq!(snapshot.iter().map(|traffic| traffic.refused).sum::<u64>(), 3000);
        assert_eq!(snapshot[0].host, "(others)");
        assert_eq!(snapshot[0].refused, 2000);
    }
}
