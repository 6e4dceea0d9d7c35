//! A key: its versions, which operations they allow at a given time, and how they come to be.
//!
//! Imitates <https://learn.microsoft.com/azure/key-vault/keys/about-keys-details> ("Key attributes", "Date-time controlled
//! operations"): a disabled version does nothing; a version outside of `nbf` to `exp` still decrypts, unwraps and verifies,
//! but does not encrypt, wrap or sign.

use std::sync::Arc;

use jiff::Timestamp;

use crate::vault::material::{KeyMaterial, KeyType};
use crate::vault::{
    Attributes, Object, ObjectKind, ObjectName, RotationPolicy, Shelf, Tags, Validity, VaultError, Version, VersionId,
};

/// A key and all its versions.
pub(crate) type Key = Object<KeyVersion>;

/// The keys of one vault.
pub(crate) type Keyring = Shelf<KeyVersion>;

/// One version of a key. The material never changes; attributes, operations and tags do.
#[derive(Clone, Debug)]
pub(crate) struct KeyVersion {
    pub(crate) id: VersionId,
    pub(crate) material: Arc<KeyMaterial>,
    /// Whether the service keeps the material in hardware.
    pub(crate) hsm: bool,
    pub(crate) attributes: Attributes,
    /// In the order the caller gave.
    pub(crate) operations: Vec<KeyOperation>,
    /// `None` if none were ever given.
    pub(crate) tags: Option<Tags>,
    /// Set if the key may be released.
    pub(crate) release_policy: Option<ReleasePolicy>,
}

impl Version for KeyVersion {
    const KIND: ObjectKind = ObjectKind::Key;
    /// The rotation policy, if one was ever set.
    type Settings = Option<RotationPolicy>;

    fn id(&self) -> VersionId {
        self.id
    }

    fn acts_at(key: &Key) -> Option<Timestamp> {
        key.settings().as_ref()?.rotation_due(&key.latest().attributes)
    }
}

impl KeyVersion {
    /// A version that comes to be `now`.
    ///
    /// # Errors
    ///
    /// [`VaultError::EmptyValidity`].
    pub(crate) fn new(id: VersionId, new: NewVersion, now: Timestamp) -> Result<Self, VaultError> {
        Ok(Self {
            id,
            attributes: Attributes::new(new.validity, now)?,
            material: new.material,
            hsm: new.hsm,
            operations: new.operations,
            tags: new.tags,
            release_policy: new.release_policy,
        })
    }

    /// What kind of key it is.
    pub(crate) fn key_type(&self) -> KeyType {
        KeyType { shape: self.material.shape(), hsm: self.hsm }
    }

    /// This version with `patch` applied.
    ///
    /// # Errors
    ///
    /// [`VaultError::EmptyValidity`] if the validity would end before it begins, [`VaultError::OperationUnknown`] if it
    /// would allow what its type cannot do, [`VaultError::ReleasePolicyLate`] and [`VaultError::ReleasePolicyImmutable`] for a
    /// release policy it cannot take.
    pub(crate) fn patched(&self, patch: Patch, now: Timestamp) -> Result<Self, VaultError> {
        let operations = patch.operations.unwrap_or_else(|| self.operations.clone());
        check_operations(self.key_type(), &operations)?;
        let release_policy = match (patch.release_policy, &self.release_policy) {
            (None, current) => current.clone(),
            (Some(_), None) => return Err(VaultError::ReleasePolicyLate),
            (Some(_), Some(current)) if current.immutable => return Err(VaultError::ReleasePolicyImmutable),
            (changed, _) => changed,
        };
        Ok(Self {
            attributes: self.attributes.changed(patch.validity, now)?,
            operations,
            tags: patch.tags.or_else(|| self.tags.clone()),
            release_policy,
            ..self.clone()
        })
    }

    /// Whether `operation` may be done `now`.
    ///
    /// # Errors
    ///
    /// In this order: [`VaultError::Disabled`], [`VaultError::KeyNotYetValid`] and [`VaultError::KeyExpired`] (only for
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
    /// [`VaultError::Disabled`].
    pub(crate) fn permit_enabled(&self, operation: &'static str) -> Result<(), VaultError> {
        if self.attributes.enabled { Ok(()) } else { Err(VaultError::Disabled { kind: ObjectKind::Key, operation }) }
    }

    /// Whether the version may leave the vault at all.
    ///
    /// # Errors
    ///
    /// [`VaultError::NotExportable`].
    pub(crate) fn permit_release(&self) -> Result<(), VaultError> {
        if self.release_policy.is_some() { Ok(()) } else { Err(VaultError::NotExportable) }
    }
}

impl Keyring {
    /// A version that may be used for `operation` now.
    ///
    /// # Errors
    ///
    /// [`VaultError::NotFound`], then those of [`KeyVersion::permit`].
    pub(crate) fn usable(
        &self,
        operation: KeyOperation,
        name: &ObjectName,
        version: Option<VersionId>,
        now: Timestamp,
    ) -> Result<(&Arc<Key>, &Arc<KeyVersion>), VaultError> {
        let (key, version) = self.find_version(name, version)?;
        version.permit(operation, now)?;
        Ok((key, version))
    }

