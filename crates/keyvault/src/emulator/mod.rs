//! The emulator as a whole: the handle everything else holds, and its vaults in service.

mod handle;
mod live_vault;
mod notices;

pub use handle::Emulator;
pub(crate) use live_vault::{LiveVault, ServiceError};
