//! What a vault keeps under one name: an object with all its versions, deleted or not.
//!
//! Keys and secrets live the same life: versions pile up under a name, the last one is meant if none is named, and deleting
//! and recovering move all of them at once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::vault::{ObjectName, VaultError, VersionId};

/// An object's tags, names in order.
pub(crate) type Tags = BTreeMap<String, String>;

/// One version of an object: a key's or a secret's.
pub(crate) trait Version: Clone + fmt::Debug {
    /// What it is a version of.
    const KIND: ObjectKind;
    /// What belongs to the object as a whole.
    type Settings: Clone + Default + fmt::Debug;

    /// Its id.
    fn id(&self) -> VersionId;

    /// When an object that is not deleted changes by itself; `None` if it does not.
    fn acts_at(object: &Object<Self>) -> Option<Timestamp>;
}

/// What a vault keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ObjectKind {
    Key,
    Secret,
}

impl ObjectKind {
    /// The collection that the first segment of a path names, the deleted ones included.
    pub(crate) fn of_collection(segment: &str) -> Option<Self> {
        match segment.to_ascii_lowercase().as_str() {
            "keys" | "deletedkeys" => Some(Self::Key),
            "secrets" | "deletedsecrets" => Some(Self::Secret),
            _ => None,
        }
    }

    /// The collection, as paths name it.
    pub(crate) fn collection(self) -> &'static str {
        match self {
            Self::Key => "keys",
            Self::Secret => "secrets",
        }
    }

    /// The word in the service's texts, in the middle of a sentence.
    pub(crate) fn lower(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Secret => "secret",
        }
    }

    /// The word at the beginning of a sentence.
    pub(crate) fn upper(self) -> &'static str {
        match self {
            Self::Key => "Key",
            Self::Secret => "Secret",
        }
    }
}

/// An object and all its versions; deleted or not.
#[derive(Clone, Debug)]
pub(crate) struct Object<V: Version> {
    name: ObjectName,
    /// In the order they were made, without the latest.
    older: Vec<Arc<V>>,
    latest: Arc<V>,
    settings: V::Settings,
    deletion: Option<Deletion>,
}

impl<V: Version> Object<V> {
    /// An object with its first version.
    pub(crate) fn new(name: ObjectName, first: V) -> Self {
        Self { name, older: Vec::new(), latest: Arc::new(first), settings: V::Settings::default(), deletion: None }
    }

    /// An object as it was stored: `versions` in the order they were made. `None` if there are none.
    pub(crate) fn restore(
        name: ObjectName,
        mut versions: Vec<V>,
        settings: V::Settings,
        deletion: Option<Deletion>,
    ) -> Option<Self> {
        let latest = Arc::new(versions.pop()?);
        Some(Self { name, older: versions.into_iter().map(Arc::new).collect(), latest, settings, deletion })
    }

    /// The name in the case it was created with.
    pub(crate) fn name(&self) -> &ObjectName {
        &self.name
    }

    /// The version that a request without a version means: the one made last, enabled or not.
    pub(crate) fn latest(&self) -> &Arc<V> {
        &self.latest
    }

    /// What belongs to the object as a whole.
    pub(crate) fn settings(&self) -> &V::Settings {
        &self.settings
    }

    /// When it was deleted, if it is.
    pub(crate) fn deletion(&self) -> Option<Deletion> {
        self.deletion
    }

    /// All versions in the order they were made.
    pub(crate) fn versions(&self) -> impl Iterator<Item = &Arc<V>> {
        self.older.iter().chain([&self.latest])
    }

    /// The version with this id; the latest if `None`.
    ///
    /// # Errors
    ///
    /// [`VaultError::NotFound`].
    pub(crate) fn version(&self, id: Option<VersionId>) -> Result<&Arc<V>, VaultError> {
        let Some(id) = id else { return Ok(&self.latest) };
        self.versions().find(|version| version.id() == id).ok_or_else(|| VaultError::NotFound {
            kind: V::KIND,
            name: self.name.clone(),
            version: Some(id.to_string()),
        })
    }

    /// This object with one more version, which becomes the latest.
    pub(crate) fn with_version(&self, version: V) -> Self {
        let mut older = self.older.clone();
        older.push(Arc::clone(&self.latest));
        Self { older, latest: Arc::new(version), ..self.clone() }
    }

    /// This object with one version replaced by its changed self.
    pub(crate) fn with_changed(&self, changed: &Arc<V>) -> Self {
        let swap = |version: &Arc<V>| Arc::clone(if version.id() == changed.id() { changed } else { version });
        Self { older: self.older.iter().map(swap).collect(), latest: swap(&self.latest), ..self.clone() }
    }

    /// This object with other settings.
    pub(crate) fn with_settings(&self, settings: V::Settings) -> Self {
        Self { settings, ..self.clone() }
    }

    /// This object deleted, or brought back.
    pub(crate) fn with_deletion(&self, deletion: Option<Deletion>) -> Self {
        Self { deletion, ..self.clone() }
    }

    /// When something happens to it by itself: its purge if it is deleted, else what its kind knows.
    pub(super) fn acts_at(&self) -> Option<Timestamp> {
        match self.deletion {
            Some(deletion) => Some(deletion.purge_at),
            None => V::acts_at(self),
        }
    }
}

/// When an object was deleted, and when it is purged by itself.
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

/// A version's attributes. Times are whole seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Attributes {
    pub(crate) enabled: bool,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

impl Attributes {
    /// Those of a version that comes to be `now`.
    ///
    /// # Errors
    ///
    /// [`VaultError::EmptyValidity`] if the validity would end before it begins.
    pub(crate) fn new(validity: Validity, now: Timestamp) -> Result<Self, VaultError> {
        let now = whole_seconds(now);
        let created = Self { enabled: true, not_before: None, expires: None, created: now, updated: now };
        created.changed(validity, now)
    }

    /// These with what `validity` says.
    ///
    /// `Assumed:` a validity that ends before it begins is refused, an `exp` that has passed already is not.
    ///
    /// # Errors
    ///
    /// [`VaultError::EmptyValidity`].
    pub(crate) fn changed(self, validity: Validity, now: Timestamp) -> Result<Self, VaultError> {
        let not_before = validity.not_before.or(self.not_before);
        let expires = validity.expires.or(self.expires);
        if not_before.zip(expires).is_some_and(|(not_before, expires)| expires <= not_before) {
            return Err(VaultError::EmptyValidity);
        }
        let enabled = validity.enabled.unwrap_or(self.enabled);
        Ok(Self { enabled, not_before, expires, created: self.created, updated: whole_seconds(now) })
    }
}

/// What a caller says of a version's life; what is `None` is left as it is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Validity {
    pub(crate) enabled: Option<bool>,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) expires: Option<Timestamp>,
}

/// Azure's times are whole seconds.
pub(crate) fn whole_seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
