//! The decision: may this principal do this, here, now?

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::access::permission::Need;
use crate::access::policy::AccessPolicy;
use crate::access::roster::{AssignmentId, Roster};
use crate::vault::{ObjectKind, VaultName};

/// How a vault decides who may do what. On Azure a vault has one of the last two.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessModel {
    /// Every declared principal may do everything.
    ///
    /// `Differs:` there is no such model on Azure; it is what a stack starts with, so that nothing has to be granted.
    #[default]
    Open,
    /// By the policies of the vault.
    Policies(Vec<AccessPolicy>),
    /// By role assignments.
    Rbac,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    /// The caller's object id; `None`: it is no declared principal.
    pub(crate) principal_id: Option<Uuid>,
    pub(crate) need: Need,
    pub(crate) vault: &'a VaultName,
    /// The object in the vault, if it is about one.
    pub(crate) object: Option<(ObjectKind, &'a str)>,
    pub(crate) now: Timestamp,
}

/// Why a caller may.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Grant {
    Assignment(AssignmentId),
    Open,
    Policy,
}

/// Why a caller may not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Denial {
    /// No policy names the caller.
    NoPolicy,
    /// No role assignment allows it.
    NoRole,
    /// The caller's policy does not permit it.
    NotPermitted,
}

impl AccessModel {
    pub(crate) fn is_rbac(&self) -> bool {
        *self == Self::Rbac
    }

    /// Decides.
    ///
    /// # Errors
    ///
    /// [`Denial`] by cause.
    pub(crate) fn decide(&self, roster: &Roster, question: &Question<'_>) -> Result<Grant, Denial> {
        match self {
            Self::Open => question.principal_id.map(|_| Grant::Open).ok_or(Denial::NoRole),
            Self::Policies(policies) => {
                let mine = |policy: &&AccessPolicy| Some(policy.object_id) == question.principal_id;
                let mut mine = policies.iter().filter(mine).peekable();
                if mine.peek().is_none() {
                    return Err(Denial::NoPolicy);
                }
                let permitted = mine.any(|policy| policy.allows(question.need.permission));
                if permitted { Ok(Grant::Policy) } else { Err(Denial::NotPermitted) }
            }
            Self::Rbac => {
                let Question { principal_id, need, vault, object, now } = *question;
                let found = principal_id.and_then(|id| roster.find(id, need.data_action, vault, object, now));
                found.map(Grant::Assignment).ok_or(Denial::NoRole)
            }
        }
    }
}
