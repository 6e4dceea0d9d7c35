//! The emulated protocols on the wire: from a request to a typed command and back to Azure's JSON.
//!
//! Imitates Key Vault's REST API, <https://learn.microsoft.com/rest/api/keyvault/>, api-versions 2016-10-01 to the newest
//! dated ones. Texts that no document states are in `assumed`, and nowhere else.

mod api_error;
mod api_version;
mod assumed;
mod base64url;
mod body;
mod dispatch;
mod forbidden;
mod host;
mod inbound;
mod keys;
mod page;
mod plant;
mod reply;
mod route;
mod secrets;
mod trace;
mod vault_call;
mod view;

pub(crate) use dispatch::{Door, answer};
pub(crate) use inbound::{BodyError, Inbound};
pub(crate) use plant::plant;
pub(crate) use reply::{Reply, panicked};
