//! State that outlives the process: one redb file in the data directory.
//!
//! A change is on disk before its caller is answered; redb's commits are atomic and synced, so a crash at any moment
//! leaves the state before or after a change. Keys and secrets lie in the file unencrypted: this is an emulator
//! and protects nothing; the file's mode is 0600.

mod backup;
mod record;
mod store;

pub(crate) use backup::{open_key, open_secret, seal_key, seal_secret};
pub use store::OpenError;
pub(crate) use store::{Store, StoreError};
