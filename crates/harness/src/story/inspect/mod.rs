//! A look at what is stored: every byte named, every key id traced to the key version it stands for.
//!
//! [`Inspection`] is one value, [`KeyUse`] all of them by key version. Both are data first (`--output json`), text
//! second. A stored value is opened by asking the vault for its seed, past plugin and API server: what is shown then is
//! what anybody can read who holds etcd and the key.

mod dump;
mod error;
mod keys;
mod open;
mod part;
#[cfg(test)]
mod tests;
mod text;
mod value;

pub use error::InspectError;
pub use keys::{KeyUse, StrangerUse, VersionUse};
pub use part::PartView;
pub(crate) use text::table;
pub use value::{Inspection, KeyTrace, Opened, Sealing};
