//! From where a vault may be reached: network rules, private endpoints, and the places that callers stand in.
//!
//! <https://learn.microsoft.com/azure/key-vault/general/network-security>,
//! <https://learn.microsoft.com/azure/key-vault/general/private-link-service>. The rules concern the data plane only. As on
//! Azure a refusal is an HTTP 403 after the token was read, not a connection that fails.

mod place;
mod rules;

pub use place::Place;
pub use rules::{Bypass, DefaultAction, IpRule, IpRuleError, NetworkRules, PublicAccess};
pub(crate) use rules::{Path, Refusal};
