//! All keys of one vault, and the life cycle: create, update, delete, recover, purge.
//!
//! Pure: an operation looks at the keyring and answers with the key as it would be, or with the refusal; a [`Change`]
//! carries it out.
//! A deleted key whose retention has ended counts as purged from that moment on, whether or not [`Keyring::due`] has been
//! carried out yet.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use jiff::Timestamp;

use crate::vault::key::{check_validity, whole_seconds};
use crate::vault::{
    Deletion, Key, KeyName, KeyOperation, KeyVersion, NewVersion, Patch, RecoveryPolicy, RsaKey, VaultError, VersionId,
};

/// The keys of one vault.
#[derive(Debug)]
pub(crate) struct Keyring {
    policy: RecoveryPolicy,
    keys: BTreeMap<KeyName, Arc<Key>>,
    /// The first moment at which a deleted key is due; kept so that a look costs nothing.
    next_purge: Option<Timestamp>,
}

/// What an operation does to a keyring.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// The key takes this shape.
    Put(Arc<Key>),
    /// The key is gone for good.
    Remove(KeyName),
}

impl Keyring {
    /// A keyring with these keys, as they were stored.
    pub(crate) fn new(policy: RecoveryPolicy, keys: impl IntoIterator<Item = Key>) -> Self {
        let keys = keys.into_iter().map(|key| (key.name().clone(), Arc::new(key))).collect();
        let mut keyring = Self { policy, keys, next_purge: None };
        keyring.next_purge = keyring.first_purge();
        keyring
    }

    /// The vault's soft-delete settings.
    pub(crate) fn policy(&self) -> RecoveryPolicy {
        self.policy
    }

