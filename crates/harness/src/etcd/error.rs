//! Why there is no etcd.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use testcontainers::TestcontainersError;
use testcontainers::bollard;
use thiserror::Error;

/// Why there is no etcd to run a stack on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EtcdError {
    /// The program that was named, or `etcd`, is not there.
    #[error("find the etcd program `{}`", binary.display())]
    Binary {
        /// The program.
        binary: PathBuf,
    },
    /// The start was called off.
    #[error("start etcd: it was called off")]
    Cancelled,
    /// The directory for its data cannot be used.
    #[error("use the etcd data directory {}", path.display())]
    Data {
        /// The directory or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The data was made by a cluster of another size.
    #[error("use the etcd data in {}: it belongs to a cluster of {stored} members, not {wanted}", path.display())]
    DataMembers {
        /// The directory.
        path: PathBuf,
        /// Members of the cluster that made it.
        stored: usize,
        /// Members that were asked for.
        wanted: usize,
    },
    /// The data was made by the other backend.
    #[error("use the etcd data in {}: it was made by `--etcd {stored}`", path.display())]
    DataBackend {
        /// The directory.
        path: PathBuf,
        /// The backend that made it.
        stored: &'static str,
    },
    /// The Docker engine does not answer.
    #[error("reach a Docker engine")]
    Engine {
        /// Why.
        #[source]
        source: EngineError,
    },
    /// A member ended by itself.
    #[error("start etcd member {member}: it ended at once; its last words: {log}")]
    Exited {
        /// Name of the member.
        member: String,
        /// The end of its log.
        log: String,
    },
    /// The image cannot be had.
    #[error("get the etcd image {image}")]
    Image {
        /// Name of the image.
        image: String,
        /// Why.
        source: bollard::errors::Error,
    },
    /// Neither a Docker engine nor an etcd program.
    #[error("find an etcd: no Docker engine answers, and there is no `etcd` on the search path")]
    None,
    /// Nothing, or nothing healthy, answers.
    #[error("reach etcd at {endpoint} within {} s: {last}", within.as_secs())]
    NotReady {
        /// The endpoint.
        endpoint: String,
        /// How long it was waited for.
        within: Duration,
        /// The last thing that was seen.
        last: String,
    },
    /// Every port that was tried was taken in the meantime.
    #[error("find a free port for etcd member {member}")]
    Port {
        /// Name of the member.
        member: String,
    },
    /// The user's etcd holds keys already.
    #[error("use etcd at {endpoint}: there are {count} keys under `{prefix}` already")]
    PrefixInUse {
        /// The first endpoint.
        endpoint: String,
        /// The prefix.
        prefix: String,
        /// How many keys stand under it.
        count: i64,
    },
    /// A member's program or container cannot be started.
    #[error("start etcd member {member}")]
    Start {
        /// Name of the member.
        member: String,
        /// Why.
        #[source]
        source: StartError,
    },
    /// No member of this number, or not one that Kyanite started.
    #[error("find etcd member {member}: {reason}")]
    Member {
        /// Number of the member, from 0.
        member: usize,
        /// Why there is none.
        reason: &'static str,
    },
}

/// Why a member cannot be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The container.
    #[error("run the container")]
    Container(#[source] TestcontainersError),
    /// The process.
    #[error("run the process")]
    Process(#[source] io::Error),
}

/// Why a Docker engine cannot be spoken to.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EngineError {
    /// It refuses or fails.
    #[error("ask it")]
    Api(#[source] bollard::errors::Error),
    /// Its address cannot be made out.
    #[error("find its address")]
    Client(#[source] testcontainers::core::error::ClientError),
    /// It is silent.
    #[error("it does not answer within {} s", .0.as_secs())]
    Silent(Duration),
}

impl EtcdError {
    /// What to do next, a line or more, where there is something to do.
    pub fn help(&self) -> Option<String> {
        let text = match self {
            Self::None => {
                "install etcd (Debian, Ubuntu: apt-get install etcd-server; macOS: brew install etcd), \
                 or start a Docker engine (Debian, Ubuntu: apt-get install docker.io), \
                 or name a running one with --etcd http://HOST:2379"
            }
            Self::Binary { .. } => {
                "install it (Debian, Ubuntu: apt-get install etcd-server; macOS: brew install etcd) or name it with --etcd-binary"
            }
            Self::Engine { .. } => "start a Docker engine, or take --etcd process",
            Self::Image { .. } => {
                "build one with docker/etcd/build, name another with --etcd-image, or take --etcd process"
            }
            Self::PrefixInUse { .. } => {
                "choose another prefix with --etcd-prefix, or take the keys over with --adopt; Kyanite deletes nothing of yours"
            }
            Self::DataMembers { .. } | Self::DataBackend { .. } => {
                "use the options that it was made with, or another --data-dir"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }
}
