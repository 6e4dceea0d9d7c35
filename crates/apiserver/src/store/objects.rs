//! Reads and guarded writes of single objects.
//!
//! Imitates `apiserver/pkg/storage/etcd3/store.go`: a create is a transaction on an absent key, an update or delete one
//! on the revision that was read. An update with equal bytes writes nothing, unless the stored value is stale.

use std::fmt;
use std::sync::Arc;

use super::error::StoreError;
use super::etcd::{Etcd, Guard, Guarded, Record};
use crate::encryption::Encryption;
use crate::object::{Object, codec};
use crate::resource::Resource;

/// The objects of one etcd under one prefix.
#[derive(Debug)]
pub(crate) struct Store {
    pub(super) etcd: Etcd,
    pub(super) encryption: Arc<Encryption>,
    /// Without a slash at its end.
    prefix: String,
}

/// An object as it is stored now, and what an update of it needs to know.
pub(crate) struct Current {
    pub(crate) object: Object,
    plain: Vec<u8>,
    /// The revision of its last write.
    pub(crate) revision: i64,
    stale: bool,
}

impl Store {
    pub(crate) fn new(etcd: Etcd, encryption: Arc<Encryption>, prefix: &str) -> Self {
        let prefix = format!("/{}", prefix.trim_matches('/'));
        Self { etcd, encryption, prefix }
    }

    /// The full etcd key of an object, which is also its authenticated data.
    pub(crate) fn key(&self, resource: Resource, namespace: &str, name: &str) -> String {
        format!("{}{name}", self.range_prefix(resource, Some(namespace)))
    }

    /// What the keys of a resource, or of its objects in one namespace, start with.
    pub(super) fn range_prefix(&self, resource: Resource, namespace: Option<&str>) -> String {
        let prefix = &self.prefix;
        let plural = resource.plural();
        match namespace.filter(|namespace| resource.is_namespaced() && !namespace.is_empty()) {
            Some(namespace) => format!("{prefix}/{plural}/{namespace}/"),
            None => format!("{prefix}/{plural}/"),
        }
    }

    /// Reads an object.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], [`StoreError::Transform`], [`StoreError::Decode`], [`StoreError::Etcd`].
    pub(crate) async fn get(&self, resource: Resource, namespace: &str, name: &str) -> Result<Current, StoreError> {
        let key = self.key(resource, namespace, name);
        let record = self.etcd.get(&key).await?.ok_or(StoreError::NotFound)?;
        let opened =
            self.encryption.open(resource.plural(), &key, &record.value).await.map_err(StoreError::Transform)?;
        let object = decoded(resource, &opened.plain, record.revision)?;
        Ok(Current { object, plain: opened.plain, revision: record.revision, stale: opened.stale })
    }

    /// Whether there is an object, readable or not.
    pub(crate) async fn exists(&self, object: &Object) -> Result<bool, StoreError> {
        let key = self.key(object.resource(), object.namespace(), object.name());
        Ok(self.etcd.get(&key).await?.is_some())
    }

    /// Stores a new object. `namespace` is the revision of its namespace, which must not have changed since.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`], [`StoreError::NamespaceChanged`], [`StoreError::Transform`], [`StoreError::Etcd`].
    pub(crate) async fn create(&self, object: &Object, namespace: Option<i64>) -> Result<Object, StoreError> {
        let resource = object.resource();
        let key = self.key(resource, object.namespace(), object.name());
        let plain = codec::encode(object);
        let value = self.encryption.seal(resource.plural(), &key, &plain).await.map_err(StoreError::Transform)?;
        let mut guards = vec![Guard { key: key.clone(), revision: 0 }];
        guards.extend(
            namespace.map(|revision| Guard { key: self.key(Resource::Namespaces, "", object.namespace()), revision }),
        );
        match self.etcd.put(&key, value, &guards).await? {
            Guarded::Done(revision) => decoded(resource, &plain, revision),
            Guarded::Broken(revisions) if revisions.first().is_some_and(|revision| *revision != 0) => {
                Err(StoreError::Exists)
            }
            Guarded::Broken(_) => Err(StoreError::NamespaceChanged),
        }
    }

    /// Replaces `current` with `new`. Writes nothing if the bytes are equal and the stored value is fresh.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if the object was written since it was read; [`StoreError::Transform`],
    /// [`StoreError::Etcd`].
    pub(crate) async fn update(&self, current: &Current, new: &Object) -> Result<Object, StoreError> {
        let resource = new.resource();
        let plain = codec::encode(new);
        if plain == current.plain && !current.stale {
            return Ok(current.object.clone());
        }
        let key = self.key(resource, new.namespace(), new.name());
        let value = self.encryption.seal(resource.plural(), &key, &plain).await.map_err(StoreError::Transform)?;
        let guard = Guard { key: key.clone(), revision: current.revision };
        match self.etcd.put(&key, value, &[guard]).await? {
            Guarded::Done(revision) => decoded(resource, &plain, revision),
            Guarded::Broken(revisions) => Err(lost(&revisions)),
        }
    }

    /// Removes `current`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if the object was written since it was read; [`StoreError::Etcd`].
    pub(crate) async fn delete(&self, current: &Current) -> Result<(), StoreError> {
        let object = &current.object;
        let key = self.key(object.resource(), object.namespace(), object.name());
        let guard = Guard { key: key.clone(), revision: current.revision };
        match self.etcd.delete(&key, &[guard]).await? {
            Guarded::Done(_) => Ok(()),
            Guarded::Broken(revisions) => Err(lost(&revisions)),
        }
    }

    /// The newest revision. Asks for nothing else, so it also tells whether etcd answers.
    pub(crate) async fn revision(&self) -> Result<i64, StoreError> {
        Ok(self.etcd.revision(&format!("{}/health", self.prefix)).await?)
    }

    /// The object in a record of a list.
    pub(super) async fn open(&self, resource: Resource, record: &Record) -> Result<Object, StoreError> {
        let opened = self
            .encryption
            .open(resource.plural(), &record.key, &record.value)
            .await
            .map_err(|source| StoreError::TransformKey { key: record.key.clone(), source })?;
        decoded(resource, &opened.plain, record.revision)
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current").field("object", &self.object).field("stale", &self.stale).finish_non_exhaustive()
    }
}

/// Another writer was first: it deleted the object, or changed it.
fn lost(revisions: &[i64]) -> StoreError {
    if revisions.first() == Some(&0) { StoreError::NotFound } else { StoreError::Conflict }
}

pub(super) fn decoded(resource: Resource, plain: &[u8], revision: i64) -> Result<Object, StoreError> {
    let mut object = codec::decode(resource, plain).map_err(StoreError::Decode)?;
    object.metadata_mut().resource_version = Some(revision.to_string());
    Ok(object)
}
