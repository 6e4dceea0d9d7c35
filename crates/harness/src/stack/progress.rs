//! What a stack reports while it starts, so that somebody who waits sees for what.

use std::fmt;
use std::num::NonZeroU8;
use std::sync::Arc;

use crate::etcd::Backend;

/// Where a start reports its steps. Clones report to the same receiver.
#[derive(Clone)]
pub struct Progress {
    report: Arc<dyn Fn(Step) + Send + Sync>,
}

/// A step of a start that may take a while. Several run at once.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// An image is pulled from its registry.
    PullImage {
        /// Its name.
        image: String,
    },
    /// The API server starts.
    StartApiServer,
    /// etcd starts.
    StartEtcd {
        /// What it runs on.
        backend: Backend,
        /// How many members.
        members: NonZeroU8,
    },
    /// The KMS plugin starts.
    StartPlugin,
    /// The vault starts, and its key is made.
    StartVault,
}

impl Progress {
    /// Hands each step to `report`, which must not block.
    pub fn new(report: impl Fn(Step) + Send + Sync + 'static) -> Self {
        Self { report: Arc::new(report) }
    }

    /// Tells nobody.
    pub fn silent() -> Self {
        Self::new(|_| ())
    }

    pub(crate) fn step(&self, step: Step) {
        (self.report)(step);
    }

    pub(crate) fn pull_image(&self, image: &str) {
        self.step(Step::PullImage { image: image.to_owned() });
    }

    pub(crate) fn start_etcd(&self, backend: Backend, members: NonZeroU8) {
        self.step(Step::StartEtcd { backend, members });
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").finish_non_exhaustive()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PullImage { image } => write!(f, "pulling {image}"),
            Self::StartApiServer => f.write_str("starting the API server"),
            Self::StartEtcd { backend, members } if members.get() == 1 => write!(f, "starting etcd ({backend})"),
            Self::StartEtcd { backend, members } => write!(f, "starting {members} members of etcd ({backend})"),
            Self::StartPlugin => f.write_str("starting the KMS plugin"),
            Self::StartVault => f.write_str("starting the vault and making its key"),
        }
    }
}