    /// Carries out a change.
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Put(key) => self.keys.insert(key.name().clone(), key),
            Change::Remove(name) => self.keys.remove(&name),
        };
        self.next_purge = self.first_purge();
    }

    /// Whether a deleted key's retention has ended and [`Keyring::due`] has something to do.
    pub(crate) fn has_due(&self, now: Timestamp) -> bool {
        self.next_purge.is_some_and(|at| now >= at)
    }

    /// The purges that the end of retention demands.
    pub(crate) fn due(&self, now: Timestamp) -> Vec<Change> {
        let due = self.keys.values().filter(|key| is_due(key, now));
        due.map(|key| Change::Remove(key.name().clone())).collect()
    }

    /// A version of a key that is not deleted; the latest if `version` is `None`. Says nothing of its state.
    ///
    /// # Errors
    ///
    /// [`VaultError::KeyNotFound`].
    pub(crate) fn find(
        &self,
        name: &KeyName,
        version: Option<VersionId>,
    ) -> Result<(&Arc<Key>, &Arc<KeyVersion>), VaultError> {
        let not_found = || VaultError::KeyNotFound { name: name.clone(), version: version.map(|id| id.to_string()) };
        let key = self.keys.get(name).filter(|key| key.deletion().is_none()).ok_or_else(not_found)?;
        let version = match version {
            None => key.latest(),
            Some(id) => key.version(id).ok_or_else(not_found)?,
        };
        Ok((key, version))
    }

    /// A version that may be used for `operation` now.
    ///
    /// # Errors
    ///
    /// [`VaultError::KeyNotFound`], then those of [`KeyVersion::permit`].
    pub(crate) fn usable(
        &self,
        operation: KeyOperation,
        name: &KeyName,
        version: Option<VersionId>,
        now: Timestamp,
    ) -> Result<(&Arc<Key>, &Arc<KeyVersion>), VaultError> {
        let (key, version) = self.find(name, version)?;
        version.permit(operation, now)?;
        Ok((key, version))
    }

    /// A deleted key that is still kept.
    ///
    /// # Errors
    ///
    /// [`VaultError::DeletedKeyNotFound`].
    pub(crate) fn find_deleted(&self, name: &KeyName, now: Timestamp) -> Result<(&Arc<Key>, Deletion), VaultError> {
        let key = self.keys.get(name).filter(|key| !is_due(key, now));
        key.and_then(|key| Some((key, key.deletion()?)))
            .ok_or_else(|| VaultError::DeletedKeyNotFound { name: name.clone() })
    }

    /// The keys that are not deleted, by name, from the first one after `after`.
    pub(crate) fn list(&self, after: Option<&KeyName>) -> impl Iterator<Item = &Arc<Key>> {
        self.keys
            .range((after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded))
            .map(|(_, key)| key)
            .filter(|key| key.deletion().is_none())
    }

    /// The deleted keys that are still kept, by name, from the first one after `after`.
    pub(crate) fn list_deleted(
        &self,
        after: Option<&KeyName>,
        now: Timestamp,
    ) -> impl Iterator<Item = (&Arc<Key>, Deletion)> {
        self.keys
            .range((after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded))
            .filter(move |(_, key)| !is_due(key, now))
            .filter_map(|(_, key)| Some((key, key.deletion()?)))
    }

    /// Whether a new version of `name` may be made; asked before the costly making of its material.
    ///
    /// # Errors
    ///
    /// [`VaultError::NameHeldByDeletedKey`].
    pub(crate) fn check_name(&self, name: &KeyName, now: Timestamp) -> Result<(), VaultError> {
        match self.find_deleted(name, now) {
            Ok(_) => Err(VaultError::NameHeldByDeletedKey { name: name.clone() }),
            Err(_) => Ok(()),
        }
    }

    /// A new key, or a new version of a key that is there.
    ///
    /// # Errors
    ///
    /// [`VaultError::NameHeldByDeletedKey`], [`VaultError::EmptyValidity`].
    pub(crate) fn create(
        &self,
        name: &KeyName,
        id: VersionId,
        new: NewVersion,
        now: Timestamp,
    ) -> Result<Arc<Key>, VaultError> {
        self.check_name(name, now)?;
        check_validity(new.not_before, new.expires)?;
        let version = KeyVersion::new(id, new, now);
        let key = match self.find(name, None) {
            Ok((key, _)) => key.with_version(version),
            Err(_) => Key::new(name.clone(), version),
        };
        Ok(Arc::new(key))
    }

    /// A new version of a key that is there, like its latest but for material, id and times.
    ///
    /// `Assumed:` a disabled latest version does not stop a rotation, and the new version is enabled and has neither
    /// `nbf` nor `exp` (there is no rotation policy yet, which would set `exp`).
    ///
    /// # Errors
    ///
    /// [`VaultError::KeyNotFound`].
    pub(crate) fn rotate(
        &self,
        name: &KeyName,
        id: VersionId,
        material: Arc<RsaKey>,
        now: Timestamp,
    ) -> Result<Arc<Key>, VaultError> {
        let (key, latest) = self.find(name, None)?;
        let new = NewVersion {
            material,
            operations: latest.operations.clone(),
            enabled: true,
            not_before: None,
            expires: None,
            tags: latest.tags.clone(),
        };
        Ok(Arc::new(key.with_version(KeyVersion::new(id, new, now))))
    }

    /// A key with one version's attributes, operations or tags changed, whatever its state; and that version.
    ///
    /// # Errors
    ///
    /// [`VaultError::KeyNotFound`], [`VaultError::EmptyValidity`].
    pub(crate) fn update(
        &self,
        name: &KeyName,
        version: Option<VersionId>,
        patch: Patch,
        now: Timestamp,
    ) -> Result<(Arc<Key>, Arc<KeyVersion>), VaultError> {
        let (key, version) = self.find(name, version)?;
        let changed = Arc::new(version.patched(patch, now)?);
        Ok((Arc::new(key.with_changed(&changed)), changed))
    }

    /// A key deleted with all its versions; it is kept for the vault's retention.
    ///
    /// `Differs:` deleting and recovering take effect at once; on Azure each takes some seconds.
    ///
    /// # Errors
    ///
    /// [`VaultError::KeyNotFound`].
    pub(crate) fn delete(&self, name: &KeyName, now: Timestamp) -> Result<Arc<Key>, VaultError> {
        let (key, _) = self.find(name, None)?;
        let deleted = whole_seconds(now);
        let deletion = Deletion { deleted, purge_at: self.policy.purge_at(deleted) };
        Ok(Arc::new(key.with_deletion(Some(deletion))))
    }

    /// A deleted key brought back with all its versions.
    ///
    /// # Errors
    ///
    /// [`VaultError::DeletedKeyNotFound`].
    pub(crate) fn recover(&self, name: &KeyName, now: Timestamp) -> Result<Arc<Key>, VaultError> {
        let (key, _) = self.find_deleted(name, now)?;
        Ok(Arc::new(key.with_deletion(None)))
    }

    /// The removal of a deleted key, for good.
    ///
    /// # Errors
    ///
    /// [`VaultError::DeletedKeyNotFound`], [`VaultError::PurgeProtected`].
    pub(crate) fn purge(&self, name: &KeyName, now: Timestamp) -> Result<Change, VaultError> {
        let (key, _) = self.find_deleted(name, now)?;
        if self.policy.purge_protection() {
            return Err(VaultError::PurgeProtected);
        }
        Ok(Change::Remove(key.name().clone()))
    }

    fn first_purge(&self) -> Option<Timestamp> {
        self.keys.values().filter_map(|key| key.deletion()).map(|deletion| deletion.purge_at).min()
    }
}

fn is_due(key: &Key, now: Timestamp) -> bool {
    key.deletion().is_some_and(|deletion| now >= deletion.purge_at)
}
