//! The Key Vault of this crate as a pure state machine: names, keys and secrets, their versions and their life cycle.
//!
//! No HTTP, no socket, no tokio and no clock: every operation that depends on time is handed `now`, and key material and
//! version ids come in from outside. An operation that changes something answers with a [`Change`]; the caller makes it
//! durable and then applies it.
//!
//! Imitates the keys and secrets parts of the data-plane contract, Azure/azure-rest-api-specs
//! `specification/keyvault/data-plane/{Keys,Secrets}/{main,models,routes}.tsp`, and
//! <https://learn.microsoft.com/azure/key-vault/keys/about-keys-details>.

mod backup_key;
mod contents;
mod error;
mod key;
mod material;
mod name;
mod object;
mod recovery;
mod rotation_policy;
mod secret;
mod shelf;
mod sku;

#[cfg(test)]
mod model;

pub(crate) use backup_key::BackupKey;
pub(crate) use contents::{Contents, ContentsChange};
pub(crate) use error::VaultError;
pub(crate) use key::{Key, KeyOperation, KeyVersion, Keyring, NewVersion, Patch, ReleasePolicy};
pub(crate) use material::{
    AesSize, CryptoError, Curve, EcKey, EncryptionAlgorithm, KeyMaterial, KeyShape, KeyType, OctKey, Opening,
    RsaComponents, RsaKey, RsaSize, SignatureAlgorithm,
};
pub use name::{NameError, VaultName};
pub(crate) use name::{ObjectName, VersionId};
pub(crate) use object::{Attributes, Deletion, Object, ObjectKind, Tags, Validity, Version};
pub use recovery::{RecoveryPolicy, RetentionError};
pub(crate) use rotation_policy::{
    CalendarDuration, LifetimeAction, LifetimeActionKind, RotationPolicy, RotationPolicyProblem, Trigger,
};
pub(crate) use secret::{NewSecret, SecretObject, SecretPatch, SecretShelf, SecretValue, SecretVersion};
pub(crate) use shelf::{Change, Shelf};
pub use sku::Sku;
