//! An object of one of the served kinds.

use std::fmt;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::Value;

use crate::resource::Resource;

/// An object. Its `metadata.resourceVersion` is the etcd revision that it was read at, and is never stored.
///
/// Its `Debug` shows which object it is and nothing of what is in it.
#[derive(Clone, PartialEq)]
pub(crate) enum Object {
    ConfigMap(ConfigMap),
    Namespace(Namespace),
    Secret(Secret),
}

impl Object {
    /// The object in `value`, which has passed [`super::decode`]'s check of names and types.
    pub(crate) fn from_json(resource: Resource, value: Value) -> Result<Self, serde_json::Error> {
        let mut object = match resource {
            Resource::ConfigMaps => Self::ConfigMap(serde_json::from_value(value)?),
            Resource::Namespaces => Self::Namespace(serde_json::from_value(value)?),
            Resource::Secrets => Self::Secret(serde_json::from_value(value)?),
        };
        object.normalize();
        Ok(object)
    }

    /// The object as clients see it, `apiVersion` and `kind` included.
    pub(crate) fn to_json(&self) -> Result<Value, serde_json::Error> {
        serde_json::to_value(self)
    }

    pub(crate) const fn resource(&self) -> Resource {
        match self {
            Self::ConfigMap(_) => Resource::ConfigMaps,
            Self::Namespace(_) => Resource::Namespaces,
            Self::Secret(_) => Resource::Secrets,
        }
    }

    pub(crate) const fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::ConfigMap(object) => &object.metadata,
            Self::Namespace(object) => &object.metadata,
            Self::Secret(object) => &object.metadata,
        }
    }

    pub(crate) const fn metadata_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::ConfigMap(object) => &mut object.metadata,
            Self::Namespace(object) => &mut object.metadata,
            Self::Secret(object) => &mut object.metadata,
        }
    }

    pub(crate) fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    pub(crate) fn namespace(&self) -> &str {
        self.metadata().namespace.as_deref().unwrap_or_default()
    }

    pub(crate) fn uid(&self) -> &str {
        self.metadata().uid.as_deref().unwrap_or_default()
    }

    /// The etcd revision as text; empty on an object that comes from a client and names none.
    pub(crate) fn resource_version(&self) -> &str {
        self.metadata().resource_version.as_deref().unwrap_or_default()
    }

    /// Whether a delete waits for finalizers.
    pub(crate) fn has_finalizers(&self) -> bool {
        self.metadata().finalizers.as_ref().is_some_and(|finalizers| !finalizers.is_empty())
    }

    /// Drops what Go's `omitempty` would not write, cuts times to seconds and folds `stringData` into `data`
    /// (`pkg/apis/core/v1/conversion.go` does so before anything else sees a Secret), so that equal objects have
    /// equal forms.
    pub(crate) fn normalize(&mut self) {
        match self {
            Self::ConfigMap(object) => {
                drop_empty(&mut object.data);
                drop_empty(&mut object.binary_data);
            }
            Self::Namespace(object) => {
                if let Some(spec) = &mut object.spec {
                    drop_empty(&mut spec.finalizers);
                }
            }
            Self::Secret(object) => {
                if let Some(text) = object.string_data.take() {
                    let data = object.data.get_or_insert_default();
                    for (key, value) in text {
                        data.insert(key, k8s_openapi::ByteString(value.into_bytes()));
                    }
                }
                drop_empty(&mut object.data);
                drop_empty(&mut object.type_);
            }
        }
        normalize_metadata(self.metadata_mut());
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(self.resource().kind())
            .field("namespace", &self.namespace())
            .field("name", &self.name())
            .field("resource_version", &self.resource_version())
            .finish_non_exhaustive()
    }
}

impl Serialize for Object {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::ConfigMap(object) => object.serialize(serializer),
            Self::Namespace(object) => object.serialize(serializer),
            Self::Secret(object) => object.serialize(serializer),
        }
    }
}

/// An object as an item of a list, where upstream leaves `apiVersion` and `kind` out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListItem<'a>(pub(crate) &'a Object);

