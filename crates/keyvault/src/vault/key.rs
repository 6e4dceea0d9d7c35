//! A key: its versions, their attributes, and which operations they allow at a given time.
//!
//! Imitates <https://learn.microsoft.com/azure/key-vault/keys/about-keys-details> ("Key attributes", "Date-time controlled
//! operations"): a disabled version does nothing; a version outside of `nbf` to `exp` still decrypts, unwraps and verifies,
//! but does not encrypt, wrap or sign.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::vault::{KeyName, RsaKey, VaultError, VersionId};

/// A key's tags, names in order.
pub(crate) type Tags = BTreeMap<String, String>;

/// A key and all its versions; deleted or not.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    name: KeyName,
    /// In the order they were made, without the latest.
    older: Vec<Arc<KeyVersion>>,
    latest: Arc<KeyVersion>,
    deletion: Option<Deletion>,
}

impl Key {
    /// A key with its first version.
    pub(crate) fn new(name: KeyName, first: KeyVersion) -> Self {
        Self { name, older: Vec::new(), latest: Arc::new(first), deletion: None }
    }

    /// A key as it was stored: `versions` in the order they were made. `None` if there are none.
    pub(crate) fn restore(name: KeyName, mut versions: Vec<KeyVersion>, deletion: Option<Deletion>) -> Option<Self> {
        let latest = Arc::new(versions.pop()?);
        Some(Self { name, older: versions.into_iter().map(Arc::new).collect(), latest, deletion })
    }

    /// The name in the case it was created with.
    pub(crate) fn name(&self) -> &KeyName {
        &self.name
    }

    /// The version that a request without a version means: the one made last, enabled or not.
    pub(crate) fn latest(&self) -> &Arc<KeyVersion> {
        &self.latest
    }

    /// When it was deleted, if it is.
    pub(crate) fn deletion(&self) -> Option<Deletion> {
        self.deletion
    }

    /// All versions in the order they were made.
    pub(crate) fn versions(&self) -> impl Iterator<Item = &Arc<KeyVersion>> {
        self.older.iter().chain([&self.latest])
    }

    /// The version with this id.
    pub(crate) fn version(&self, id: VersionId) -> Option<&Arc<KeyVersion>> {
        self.versions().find(|version| version.id == id)
    }

    /// This key with one more version, which becomes the latest.
    pub(crate) fn with_version(&self, version: KeyVersion) -> Self {
        let mut older = self.older.clone();
        older.push(Arc::clone(&self.latest));
        Self { name: self.name.clone(), older, latest: Arc::new(version), deletion: self.deletion }
    }

    /// This key with one version replaced by its changed self.
    pub(crate) fn with_changed(&self, changed: &Arc<KeyVersion>) -> Self {
        let swap = |version: &Arc<KeyVersion>| Arc::clone(if version.id == changed.id { changed } else { version });
        Self { older: self.older.iter().map(swap).collect(), latest: swap(&self.latest), ..self.clone() }
    }

    /// This key deleted, or brought back.
    pub(crate) fn with_deletion(&self, deletion: Option<Deletion>) -> Self {
        Self { deletion, ..self.clone() }
    }
}

/// When a key was deleted, and when it is purged by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Deletion {
    pub(crate) deleted: Timestamp,
    pub(crate) purge_at: Timestamp,
}

impl Deletion {
    /// `deletedDate`: seconds since 1970.
    pub(crate) fn deleted_seconds(self) -> i64 {
        self.deleted.as_second()
    }

    /// `scheduledPurgeDate`: seconds since 1970.
    pub(crate) fn purge_seconds(self) -> i64 {
        self.purge_at.as_second()
    }
}

/// One version of a key. The material never changes; attributes, operations and tags do.
#[derive(Clone, Debug)]
pub(crate) struct KeyVersion {
    pub(crate) id: VersionId,
    pub(crate) material: Arc<RsaKey>,
    pub(crate) attributes: Attributes,
    /// In the order the caller gave.
    pub(crate) operations: Vec<KeyOperation>,
    /// `None` if none were ever given.
    pub(crate) tags: Option<Tags>,
}

impl KeyVersion {
    /// A version that comes to be `now`.
    pub(crate) fn new(id: VersionId, new: NewVersion, now: Timestamp) -> Self {
        let now = whole_seconds(now);
        Self {
            id,
            material: new.material,
            attributes: Attributes {
                enabled: new.enabled,
                not_before: new.not_before,
                expires: new.expires,
                created: now,
                updated: now,
            },
            operations: new.operations,
            tags: new.tags,
        }
    }

