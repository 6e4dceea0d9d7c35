//! Objects to and from the bytes that are sealed: `k8s\0` and protobuf, written by [`envelope::storage`].

use std::collections::BTreeMap;

use envelope::storage::{self, BytesEntry, StorageError, StringEntry, bytes_entries, string_entries};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, NamespaceCondition, NamespaceSpec, NamespaceStatus, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta, OwnerReference, Time};

use super::typed::Object;
use crate::resource::Resource;

/// The plain storage value. The resourceVersion is left out, as upstream does: it is etcd's revision.
pub(crate) fn encode(object: &Object) -> Vec<u8> {
    match object {
        Object::ConfigMap(object) => storage::encode(&storage::ConfigMap {
            metadata: metadata_out(&object.metadata),
            data: texts_out(object.data.as_ref()),
            binary_data: bytes_out(object.binary_data.as_ref()),
            immutable: object.immutable,
        }),
        Object::Namespace(object) => storage::encode(&storage::Namespace {
            metadata: metadata_out(&object.metadata),
            spec: storage::NamespaceSpec {
                finalizers: object.spec.iter().flat_map(|spec| spec.finalizers.iter().flatten().cloned()).collect(),
            },
            status: object.status.as_ref().map(status_out).unwrap_or_default(),
        }),
        Object::Secret(object) => storage::encode(&storage::Secret {
            metadata: metadata_out(&object.metadata),
            data: bytes_out(object.data.as_ref()),
            r#type: object.type_.clone().unwrap_or_default(),
            string_data: Vec::new(),
            immutable: object.immutable,
        }),
    }
}

/// The object in a plain storage value, or in a body in protobuf. Storage never has a resourceVersion.
///
/// # Errors
///
/// [`StorageError`] if `plain` is no object of `resource`.
pub(crate) fn decode(resource: Resource, plain: &[u8]) -> Result<Object, StorageError> {
    let mut object = match resource {
        Resource::ConfigMaps => {
            let stored: storage::ConfigMap = storage::decode(plain)?;
            Object::ConfigMap(ConfigMap {
                metadata: metadata_in(stored.metadata),
                data: Some(texts_in(stored.data)),
                binary_data: Some(bytes_in(stored.binary_data)),
                immutable: stored.immutable,
            })
        }
        Resource::Namespaces => {
            let stored: storage::Namespace = storage::decode(plain)?;
            Object::Namespace(Namespace {
                metadata: metadata_in(stored.metadata),
                spec: Some(NamespaceSpec { finalizers: Some(stored.spec.finalizers) }),
                status: Some(status_in(stored.status)),
            })
        }
        Resource::Secrets => {
            let stored: storage::Secret = storage::decode(plain)?;
            Object::Secret(Secret {
                metadata: metadata_in(stored.metadata),
                data: Some(bytes_in(stored.data)),
                immutable: stored.immutable,
                // Never in storage, but in the bodies of requests, which have the same form.
                string_data: Some(texts_in(stored.string_data)),
                type_: Some(stored.r#type),
            })
        }
    };
    object.normalize();
    Ok(object)
}

fn metadata_out(metadata: &ObjectMeta) -> storage::ObjectMeta {
    storage::ObjectMeta {
        name: metadata.name.clone().unwrap_or_default(),
        generate_name: metadata.generate_name.clone().unwrap_or_default(),
        namespace: metadata.namespace.clone().unwrap_or_default(),
        self_link: String::new(),
        uid: metadata.uid.clone().unwrap_or_default(),
        resource_version: String::new(),
        generation: metadata.generation.unwrap_or_default(),
        creation_timestamp: time_out(metadata.creation_timestamp.as_ref()).unwrap_or_default(),
        deletion_timestamp: time_out(metadata.deletion_timestamp.as_ref()),
        deletion_grace_period_seconds: metadata.deletion_grace_period_seconds,
        labels: texts_out(metadata.labels.as_ref()),
        annotations: texts_out(metadata.annotations.as_ref()),
        owner_references: metadata.owner_references.iter().flatten().map(owner_out).collect(),
        finalizers: metadata.finalizers.clone().unwrap_or_default(),
        managed_fields: metadata.managed_fields.iter().flatten().map(manager_out).collect(),
    }
}

fn metadata_in(stored: storage::ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        name: Some(stored.name),
        generate_name: Some(stored.generate_name),
        namespace: Some(stored.namespace),
        self_link: None,
        uid: Some(stored.uid),
        resource_version: Some(stored.resource_version),
        generation: Some(stored.generation),
        creation_timestamp: stored.creation_timestamp.timestamp().map(Time),
        deletion_timestamp: stored.deletion_timestamp.and_then(|time| time.timestamp()).map(Time),
        deletion_grace_period_seconds: stored.deletion_grace_period_seconds,
        labels: Some(texts_in(stored.labels)),
        annotations: Some(texts_in(stored.annotations)),
        owner_references: Some(stored.owner_references.into_iter().map(owner_in).collect()),
        finalizers: Some(stored.finalizers),
        managed_fields: Some(stored.managed_fields.into_iter().map(manager_in).collect()),
    }
}

