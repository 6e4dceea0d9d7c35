//! How often a vault may be called: the service limits, in windows of ten seconds on the stack's clock.
//!
//! <https://learn.microsoft.com/azure/key-vault/general/service-limits>,
//! <https://learn.microsoft.com/azure/key-vault/general/overview-throttling>. Off until switched on.

mod transaction;
mod window;

pub(crate) use transaction::{Material, Transaction};
pub use window::Limits;
pub(crate) use window::{Throttle, Throttled};