    /// This version with `patch` applied.
    ///
    /// # Errors
    ///
    /// [`VaultError::EmptyValidity`] if the validity would end before it begins.
    pub(crate) fn patched(&self, patch: Patch, now: Timestamp) -> Result<Self, VaultError> {
        let not_before = patch.not_before.or(self.attributes.not_before);
        let expires = patch.expires.or(self.attributes.expires);
        check_validity(not_before, expires)?;
        Ok(Self {
            id: self.id,
            material: Arc::clone(&self.material),
            attributes: Attributes {
                enabled: patch.enabled.unwrap_or(self.attributes.enabled),
                not_before,
                expires,
                created: self.attributes.created,
                updated: whole_seconds(now),
            },
            operations: patch.operations.unwrap_or_else(|| self.operations.clone()),
            tags: patch.tags.or_else(|| self.tags.clone()),
        })
    }

    /// Whether `operation` may be done `now`.
    ///
    /// # Errors
    ///
    /// In this order: [`VaultError::KeyDisabled`], [`VaultError::KeyNotYetValid`] and [`VaultError::KeyExpired`] (only for
    /// operations that protect new data), [`VaultError::OperationNotPermitted`].
    pub(crate) fn permit(&self, operation: KeyOperation, now: Timestamp) -> Result<(), VaultError> {
        self.permit_enabled(operation.as_str())?;
        if operation.protects_new_data() {
            if self.attributes.not_before.is_some_and(|start| now < start) {
                return Err(VaultError::KeyNotYetValid { operation: operation.as_str() });
            }
            if self.attributes.expires.is_some_and(|end| now >= end) {
                return Err(VaultError::KeyExpired { operation: operation.as_str() });
            }
        }
        if !self.operations.contains(&operation) {
            return Err(VaultError::OperationNotPermitted { operation });
        }
        Ok(())
    }

    /// Whether the version is enabled, for an operation that asks for nothing else.
    ///
    /// `Assumed:` GET is such an operation; three independent emulators say so, no document does.
    ///
    /// # Errors
    ///
    /// [`VaultError::KeyDisabled`].
    pub(crate) fn permit_enabled(&self, operation: &'static str) -> Result<(), VaultError> {
        if self.attributes.enabled { Ok(()) } else { Err(VaultError::KeyDisabled { operation }) }
    }
}

/// What a caller may say of a version to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewVersion {
    pub(crate) material: Arc<RsaKey>,
    pub(crate) operations: Vec<KeyOperation>,
    pub(crate) enabled: bool,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) tags: Option<Tags>,
}

/// A change to a version; what is `None` stays as it is. Tags are replaced as a whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patch {
    pub(crate) operations: Option<Vec<KeyOperation>>,
    pub(crate) enabled: Option<bool>,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) tags: Option<Tags>,
}

/// A version's attributes. Times are whole seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Attributes {
    pub(crate) enabled: bool,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

/// What a key may be used for: `JsonWebKeyOperation` of the contract, as far as RSA keys of a vault have it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum KeyOperation {
    Decrypt,
    Encrypt,
    Sign,
    UnwrapKey,
    Verify,
    WrapKey,
}

impl KeyOperation {
    /// What a new RSA key allows unless the caller says otherwise, in the order Azure answers it.
    pub(crate) const RSA_DEFAULT: [Self; 6] =
        [Self::Encrypt, Self::Decrypt, Self::Sign, Self::Verify, Self::WrapKey, Self::UnwrapKey];

    /// The operation's name in `key_ops` and in the service's texts.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Decrypt => "decrypt",
            Self::Encrypt => "encrypt",
            Self::Sign => "sign",
            Self::UnwrapKey => "unwrapKey",
            Self::Verify => "verify",
            Self::WrapKey => "wrapKey",
        }
    }

    /// The operation with this name in `key_ops`.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::RSA_DEFAULT.into_iter().find(|operation| operation.as_str() == name)
    }

    /// Whether it makes new protected data, which `nbf` and `exp` forbid, or only opens and checks what exists.
    fn protects_new_data(self) -> bool {
        match self {
            Self::Encrypt | Self::Sign | Self::WrapKey => true,
            Self::Decrypt | Self::UnwrapKey | Self::Verify => false,
        }
    }
}

/// Refuses a validity that ends before it begins.
///
/// `Assumed:` the service does so; and that it accepts an `exp` that has passed already.
///
/// # Errors
///
/// [`VaultError::EmptyValidity`].
pub(crate) fn check_validity(not_before: Option<Timestamp>, expires: Option<Timestamp>) -> Result<(), VaultError> {
    match (not_before, expires) {
        (Some(not_before), Some(expires)) if expires <= not_before => Err(VaultError::EmptyValidity),
        _ => Ok(()),
    }
}

/// Azure's times are whole seconds.
pub(crate) fn whole_seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
