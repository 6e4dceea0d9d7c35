//! What the server fills in before it validates and stores.
//!
//! Imitates `rest/create.go`, `rest/update.go`, and the defaults and strategies of Secret, ConfigMap and Namespace.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{NamespaceSpec, NamespaceStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use uuid::Uuid;

use crate::object::Object;
use crate::status::ApiError;

/// Sets what a client may leave out (`pkg/apis/core/v1/defaults.go`).
pub(super) fn set_defaults(object: &mut Object) {
    match object {
        Object::ConfigMap(_) => {}
        Object::Namespace(namespace) => {
            let name = namespace.metadata.name.clone().unwrap_or_default();
            if !name.is_empty() {
                let labels = namespace.metadata.labels.get_or_insert_default();
                labels.entry(NAME_LABEL.into()).or_insert(name);
            }
        }
        Object::Secret(secret) => {
            secret.type_.get_or_insert_with(|| "Opaque".into());
        }
    }
}

/// Sets what only the server may set on a new object.
pub(super) fn for_create(object: &mut Object, now: Timestamp) {
    let metadata = object.metadata_mut();
    metadata.deletion_timestamp = None;
    metadata.deletion_grace_period_seconds = None;
    metadata.creation_timestamp = Some(Time(now));
    metadata.uid = Some(Uuid::new_v4().to_string());
    if let Object::Namespace(namespace) = object {
        // `namespace/strategy.go: PrepareForCreate`.
        namespace.status = Some(NamespaceStatus { conditions: None, phase: Some("Active".into()) });
        let finalizers = namespace.spec.get_or_insert_with(NamespaceSpec::default).finalizers.get_or_insert_default();
        if !finalizers.iter().any(|finalizer| finalizer == KUBERNETES) {
            finalizers.push(KUBERNETES.into());
        }
    }
    object.normalize();
}

/// A name for `generateName`: at most 58 bytes of it and five characters.
pub(super) fn generated_name(prefix: &str) -> String {
    let mut end = prefix.len().min(MAX_GENERATED_PREFIX_BYTES);
    while !prefix.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    let random = Uuid::new_v4();
    let letters: String = random
        .as_bytes()
        .iter()
        .filter_map(|byte| ALPHABET.get(usize::from(*byte) % ALPHABET.len()))
        .map(|letter| char::from(*letter))
        .take(SUFFIX_LENGTH)
        .collect();
    format!("{}{letters}", prefix.get(..end).unwrap_or_default())
}

/// Copies what an update cannot change from `old` to `new`.
pub(super) fn for_update(new: &mut Object, old: &Object) {
    let (before, metadata) = (old.metadata().clone(), new.metadata_mut());
    if metadata.uid.is_none() {
        metadata.uid = before.uid;
    }
    if metadata.name.is_none() {
        metadata.name = before.name;
    }
    if metadata.namespace.is_none() {
        metadata.namespace = before.namespace;
    }
    metadata.creation_timestamp = before.creation_timestamp;
    metadata.deletion_timestamp = before.deletion_timestamp;
    metadata.deletion_grace_period_seconds = before.deletion_grace_period_seconds;
    metadata.generation = before.generation;
    if let (Object::Namespace(new), Object::Namespace(old)) = (new, old) {
        // `namespace/strategy.go: PrepareForUpdate`: both have paths of their own.
        new.spec.clone_from(&old.spec);
        new.status.clone_from(&old.status);
        let name = new.metadata.name.clone().unwrap_or_default();
        new.metadata.labels.get_or_insert_default().insert(NAME_LABEL.into(), name);
    }
}

/// Puts the object in the namespace of the request, or refuses if it says another.
pub(super) fn match_namespace(object: &mut Object, namespace: &str) -> Result<(), ApiError> {
    let metadata = object.metadata_mut();
    match metadata.namespace.as_deref() {
        None => metadata.namespace = Some(namespace.to_owned()).filter(|namespace| !namespace.is_empty()),
        Some(given) if given == namespace => {}
        // The object lives in no namespace: what it says is dropped, as upstream does.
        Some(_) if namespace.is_empty() => metadata.namespace = None,
        Some(_) => {
            let text = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(ApiError::bad_request(text));
        }
    }
    Ok(())
}

/// The label that every namespace has.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
const KUBERNETES: &str = "kubernetes";
/// `names/generate.go`: a DNS label less the suffix.
const MAX_GENERATED_PREFIX_BYTES: usize = 58;
const SUFFIX_LENGTH: usize = 5;
/// `util/rand`: no vowels and nothing that looks like another, so that no bad words come out.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_fit_a_label() {
        let name = generated_name("app-");
        assert!(name.starts_with("app-") && name.len() == 9, "{name}");
        assert_ne!(name, generated_name("app-"));
        assert_eq!(generated_name(&"a".repeat(80)).len(), 63);
    }
}
