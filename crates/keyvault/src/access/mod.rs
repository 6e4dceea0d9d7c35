//! Who may do what: role assignments (RBAC) or access policies, as a vault is set.
//!
//! <https://learn.microsoft.com/azure/key-vault/general/rbac-guide>,
//! <https://learn.microsoft.com/azure/key-vault/general/assign-access-policy>. Decides on plain values; the words of a
//! refusal are chosen at the edge, in `http`. Deny assignments, groups and custom roles are not emulated.

mod model;
mod permission;
mod policy;
mod role;
mod roster;

pub use model::AccessModel;
pub(crate) use model::{Denial, Grant, Question};
pub(crate) use permission::Need;
pub use policy::{AccessPolicy, KeyPermission, SecretPermission};
pub use role::{Role, UnknownRole};
pub(crate) use roster::Roster;
pub use roster::{AssignmentId, RoleAssignment, RoleScope};
