//! Why something cannot be inspected.

use thiserror::Error;

use crate::story::scenario::FailureClass;
use crate::story::wire::{Refusal, WireError};

/// Why something cannot be inspected.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InspectError {
    /// etcd has no such Secret.
    #[error("find the Secret {namespace}/{name} in etcd")]
    NoSecret {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// A part of the stack does not do what it was asked.
    #[error("ask the {part}: {reason}")]
    Refused {
        /// The part.
        part: &'static str,
        /// What it says.
        reason: String,
    },
    /// No key version has this id.
    #[error("find a key version or key id that starts with `{id}`; the vault has {known}")]
    UnknownVersion {
        /// What was asked for.
        id: String,
        /// The known versions.
        known: String,
    },
    /// A part of the stack cannot be reached.
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl InspectError {
    pub(super) fn refused(part: &'static str, refusal: &Refusal) -> Self {
        Self::Refused { part, reason: refusal.to_string() }
    }

    pub(super) fn of_read(namespace: &str, name: &str, refusal: &Refusal) -> Self {
        if refusal.class == FailureClass::NotFound {
            Self::NoSecret { namespace: namespace.to_owned(), name: name.to_owned() }
        } else {
            Self::refused("etcd", refusal)
        }
    }
}
