//! Backups: an object with all its versions as one opaque value.
//!
//! <https://learn.microsoft.com/azure/key-vault/general/backup>: the value holds every version with its id, attributes and
//! tags, and opens in another vault. `Assumed:` a key's rotation policy travels with it.

use zeroize::Zeroizing;

use crate::storage::record::{KeyBackup, SecretRecord};
use crate::vault::{BackupKey, CryptoError, Key, ObjectKind, SecretObject, VaultError};

/// Seals a key.
///
/// # Errors
///
/// [`CryptoError`] if the library fails.
pub(crate) fn seal_key(backup_key: &BackupKey, key: &Key) -> Result<Vec<u8>, CryptoError> {
    let backup = KeyBackup::of(key)?;
    let contents = Zeroizing::new(serde_json::to_vec(&backup).map_err(|_| CryptoError::Encode)?);
    backup_key.seal(ObjectKind::Key, &contents)
}

/// Opens what [`seal_key`] made.
///
/// # Errors
///
/// [`VaultError::BackupUnreadable`], whatever is wrong with it.
pub(crate) fn open_key(backup_key: &BackupKey, blob: &[u8]) -> Result<Key, VaultError> {
    let unreadable = || VaultError::BackupUnreadable { kind: ObjectKind::Key };
    let contents = backup_key.open(ObjectKind::Key, blob)?;
    let backup: KeyBackup = serde_json::from_slice(&contents).map_err(|_| unreadable())?;
    backup.into_key().ok_or_else(unreadable)
}

/// Seals a secret.
///
/// # Errors
///
/// [`CryptoError`] if the library fails.
pub(crate) fn seal_secret(backup_key: &BackupKey, secret: &SecretObject) -> Result<Vec<u8>, CryptoError> {
    let contents = serde_json::to_vec(&SecretRecord::of(secret)).map_err(|_| CryptoError::Encode)?;
    backup_key.seal(ObjectKind::Secret, &Zeroizing::new(contents))
}

/// Opens what [`seal_secret`] made.
///
/// # Errors
///
/// [`VaultError::BackupUnreadable`], whatever is wrong with it.
pub(crate) fn open_secret(backup_key: &BackupKey, blob: &[u8]) -> Result<SecretObject, VaultError> {
    let unreadable = || VaultError::BackupUnreadable { kind: ObjectKind::Secret };
    let contents = backup_key.open(ObjectKind::Secret, blob)?;
    let record: SecretRecord = serde_json::from_slice(&contents).map_err(|_| unreadable())?;
    record.into_secret().ok_or_else(unreadable)
}
