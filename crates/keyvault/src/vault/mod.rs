//! The Key Vault of this crate as a pure state machine: names, RSA keys, their versions and their life cycle.
//!
//! No HTTP, no socket, no tokio and no clock: every operation that depends on time is handed `now`, and key material and
//! version ids come in from outside. An operation that changes something answers with a [`Change`]; the caller makes it
//! durable and then applies it.
//!
//! Imitates the keys part of the data-plane contract, Azure/azure-rest-api-specs
//! `specification/keyvault/data-plane/Keys/{main,models,routes}.tsp`, and
//! <https://learn.microsoft.com/azure/key-vault/keys/about-keys-details>.

mod error;
mod key;
mod keyring;
mod name;
mod recovery;
mod rsa;

#[cfg(test)]
mod model;

pub(crate) use error::VaultError;
pub(crate) use key::{Attributes, Deletion, Key, KeyOperation, KeyVersion, NewVersion, Patch, Tags};
pub(crate) use keyring::{Change, Keyring};
pub(crate) use name::{KeyName, VersionId};
pub use name::{NameError, VaultName};
pub use recovery::{RecoveryPolicy, RetentionError};
pub(crate) use rsa::{Algorithm, CryptoError, RsaKey, RsaSize};