impl Serialize for ListItem<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Serialised member by member and not by way of a `Value`: lists are long.
        let mut members = serializer.serialize_map(None)?;
        members.serialize_entry("metadata", self.0.metadata())?;
        match self.0 {
            Object::ConfigMap(object) => {
                optional(&mut members, "data", object.data.as_ref())?;
                optional(&mut members, "binaryData", object.binary_data.as_ref())?;
                optional(&mut members, "immutable", object.immutable.as_ref())?;
            }
            Object::Namespace(object) => {
                optional(&mut members, "spec", object.spec.as_ref())?;
                optional(&mut members, "status", object.status.as_ref())?;
            }
            Object::Secret(object) => {
                optional(&mut members, "data", object.data.as_ref())?;
                optional(&mut members, "immutable", object.immutable.as_ref())?;
                optional(&mut members, "type", object.type_.as_ref())?;
            }
        }
        members.end()
    }
}

fn optional<M: SerializeMap>(members: &mut M, name: &str, value: Option<&impl Serialize>) -> Result<(), M::Error> {
    match value {
        Some(value) => members.serialize_entry(name, value),
        None => Ok(()),
    }
}

fn normalize_metadata(metadata: &mut ObjectMeta) {
    drop_empty(&mut metadata.annotations);
    drop_empty(&mut metadata.finalizers);
    drop_empty(&mut metadata.generate_name);
    drop_empty(&mut metadata.labels);
    drop_empty(&mut metadata.managed_fields);
    drop_empty(&mut metadata.name);
    drop_empty(&mut metadata.namespace);
    drop_empty(&mut metadata.owner_references);
    drop_empty(&mut metadata.resource_version);
    drop_empty(&mut metadata.uid);
    metadata.self_link = None;
    if metadata.generation == Some(0) {
        metadata.generation = None;
    }
    for time in [&mut metadata.creation_timestamp, &mut metadata.deletion_timestamp].into_iter().flatten() {
        time.0 = whole_seconds(time.0);
    }
    for entry in metadata.managed_fields.iter_mut().flatten() {
        if let Some(time) = &mut entry.time {
            time.0 = whole_seconds(time.0);
        }
    }
}

/// `time` without its fraction of a second: neither the JSON nor the stored form of Kubernetes has one.
pub(crate) fn whole_seconds(time: jiff::Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn drop_empty<T: IsEmpty>(value: &mut Option<T>) {
    if value.as_ref().is_some_and(IsEmpty::is_empty) {
        *value = None;
    }
}

/// What `omitempty` leaves out.
trait IsEmpty {
    fn is_empty(&self) -> bool;
}

impl<K, V> IsEmpty for std::collections::BTreeMap<K, V> {
    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }
}

impl<T> IsEmpty for Vec<T> {
    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }
}

impl IsEmpty for String {
    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_item_is_the_object_without_its_type() {
        let metadata = json!({"name": "a", "labels": {"x": "y"}});
        for (resource, value) in [
            (
                Resource::Secrets,
                json!({"metadata": metadata, "data": {"k": "AA=="}, "immutable": true, "type": "Opaque"}),
            ),
            (Resource::ConfigMaps, json!({"metadata": metadata, "data": {"k": "v"}, "binaryData": {"b": "AA=="}})),
            (
                Resource::Namespaces,
                json!({"metadata": metadata, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}),
            ),
        ] {
            let object = Object::from_json(resource, value.clone()).unwrap();
            assert_eq!(serde_json::to_value(ListItem(&object)).unwrap(), value);
        }
    }

    #[test]
    fn what_a_secret_holds_is_not_shown() {
        let value = json!({"metadata": {"name": "a", "annotations": {"x": "hunter2"}}, "stringData": {"k": "hunter2"}});
        let object = Object::from_json(Resource::Secrets, value).unwrap();
        let shown = format!("{object:?} {object:#?}");
        assert!(shown.contains("Secret") && !shown.contains("hunter2") && !shown.contains("104"), "{shown}");
    }
}