fn owner_out(owner: &OwnerReference) -> storage::OwnerReference {
    storage::OwnerReference {
        kind: owner.kind.clone(),
        name: owner.name.clone(),
        uid: owner.uid.clone(),
        api_version: owner.api_version.clone(),
        controller: owner.controller,
        block_owner_deletion: owner.block_owner_deletion,
    }
}

fn owner_in(stored: storage::OwnerReference) -> OwnerReference {
    OwnerReference {
        api_version: stored.api_version,
        block_owner_deletion: stored.block_owner_deletion,
        controller: stored.controller,
        kind: stored.kind,
        name: stored.name,
        uid: stored.uid,
    }
}

fn manager_out(entry: &ManagedFieldsEntry) -> storage::ManagedFieldsEntry {
    storage::ManagedFieldsEntry {
        manager: entry.manager.clone().unwrap_or_default(),
        operation: entry.operation.clone().unwrap_or_default(),
        api_version: entry.api_version.clone().unwrap_or_default(),
        time: time_out(entry.time.as_ref()),
        fields_type: entry.fields_type.clone().unwrap_or_default(),
        fields_v1: entry
            .fields_v1
            .as_ref()
            .map(|fields| storage::FieldsV1 { raw: Some(fields.0.to_string().into_bytes()) }),
        subresource: entry.subresource.clone().unwrap_or_default(),
    }
}

fn manager_in(stored: storage::ManagedFieldsEntry) -> ManagedFieldsEntry {
    let text = |text: String| Some(text).filter(|text| !text.is_empty());
    ManagedFieldsEntry {
        api_version: text(stored.api_version),
        fields_type: text(stored.fields_type),
        // A set of fields that is no JSON owns nothing: it is left out, as upstream does when it cannot decode one.
        fields_v1: stored
            .fields_v1
            .and_then(|fields| fields.raw)
            .and_then(|raw| serde_json::from_slice(&raw).ok())
            .map(FieldsV1),
        manager: text(stored.manager),
        operation: text(stored.operation),
        subresource: text(stored.subresource),
        time: stored.time.and_then(|time| time.timestamp()).map(Time),
    }
}

fn status_out(status: &NamespaceStatus) -> storage::NamespaceStatus {
    storage::NamespaceStatus {
        phase: status.phase.clone().unwrap_or_default(),
        conditions: status
            .conditions
            .iter()
            .flatten()
            .map(|condition| storage::NamespaceCondition {
                r#type: condition.type_.clone(),
                status: condition.status.clone(),
                last_transition_time: time_out(condition.last_transition_time.as_ref()).unwrap_or_default(),
                reason: condition.reason.clone().unwrap_or_default(),
                message: condition.message.clone().unwrap_or_default(),
            })
            .collect(),
    }
}

fn status_in(stored: storage::NamespaceStatus) -> NamespaceStatus {
    let conditions: Vec<_> = stored
        .conditions
        .into_iter()
        .map(|condition| NamespaceCondition {
            last_transition_time: condition.last_transition_time.timestamp().map(Time),
            message: Some(condition.message),
            reason: Some(condition.reason),
            status: condition.status,
            type_: condition.r#type,
        })
        .collect();
    NamespaceStatus {
        conditions: (!conditions.is_empty()).then_some(conditions),
        phase: Some(stored.phase).filter(|phase| !phase.is_empty()),
    }
}

fn time_out(time: Option<&Time>) -> Option<storage::Time> {
    time.map(|time| storage::Time::new(time.0))
}

fn texts_out(map: Option<&BTreeMap<String, String>>) -> Vec<StringEntry> {
    string_entries(map.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())))
}

fn texts_in(entries: Vec<StringEntry>) -> BTreeMap<String, String> {
    entries.into_iter().map(|entry| (entry.key, entry.value)).collect()
}

fn bytes_out(map: Option<&BTreeMap<String, ByteString>>) -> Vec<BytesEntry> {
    bytes_entries(map.into_iter().flatten().map(|(key, value)| (key.clone(), value.0.clone())))
}

fn bytes_in(entries: Vec<BytesEntry>) -> BTreeMap<String, ByteString> {
    entries.into_iter().map(|entry| (entry.key, ByteString(entry.value.unwrap_or_default()))).collect()
}
