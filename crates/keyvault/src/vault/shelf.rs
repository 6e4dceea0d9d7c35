//! All objects of one kind in a vault, and the life cycle they share: find, list, delete, recover, purge, restore.
//!
//! Pure: an operation looks at the shelf and answers with the object as it would be, or with the refusal; a [`Change`]
//! carries it out. A deleted object whose retention has ended counts as purged from that moment on, whether or not
//! [`Shelf::due_purges`] has been carried out yet.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use jiff::Timestamp;

use crate::vault::object::whole_seconds;
use crate::vault::{Deletion, Object, ObjectName, RecoveryPolicy, VaultError, Version, VersionId};

/// The objects of one kind.
#[derive(Debug)]
pub(crate) struct Shelf<V: Version> {
    policy: RecoveryPolicy,
    objects: BTreeMap<ObjectName, Arc<Object<V>>>,
    /// When which object changes by itself; kept so that a look costs nothing.
    agenda: BTreeSet<(Timestamp, ObjectName)>,
}

/// What an operation does to a shelf.
#[derive(Clone, Debug)]
pub(crate) enum Change<V: Version> {
    /// The object takes this shape.
    Put(Arc<Object<V>>),
    /// The object is gone for good.
    Remove(ObjectName),
}

impl<V: Version> Shelf<V> {
    /// A shelf with these objects, as they were stored.
    pub(crate) fn new(policy: RecoveryPolicy, objects: impl IntoIterator<Item = Object<V>>) -> Self {
        let mut shelf = Self { policy, objects: BTreeMap::new(), agenda: BTreeSet::new() };
        for object in objects {
            shelf.apply(Change::Put(Arc::new(object)));
        }
        shelf
    }

    /// The vault's soft-delete settings.
    pub(crate) fn policy(&self) -> RecoveryPolicy {
        self.policy
    }

    /// Carries out a change.
    pub(crate) fn apply(&mut self, change: Change<V>) {
        let before = match change {
            Change::Put(object) => {
                if let Some(at) = object.acts_at() {
                    self.agenda.insert((at, object.name().clone()));
                }
                let at = object.acts_at();
                let before = self.objects.insert(object.name().clone(), object);
                before.filter(|before| before.acts_at() != at)
            }
            Change::Remove(name) => self.objects.remove(&name),
        };
        if let Some(before) = before
            && let Some(at) = before.acts_at()
        {
            self.agenda.remove(&(at, before.name().clone()));
        }
    }

