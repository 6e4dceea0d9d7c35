//! A secret: its versions and what may be read of them.
//!
//! Imitates <https://learn.microsoft.com/azure/key-vault/secrets/about-secrets>: `nbf` and `exp` inform and forbid nothing;
//! a disabled version cannot be read.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::vault::{Attributes, Object, ObjectKind, ObjectName, Shelf, Tags, Validity, VaultError, Version, VersionId};

/// A secret and all its versions.
pub(crate) type SecretObject = Object<SecretVersion>;

/// The secrets of one vault.
pub(crate) type SecretShelf = Shelf<SecretVersion>;

/// One version of a secret. The value never changes; all else does.
#[derive(Clone, Debug)]
pub(crate) struct SecretVersion {
    pub(crate) id: VersionId,
    pub(crate) value: Arc<SecretValue>,
    pub(crate) content_type: Option<String>,
    pub(crate) attributes: Attributes,
    /// `None` if none were ever given.
    pub(crate) tags: Option<Tags>,
}

impl Version for SecretVersion {
    const KIND: ObjectKind = ObjectKind::Secret;
    type Settings = ();

    fn id(&self) -> VersionId {
        self.id
    }

    fn acts_at(_secret: &SecretObject) -> Option<Timestamp> {
        None
    }
}

impl SecretVersion {
    /// Whether the version is enabled.
    ///
    /// # Errors
    ///
    /// [`VaultError::Disabled`].
    pub(crate) fn permit_enabled(&self, operation: &'static str) -> Result<(), VaultError> {
        if self.attributes.enabled { Ok(()) } else { Err(VaultError::Disabled { kind: ObjectKind::Secret, operation }) }
    }
}

impl SecretShelf {
    /// A new secret, or a new version of one that is there.
    ///
    /// # Errors
    ///
    /// [`VaultError::NameHeldByDeleted`], [`VaultError::EmptyValidity`].
    pub(crate) fn set(
        &self,
        name: &ObjectName,
        id: VersionId,
        new: NewSecret,
        now: Timestamp,
    ) -> Result<Arc<SecretObject>, VaultError> {
        self.check_name(name, now)?;
        let version = SecretVersion {
            id,
            value: new.value,
            content_type: new.content_type,
            attributes: Attributes::new(new.validity, now)?,
            tags: new.tags,
        };
        self.add(name, version, now)
    }

    /// A secret with one version's attributes, content type or tags changed, whatever its state; and that version.
    ///
    /// # Errors
    ///
    /// [`VaultError::NotFound`], [`VaultError::EmptyValidity`].
    pub(crate) fn update(
        &self,
        name: &ObjectName,
        version: Option<VersionId>,
        patch: SecretPatch,
        now: Timestamp,
    ) -> Result<(Arc<SecretObject>, Arc<SecretVersion>), VaultError> {
        let (secret, version) = self.find_version(name, version)?;
        let changed = Arc::new(SecretVersion {
            attributes: version.attributes.changed(patch.validity, now)?,
            content_type: patch.content_type.or_else(|| version.content_type.clone()),
            tags: patch.tags.or_else(|| version.tags.clone()),
            ..SecretVersion::clone(version)
        });
        Ok((Arc::new(secret.with_changed(&changed)), changed))
    }
}

/// What a caller says of a version to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewSecret {
    pub(crate) value: Arc<SecretValue>,
    pub(crate) content_type: Option<String>,
    pub(crate) validity: Validity,
    pub(crate) tags: Option<Tags>,
}

/// A change to a version; what is `None` stays as it is. Tags are replaced as a whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct SecretPatch {
    pub(crate) content_type: Option<String>,
    pub(crate) validity: Validity,
    pub(crate) tags: Option<Tags>,
}

/// The text of a secret, 25 KB at most. Wiped when dropped, never shown.
#[derive(Eq, PartialEq)]
pub(crate) struct SecretValue(Zeroizing<String>);

impl SecretValue {
    /// Takes the text over.
    ///
    /// # Errors
    ///
    /// [`VaultError::SecretTooLong`] above 25,600 bytes of UTF-8.
    pub(crate) fn new(text: Zeroizing<String>) -> Result<Self, VaultError> {
        if text.len() > MAX_SECRET_BYTES {
            return Err(VaultError::SecretTooLong { limit_bytes: MAX_SECRET_BYTES, actual_bytes: text.len() });
        }
        Ok(Self(text))
    }

    /// The text itself.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(redacted)")
    }
}

/// `Assumed:` the documented "25 KB" are 25 times 1024 bytes.
const MAX_SECRET_BYTES: usize = 25 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_never_shown_and_has_a_limit() {
        let value = |length: usize| SecretValue::new(Zeroizing::new("é".repeat(length / 2)));
        assert_eq!(format!("{:?}", value(2).unwrap()), "SecretValue(redacted)");
        assert!(value(25_600).is_ok());
        let too_long = VaultError::SecretTooLong { limit_bytes: 25_600, actual_bytes: 25_602 };
        assert_eq!(value(25_602), Err(too_long));
    }
}