    /// A new key, or a new version of a key that is there.
    ///
    /// # Errors
    ///
    /// [`VaultError::NameHeldByDeleted`], [`VaultError::EmptyValidity`], [`VaultError::OperationUnknown`].
    pub(crate) fn create(
        &self,
        name: &ObjectName,
        id: VersionId,
        new: NewVersion,
        now: Timestamp,
    ) -> Result<Arc<Key>, VaultError> {
        self.check_name(name, now)?;
        let version = KeyVersion::new(id, new, now)?;
        check_operations(version.key_type(), &version.operations)?;
        self.add(name, version, now)
    }

    /// A new version of a key that is there, like its latest but for material, id and times. Its `exp` is what the key's
    /// rotation policy says.
    ///
    /// `Assumed:` a disabled latest version does not stop a rotation, and the new version is enabled and has no `nbf`.
    ///
    /// # Errors
    ///
    /// [`VaultError::NotFound`].
    pub(crate) fn rotate(
        &self,
        name: &ObjectName,
        id: VersionId,
        material: Arc<KeyMaterial>,
        now: Timestamp,
    ) -> Result<Arc<Key>, VaultError> {
        let key = self.find(name)?;
        let expires = key.settings().as_ref().and_then(|policy| policy.expiry_from(now));
        let new = NewVersion {
            material,
            validity: Validity { enabled: None, not_before: None, expires },
            ..NewVersion::like(key.latest())
        };
        Ok(Arc::new(key.with_version(KeyVersion::new(id, new, now)?)))
    }

    /// The keys whose policies demand a rotation now, with the type of the version to be made.
    ///
    /// `Assumed:` a policy that missed several rotations, because the clock leapt, makes up for them with one.
    pub(crate) fn due_rotations(&self, now: Timestamp) -> Vec<(ObjectName, KeyType)> {
        self.due(now).map(|key| (key.name().clone(), key.latest().key_type())).collect()
    }

    /// A key with one version's attributes, operations or tags changed, whatever its state; and that version.
    ///
    /// # Errors
    ///
    /// [`VaultError::NotFound`], those of [`KeyVersion::patched`].
    pub(crate) fn update(
        &self,
        name: &ObjectName,
        version: Option<VersionId>,
        patch: Patch,
        now: Timestamp,
    ) -> Result<(Arc<Key>, Arc<KeyVersion>), VaultError> {
        let (key, version) = self.find_version(name, version)?;
        let changed = Arc::new(version.patched(patch, now)?);
        Ok((Arc::new(key.with_changed(&changed)), changed))
    }

    /// A key with another rotation policy.
    ///
    /// # Errors
    ///
    /// [`VaultError::NotFound`].
    pub(crate) fn set_rotation_policy(
        &self,
        name: &ObjectName,
        policy: RotationPolicy,
        now: Timestamp,
    ) -> Result<Arc<Key>, VaultError> {
        let key = self.find(name)?;
        let policy = policy.set_at(key.settings().as_ref(), now);
        Ok(Arc::new(key.with_settings(Some(policy))))
    }
}

/// What a caller may say of a version to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewVersion {
    pub(crate) material: Arc<KeyMaterial>,
    pub(crate) hsm: bool,
    pub(crate) operations: Vec<KeyOperation>,
    pub(crate) validity: Validity,
    pub(crate) tags: Option<Tags>,
    pub(crate) release_policy: Option<ReleasePolicy>,
}

impl NewVersion {
    /// What makes another version like this one, but for how long it lives.
    fn like(version: &KeyVersion) -> Self {
        Self {
            material: Arc::clone(&version.material),
            hsm: version.hsm,
            operations: version.operations.clone(),
            validity: Validity::default(),
            tags: version.tags.clone(),
            release_policy: version.release_policy.clone(),
        }
    }
}

/// A change to a version; what is `None` stays as it is. Tags are replaced as a whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patch {
    pub(crate) operations: Option<Vec<KeyOperation>>,
    pub(crate) validity: Validity,
    pub(crate) tags: Option<Tags>,
    pub(crate) release_policy: Option<ReleasePolicy>,
}

/// Under which conditions an exportable key may leave the vault. Kept and shown, never evaluated.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ReleasePolicy {
    pub(crate) content_type: String,
    /// The policy as the caller encoded it.
    pub(crate) data: String,
    pub(crate) immutable: bool,
}

/// What a key may be used for: `JsonWebKeyOperation` of the contract. `import` and `export` belong to what is not here:
/// keys wrapped for import, and the release of keys by other doors.
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
    /// All of them, in the order that Azure answers the defaults of an RSA key.
    pub(crate) const ALL: [Self; 6] =
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
        Self::ALL.into_iter().find(|operation| operation.as_str() == name)
    }

    /// Whether it makes new protected data, which `nbf` and `exp` forbid, or only opens and checks what exists.
    fn protects_new_data(self) -> bool {
        match self {
            Self::Encrypt | Self::Sign | Self::WrapKey => true,
            Self::Decrypt | Self::UnwrapKey | Self::Verify => false,
        }
    }
}

/// `Assumed:` a key cannot be told to allow what its type cannot do.
fn check_operations(key_type: KeyType, operations: &[KeyOperation]) -> Result<(), VaultError> {
    let possible = key_type.shape.operations();
    match operations.iter().find(|operation| !possible.contains(operation)) {
        None => Ok(()),
        Some(operation) => Err(VaultError::OperationUnknown { operation: *operation, kty: key_type.kty() }),
    }
}