    /// The next moment at which an object changes by itself.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.agenda.first().map(|(at, _)| *at)
    }

    /// What is due to change by itself, and is not deleted.
    pub(super) fn due(&self, now: Timestamp) -> impl Iterator<Item = &Arc<Object<V>>> {
        let due = self.agenda.iter().take_while(move |(at, _)| now >= *at);
        due.filter_map(|(_, name)| self.objects.get(name)).filter(|object| object.deletion().is_none())
    }

    /// The purges that the end of retention demands.
    pub(crate) fn due_purges(&self, now: Timestamp) -> Vec<Change<V>> {
        let due = self.agenda.iter().take_while(|(at, _)| now >= *at);
        let due = due.filter(|(_, name)| self.objects.get(name).is_some_and(|object| is_purged(object, now)));
        due.map(|(_, name)| Change::Remove(name.clone())).collect()
    }

    /// An object that is not deleted.
    ///
    /// # Errors
    ///
    /// [`VaultError::NotFound`].
    pub(crate) fn find(&self, name: &ObjectName) -> Result<&Arc<Object<V>>, VaultError> {
        let object = self.objects.get(name).filter(|object| object.deletion().is_none());
        object.ok_or_else(|| VaultError::NotFound { kind: V::KIND, name: name.clone(), version: None })
    }

    /// A version of an object that is not deleted; the latest if `version` is `None`. Says nothing of its state.
    ///
    /// # Errors
    ///
    /// [`VaultError::NotFound`].
    pub(crate) fn find_version(
        &self,
        name: &ObjectName,
        version: Option<VersionId>,
    ) -> Result<(&Arc<Object<V>>, &Arc<V>), VaultError> {
        let not_found =
            |_| VaultError::NotFound { kind: V::KIND, name: name.clone(), version: version.map(|id| id.to_string()) };
        let object = self.find(name).map_err(not_found)?;
        Ok((object, object.version(version).map_err(not_found)?))
    }

    /// A deleted object that is still kept.
    ///
    /// # Errors
    ///
    /// [`VaultError::DeletedNotFound`].
    pub(crate) fn find_deleted(
        &self,
        name: &ObjectName,
        now: Timestamp,
    ) -> Result<(&Arc<Object<V>>, Deletion), VaultError> {
        let object = self.objects.get(name).filter(|object| !is_purged(object, now));
        object
            .and_then(|object| Some((object, object.deletion()?)))
            .ok_or_else(|| VaultError::DeletedNotFound { kind: V::KIND, name: name.clone() })
    }

    /// The objects that are not deleted, by name, from the first one after `after`.
    pub(crate) fn list(&self, after: Option<&ObjectName>) -> impl Iterator<Item = &Arc<Object<V>>> {
        self.objects
            .range((after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded))
            .map(|(_, object)| object)
            .filter(|object| object.deletion().is_none())
    }

    /// The deleted objects that are still kept, by name, from the first one after `after`.
    pub(crate) fn list_deleted(
        &self,
        after: Option<&ObjectName>,
        now: Timestamp,
    ) -> impl Iterator<Item = (&Arc<Object<V>>, Deletion)> {
        self.objects
            .range((after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded))
            .filter(move |(_, object)| !is_purged(object, now))
            .filter_map(|(_, object)| Some((object, object.deletion()?)))
    }

    /// Whether a new version of `name` may be made; asked before the costly making of its material.
    ///
    /// # Errors
    ///
    /// [`VaultError::NameHeldByDeleted`].
    pub(crate) fn check_name(&self, name: &ObjectName, now: Timestamp) -> Result<(), VaultError> {
        match self.find_deleted(name, now) {
            Ok(_) => Err(VaultError::NameHeldByDeleted { kind: V::KIND, name: name.clone() }),
            Err(_) => Ok(()),
        }
    }

    /// A new object, or a new version of one that is there.
    ///
    /// # Errors
    ///
    /// [`VaultError::NameHeldByDeleted`].
    pub(crate) fn add(&self, name: &ObjectName, version: V, now: Timestamp) -> Result<Arc<Object<V>>, VaultError> {
        self.check_name(name, now)?;
        Ok(Arc::new(match self.find(name) {
            Ok(object) => object.with_version(version),
            Err(_) => Object::new(name.clone(), version),
        }))
    }

    /// An object as a backup holds it, put where none is.
    ///
    /// # Errors
    ///
    /// [`VaultError::NameHeldByDeleted`], [`VaultError::NameTaken`].
    pub(crate) fn restore(&self, object: &Object<V>, now: Timestamp) -> Result<Arc<Object<V>>, VaultError> {
        self.check_name(object.name(), now)?;
        match self.find(object.name()) {
            Ok(_) => Err(VaultError::NameTaken { kind: V::KIND, name: object.name().clone() }),
            Err(_) => Ok(Arc::new(object.with_deletion(None))),
        }
    }

    /// An object deleted with all its versions; it is kept for the vault's retention.
    ///
    /// `Differs:` deleting and recovering take effect at once; on Azure each takes some seconds.
    ///
    /// # Errors
    ///
    /// [`VaultError::NotFound`].
    pub(crate) fn delete(&self, name: &ObjectName, now: Timestamp) -> Result<Arc<Object<V>>, VaultError> {
        let object = self.find(name)?;
        let deleted = whole_seconds(now);
        let deletion = Deletion { deleted, purge_at: self.policy.purge_at(deleted) };
        Ok(Arc::new(object.with_deletion(Some(deletion))))
    }

    /// A deleted object brought back with all its versions.
    ///
    /// # Errors
    ///
    /// [`VaultError::DeletedNotFound`].
    pub(crate) fn recover(&self, name: &ObjectName, now: Timestamp) -> Result<Arc<Object<V>>, VaultError> {
        let (object, _) = self.find_deleted(name, now)?;
        Ok(Arc::new(object.with_deletion(None)))
    }

    /// The removal of a deleted object, for good.
    ///
    /// # Errors
    ///
    /// [`VaultError::DeletedNotFound`], [`VaultError::PurgeProtected`].
    pub(crate) fn purge(&self, name: &ObjectName, now: Timestamp) -> Result<Change<V>, VaultError> {
        let (object, _) = self.find_deleted(name, now)?;
        if self.policy.purge_protection() {
            return Err(VaultError::PurgeProtected);
        }
        Ok(Change::Remove(object.name().clone()))
    }
}

fn is_purged<V: Version>(object: &Object<V>, now: Timestamp) -> bool {
    object.deletion().is_some_and(|deletion| now >= deletion.purge_at)
}
