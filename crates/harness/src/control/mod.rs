//! The control door of a running stack: what its own user does to it, never over an emulated protocol.
//!
//! An HTTP API on loopback, guarded by a bearer token in a file of mode 0600, and the client that the command line
//! uses. Inside a process the same things are methods of [`Stack`](crate::stack::Stack).

mod client;
mod server;
mod status;
mod wire;

pub use client::{ControlClient, ControlError};
// What the vault's faults and versions look like is the vault's own business; the door only passes it on.
pub use keyvault::{AuditRecord, Fault as VaultFault, FaultId, GridEvent, InjectedFault, KeyVersionInfo, RequestCount};
pub(crate) use server::serve;
pub use status::{
    ApiServerStatus, ClockStatus, EtcdStatus, GatewayStatus, KeyStatus, PluginStatus, Status, VaultStatus,
};
