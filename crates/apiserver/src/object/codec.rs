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

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::managed_fields;

    /// Secrets that a real kube-apiserver stored and kubectl showed; their origin is in the README beside the file.
    fn recorded() -> Vec<Value> {
        let file = include_str!("../../../envelope/tests/golden/secrets.json");
        let recorded: Value = serde_json::from_str(file).unwrap();
        recorded["secrets"].as_array().unwrap().clone()
    }

    fn plain(secret: &Value) -> Vec<u8> {
        STANDARD.decode(secret["plain_b64"].as_str().unwrap()).unwrap()
    }

    fn shown(secret: &Value) -> Value {
        let mut shown = secret["kubectl_json"].clone();
        shown["metadata"].as_object_mut().unwrap().remove("resourceVersion");
        shown
    }

    #[test]
    fn values_of_a_real_server_show_and_store_as_there() {
        assert!(recorded().len() >= 6);
        for secret in recorded() {
            let object = decode(Resource::Secrets, &plain(&secret)).unwrap();
            assert_eq!(object.to_json().unwrap(), shown(&secret));
            assert_eq!(encode(&object), plain(&secret), "{}", secret["name"]);
        }
    }

    /// What kubectl shows, sent through the front's own decoding and field tracking, is stored in the very same bytes.
    #[test]
    fn what_a_client_sends_is_stored_in_the_bytes_of_a_real_server() {
        for secret in recorded() {
            let mut sent = shown(&secret);
            let entry = sent["metadata"]["managedFields"][0].clone();
            sent["metadata"].as_object_mut().unwrap().remove("managedFields");
            let body = serde_json::to_vec(&sent).unwrap();
            let mut object = crate::object::decode::object(Resource::Secrets, &body).unwrap().object;
            let now = entry["time"].as_str().unwrap().parse().unwrap();
            managed_fields::track(None, &mut object, entry["manager"].as_str().unwrap(), now).unwrap();
            assert_eq!(encode(&object), plain(&secret), "{}", secret["name"]);
        }
    }

    #[test]
    fn namespaces_and_config_maps_come_back() {
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Terminating", "conditions": [{"type": "T", "status": "True", "reason": "R", "message": "m"}]},
        });
        let object = Object::from_json(Resource::Namespaces, namespace).unwrap();
        assert_eq!(decode(Resource::Namespaces, &encode(&object)).unwrap(), object);
        let config_map =
            json!({"metadata": {"name": "a"}, "data": {"k": ""}, "binaryData": {"b": "AA=="}, "immutable": true});
        let object = Object::from_json(Resource::ConfigMaps, config_map).unwrap();
        assert_eq!(decode(Resource::ConfigMaps, &encode(&object)).unwrap(), object);
    }

    proptest! {
        #[test]
        fn any_secret_comes_back(
            labels in proptest::collection::btree_map("[a-z]{1,3}", ".{0,4}", 0..3),
            data in proptest::collection::btree_map("[a-z]{1,3}", proptest::collection::vec(any::<u8>(), 0..9), 0..3),
            finalizers in proptest::collection::vec("[a-z]{1,3}", 0..3),
            immutable in proptest::option::of(any::<bool>()),
            seconds in 0_i64..4_000_000_000,
        ) {
            let mut object = Object::Secret(Secret {
                data: Some(data.into_iter().map(|(key, value)| (key, ByteString(value))).collect()),
                immutable,
                metadata: ObjectMeta {
                    creation_timestamp: Some(Time(jiff::Timestamp::from_second(seconds).unwrap())),
                    finalizers: Some(finalizers),
                    labels: Some(labels),
                    name: Some("a".into()),
                    ..ObjectMeta::default()
                },
                ..Secret::default()
            });
            object.normalize();
            prop_assert_eq!(decode(Resource::Secrets, &encode(&object)).unwrap(), object);
        }

        #[test]
        fn bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let value = [b"k8s\0".as_slice(), &bytes].concat();
            for resource in Resource::ALL {
                let _ = decode(resource, &value);
            }
        }
    }
}
