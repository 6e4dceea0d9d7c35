//! What is written down: the diagnostics log's `AuditEvent` records, and Event Grid's events.
//!
//! <https://learn.microsoft.com/azure/key-vault/general/logging>,
//! <https://learn.microsoft.com/azure/event-grid/event-schema-key-vault>. Both go to a file of JSON lines, if there is one, and
//! to the control door. They hold names, ids and addresses, and no values, tokens or key material.

mod event;
mod expiry;
mod log;
mod record;

pub use event::{EventData, GridEvent};
pub(crate) use event::{EventKind, Topic};
pub(crate) use expiry::{ExpiryWatch, ObjectLife};
pub(crate) use log::Log;
pub use record::{AuditClaim, AuditIdentity, AuditProperties, AuditRecord};
