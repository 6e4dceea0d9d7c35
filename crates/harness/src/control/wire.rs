//! The bodies of the control door's requests and answers.

use jiff::Timestamp;
use keyvault::{AssignmentId, FaultId};
use serde::{Deserialize, Serialize};

/// `POST /clock/advance`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Advance {
    /// Seconds.
    pub(super) seconds: u64,
}

/// The answer to [`Advance`].
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Advanced {
    pub(super) now: Timestamp,
}

/// The answer to a fault that was injected.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Injected {
    pub(super) id: FaultId,
}

/// The answer to a change of who may call the vaults, from where and how often.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Applied {
    /// The role assignment that was made, if one was.
    pub(super) assignment: Option<AssignmentId>,
}

/// Every answer that is no success.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Refusal {
    /// What is wrong, in a sentence.
    pub(super) error: String,
    /// What to do next, if there is something to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) help: Option<String>,
}
