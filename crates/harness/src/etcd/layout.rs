//! What of a cluster must stay the same from one start to the next: names, peer addresses, size.
//!
//! etcd keeps its members' peer addresses in its data; a member that comes back elsewhere is not found by the others.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::config::EtcdConfig;
use super::error::EtcdError;
use crate::runtime::write_public;

/// A cluster as it is laid out over ports and directories.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Layout {
    /// Names the cluster: its containers, its network, its initial token.
    pub(super) cluster: String,
    /// The backend that it was made by; data of one does not fit the other's peer addresses and owners.
    backend: StoredBackend,
    pub(super) members: Vec<Member>,
}

/// A member and its fixed places.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Member {
    pub(super) name: String,
    /// Port on this machine's loopback for clients.
    pub(super) client_port: u16,
    /// Port on this machine's loopback for peers; containers talk on a network of their own.
    pub(super) peer_port: u16,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum StoredBackend {
    Container,
    Process,
}

impl Layout {
    /// The layout that `directory` holds from an earlier start, else a new one on ports that are free now.
    pub(super) fn load_or_new(
        config: &EtcdConfig,
        backend: StoredBackend,
        directory: &Path,
    ) -> Result<Self, EtcdError> {
        let failed = |source| EtcdError::Data { path: directory.to_owned(), source };
        fs::create_dir_all(directory).map_err(failed)?;
        let wanted = usize::from(config.members.get());
        let stored = match fs::read(directory.join(LAYOUT)) {
            Ok(bytes) => serde_json::from_slice::<Self>(&bytes).map_err(|error| failed(error.into()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::new(wanted, backend).map_err(failed),
            Err(error) => return Err(failed(error)),
        };
        if stored.backend != backend {
            let stored = match stored.backend {
                StoredBackend::Container => "container",
                StoredBackend::Process => "process",
            };
            return Err(EtcdError::DataBackend { path: directory.to_owned(), stored });
        }
        if stored.members.len() != wanted {
            let stored = stored.members.len();
            return Err(EtcdError::DataMembers { path: directory.to_owned(), stored, wanted });
        }
        Ok(stored)
    }

    fn new(members: usize, backend: StoredBackend) -> io::Result<Self> {
        let cluster = format!("kyanite-{}", Uuid::new_v4().simple());
        let members = (0..members).map(Member::new).collect::<io::Result<_>>()?;
        Ok(Self { cluster, backend, members })
    }

    /// Stores the layout beside the data it belongs to.
    pub(super) fn save(&self, directory: &Path) -> Result<(), EtcdError> {
        let path = directory.join(LAYOUT);
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::from);
        text.and_then(|text| write_public(&path, &text)).map_err(|source| EtcdError::Data { path, source })
    }

    /// The value of `--initial-cluster`, with each member's peer address.
    pub(super) fn initial_cluster(&self, peer_url: impl Fn(&Member) -> String) -> String {
        let members: Vec<_> =
            self.members.iter().map(|member| format!("{}={}", member.name, peer_url(member))).collect();
        members.join(",")
    }

    pub(super) fn endpoints(&self) -> Vec<String> {
        self.members.iter().map(Member::endpoint).collect()
    }
}

impl Member {
    fn new(number: usize) -> io::Result<Self> {
        Ok(Self { name: format!("m{number}"), client_port: free_port()?, peer_port: free_port()? })
    }

    /// Other ports, after one turned out to be taken.
    pub(super) fn move_to_free_ports(&mut self) -> io::Result<()> {
        self.client_port = free_port()?;
        self.peer_port = free_port()?;
        Ok(())
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.client_port)
    }

    /// Where a member keeps its data below the cluster's directory.
    pub(super) fn data(&self, directory: &Path) -> PathBuf {
        directory.join(&self.name)
    }
}

/// Options of etcd that hold for every member.
///
/// A heartbeat of 10 ms on one machine makes a single member its own leader within 100 ms of its start instead of up
/// to a second; between several members it leaves room for a busy machine. Nothing here makes writes less durable:
/// a start measured with and without syncing to disk took the same time.
pub(super) fn common_arguments(layout: &Layout, member: &Member) -> Vec<String> {
    let (heartbeat, election) = if layout.members.len() == 1 { ("10", "100") } else { ("50", "500") };
    [
        ("--name", member.name.as_str()),
        ("--initial-cluster-token", &layout.cluster),
        ("--initial-cluster-state", "new"),
        ("--heartbeat-interval", heartbeat),
        ("--election-timeout", election),
        ("--logger", "zap"),
        ("--log-level", "warn"),
    ]
    .iter()
    .flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()])
    .collect()
}

/// A port that is free now. etcd cannot be handed a socket nor tell which port it chose, so another process may take
/// the port in between: the starter looks for that and tries again.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

const LAYOUT: &str = "cluster.json";

#[cfg(test)]
mod tests {
    use std::num::NonZeroU8;

    use super::*;

    fn config(members: u8) -> EtcdConfig {
        EtcdConfig { members: NonZeroU8::new(members).unwrap(), ..EtcdConfig::default() }
    }

    #[test]
    fn a_stored_layout_comes_back_and_misfits_are_refused() {
        let temp = tempfile::tempdir().unwrap();
        let first = Layout::load_or_new(&config(3), StoredBackend::Process, temp.path()).unwrap();
        first.save(temp.path()).unwrap();
        let second = Layout::load_or_new(&config(3), StoredBackend::Process, temp.path()).unwrap();
        assert_eq!(first.endpoints(), second.endpoints());
        assert_eq!(first.cluster, second.cluster);

        let error = Layout::load_or_new(&config(1), StoredBackend::Process, temp.path()).unwrap_err();
        assert!(matches!(error, EtcdError::DataMembers { stored: 3, wanted: 1, .. }), "{error}");
        let error = Layout::load_or_new(&config(3), StoredBackend::Container, temp.path()).unwrap_err();
        assert!(matches!(error, EtcdError::DataBackend { stored: "process", .. }), "{error}");
        fs::write(temp.path().join(LAYOUT), "{").unwrap();
        let error = Layout::load_or_new(&config(3), StoredBackend::Process, temp.path()).unwrap_err();
        assert!(matches!(error, EtcdError::Data { .. }), "{error}");
    }
}
