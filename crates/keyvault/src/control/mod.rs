//! The control door: what a test, a scenario or the harness does to an emulator and sees of it.

mod command;
mod handle;

pub use command::{ControlCommand, ControlError};
pub use handle::{Control, KeyInfo, KeyVersionInfo, VaultInfo};
