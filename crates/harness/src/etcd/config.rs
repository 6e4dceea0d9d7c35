//! Which etcd a stack runs on.

use std::fmt;
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// Which etcd a stack runs on, and how large it is.
#[derive(Clone, Debug)]
pub struct EtcdConfig {
    /// Where it comes from.
    pub source: EtcdSource,
    /// Members of the cluster; counts only where Kyanite starts it. An even number is allowed, as etcd allows it.
    pub members: NonZeroU8,
    /// Image for containers; by default `kyanite/etcd:local` if the engine has it, else the etcd project's.
    pub image: Option<String>,
    /// Program for processes; by default `etcd` on the search path.
    pub binary: Option<PathBuf>,
    /// Directory that keeps the data from one start to the next; without it the data goes with the stack.
    pub data_dir: Option<PathBuf>,
    /// Everything of the API server is stored under this prefix, as kube-apiserver's `--etcd-prefix`.
    pub prefix: String,
    /// Whether keys that stand under the prefix already are taken over. Counts for the user's own endpoints; without
    /// it such a cluster is refused.
    pub adopt: bool,
}

impl Default for EtcdConfig {
    fn default() -> Self {
        Self {
            source: EtcdSource::Auto,
            members: NonZeroU8::MIN,
            image: None,
            binary: None,
            data_dir: None,
            prefix: DEFAULT_PREFIX.to_owned(),
            adopt: false,
        }
    }
}

/// Where etcd comes from, as `--etcd` names it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum EtcdSource {
    /// Containers if a Docker engine answers, else a process if there is a binary.
    #[default]
    Auto,
    /// Containers.
    Container,
    /// A cluster that runs already.
    Endpoints(Vec<String>),
    /// Child processes.
    Process,
}

impl FromStr for EtcdSource {
    type Err = EtcdSourceError;

    fn from_str(text: &str) -> Result<Self, EtcdSourceError> {
        match text {
            "auto" => Ok(Self::Auto),
            "container" => Ok(Self::Container),
            "process" => Ok(Self::Process),
            list => list
                .split(',')
                .map(|endpoint| endpoint_of(endpoint.trim()))
                .collect::<Result<_, _>>()
                .map(Self::Endpoints),
        }
    }
}

impl fmt::Display for EtcdSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Container => f.write_str("container"),
            Self::Endpoints(endpoints) => f.write_str(&endpoints.join(",")),
            Self::Process => f.write_str("process"),
        }
    }
}

/// The kind of etcd that a stack got.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Backend {
    /// Containers.
    Container,
    /// A cluster that ran already.
    Endpoints,
    /// Child processes.
    Process,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Container => "container",
            Self::Endpoints => "endpoints",
            Self::Process => "process",
        })
    }
}

/// What is wrong with a text that should name an etcd.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum EtcdSourceError {
    /// Neither a word that is known nor an endpoint.
    #[error("`{text}` is none of auto, container, process, or endpoints like http://127.0.0.1:2379,...")]
    Unknown {
        /// The text.
        text: String,
    },
    /// etcd behind TLS.
    #[error("`{text}`: Kyanite speaks to etcd in plain HTTP only, on a network that you trust")]
    Tls {
        /// The endpoint.
        text: String,
    },
}

fn endpoint_of(text: &str) -> Result<String, EtcdSourceError> {
    if text.starts_with("https://") {
        return Err(EtcdSourceError::Tls { text: text.to_owned() });
    }
    let unknown = || EtcdSourceError::Unknown { text: text.to_owned() };
    let authority = text.strip_prefix("http://").ok_or_else(unknown)?.trim_end_matches('/');
    let (host, port) = authority.rsplit_once(':').ok_or_else(unknown)?;
    let port_is_valid = port.parse::<u16>().is_ok_and(|port| port != 0);
    if host.is_empty() || host.contains(['/', '@', ' ']) || !port_is_valid {
        return Err(unknown());
    }
    Ok(format!("http://{authority}"))
}

/// What `docker/etcd/build` makes, for machines that can pull no image.
pub(super) const LOCAL_IMAGE: &str = "kyanite/etcd:local";

/// The image of the etcd project, of the minor version that AKS runs.
pub(super) const OFFICIAL_IMAGE: &str = "gcr.io/etcd-development/etcd:v3.5.21";

/// kube-apiserver's default for `--etcd-prefix`.
const DEFAULT_PREFIX: &str = "/registry";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_as_the_option_writes_them() {
        assert_eq!("auto".parse(), Ok(EtcdSource::Auto));
        assert_eq!("process".parse(), Ok(EtcdSource::Process));
        let two = EtcdSource::Endpoints(vec!["http://a:2379".to_owned(), "http://[::1]:2380".to_owned()]);
        assert_eq!("http://a:2379/, http://[::1]:2380".parse(), Ok(two));
    }

    #[test]
    fn what_names_no_etcd_is_refused() {
        for text in [
            "",
            "docker",
            "http://",
            "http://a",
            "http://:2379",
            "http://a:0",
            "http://a:99999",
            "a:2379",
            "http://a:1,,",
        ] {
            assert!(matches!(text.parse::<EtcdSource>(), Err(EtcdSourceError::Unknown { .. })), "{text}");
        }
        assert!(matches!("https://a:2379".parse::<EtcdSource>(), Err(EtcdSourceError::Tls { .. })));
    }
}
