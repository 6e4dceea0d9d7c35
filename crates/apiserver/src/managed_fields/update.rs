//! Entries of `managedFields` after a create, update or patch.

use std::fmt;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, Time};
use serde_json::Value;

use super::compare::compare;
use super::set::FieldSet;
use crate::object::Object;

/// Sets the managed fields of `new`, which `manager` makes out of `old` (`None`: creates).
///
/// Entries that the client sent replace the stored ones, an empty or unreadable list keeps them, and `[{}]` resets
/// them, as upstream.
pub(crate) fn track(
    old: Option<&Object>,
    new: &mut Object,
    manager: &str,
    now: Timestamp,
) -> Result<(), serde_json::Error> {
    let stored = old.and_then(|old| old.metadata().managed_fields.as_deref()).unwrap_or_default();
    let sent = new.metadata_mut().managed_fields.take().unwrap_or_default();
    let mut entries = match sent.as_slice() {
        [only] if *only == ManagedFieldsEntry::default() => Vec::new(),
        [] => decode(stored).unwrap_or_default(),
        _ => decode(&sent).filter(|entries| !entries.is_empty()).or_else(|| decode(stored)).unwrap_or_default(),
    };
    let old = old.map(owned_part).transpose()?;
    let changes = compare(new.resource().schema(), old.as_ref(), Some(&owned_part(new)?));
    let taken = changes.modified.union(&changes.added);
    for entry in &mut entries {
        entry.fields = entry.fields.difference(&taken.intersection(&entry.fields)).difference(&changes.removed);
    }
    if !taken.is_empty() {
        let id = Id::new(manager, "Update");
        let kept = entries.iter().position(|entry| entry.id == id).map(|index| entries.remove(index));
        let fields = kept.map_or_else(|| taken.clone(), |entry| entry.fields.union(&taken));
        entries.push(Entry { id, fields, time: Some(now) });
    }
    entries.retain(|entry| !entry.fields.is_empty());
    cap(&mut entries);
    let encoded = encode(entries);
    new.metadata_mut().managed_fields = (!encoded.is_empty()).then_some(encoded);
    Ok(())
}

/// Whether two objects differ in nothing but the times of their managed fields.
pub(crate) fn differ_in_times_only(one: &Object, other: &Object) -> bool {
    let timeless = |object: &Object| {
        let mut object = object.clone();
        for entry in object.metadata_mut().managed_fields.iter_mut().flatten() {
            entry.time = None;
        }
        object.metadata_mut().resource_version = None;
        object
    };
    timeless(one) == timeless(other)
}

/// The entries in upstream's order.
pub(super) fn encode(mut entries: Vec<Entry>) -> Vec<ManagedFieldsEntry> {
    entries.sort_by(|a, b| a.order().cmp(&b.order()));
    entries.into_iter().map(Entry::encode).collect()
}

/// What tells two managers apart. Displays as conflicts name it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Id {
    manager: String,
    operation: String,
    api_version: String,
    subresource: String,
}

impl Id {
    pub(super) fn new(manager: &str, operation: &str) -> Self {
        Self {
            manager: manager.to_owned(),
            operation: operation.to_owned(),
            api_version: "v1".into(),
            subresource: String::new(),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.manager)?;
        if !self.subresource.is_empty() {
            write!(f, " with subresource {:?}", self.subresource)?;
        }
        if self.operation == "Update" {
            write!(f, " using {}", self.api_version)?;
        }
        Ok(())
    }
}

/// The fields of one manager.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: Id,
    pub(super) fields: FieldSet,
    pub(super) time: Option<Timestamp>,
}

impl Entry {
    fn encode(self) -> ManagedFieldsEntry {
        ManagedFieldsEntry {
            api_version: Some(self.id.api_version),
            fields_type: Some(FIELDS_V1.into()),
            fields_v1: Some(FieldsV1(self.fields.to_fields())),
            manager: Some(self.id.manager),
            operation: Some(self.id.operation),
            subresource: Some(self.id.subresource).filter(|name| !name.is_empty()),
            time: self.time.map(Time),
        }
    }

    /// Upstream's order: operation, time, manager, version, subresource.
    fn order(&self) -> (&str, Option<Timestamp>, &str, &str, &str) {
        (&self.id.operation, self.time, &self.id.manager, &self.id.api_version, &self.id.subresource)
    }
}

/// The entries, or `None` if one is not of a form that can be read.
pub(super) fn decode(entries: &[ManagedFieldsEntry]) -> Option<Vec<Entry>> {
    entries
        .iter()
        .map(|entry| {
            let operation = entry.operation.clone().filter(|name| name == "Update" || name == "Apply")?;
            entry.fields_type.as_deref().filter(|name| *name == FIELDS_V1)?;
            Some(Entry {
                id: Id {
                    manager: entry.manager.clone().unwrap_or_default(),
                    operation,
                    api_version: entry.api_version.clone().unwrap_or_default(),
                    subresource: entry.subresource.clone().unwrap_or_default(),
                },
                fields: entry
                    .fields_v1
                    .as_ref()
                    .map_or_else(|| Some(FieldSet::default()), |fields| FieldSet::parse(&fields.0))?,
                time: entry.time.as_ref().map(|time| time.0),
            })
        })
        .collect()
}

/// Joins the oldest updaters into one when there are more than upstream keeps apart.
fn cap(entries: &mut Vec<Entry>) {
    let updaters = |entries: &[Entry]| entries.iter().filter(|entry| entry.id.operation == "Update").count();
    while updaters(entries) > MAX_UPDATE_MANAGERS {
        entries.sort_by(|a, b| a.order().cmp(&b.order()));
        let oldest =
            entries.iter().position(|entry| entry.id.operation == "Update" && entry.id.manager != ANCIENT_CHANGES);
        let Some(mut entry) = oldest.map(|index| entries.remove(index)) else { return };
        entry.id = Id { manager: ANCIENT_CHANGES.into(), subresource: String::new(), ..entry.id };
        match entries.iter_mut().find(|other| other.id == entry.id) {
            Some(bucket) => {
                bucket.fields = bucket.fields.union(&entry.fields);
                bucket.time = bucket.time.max(entry.time);
            }
            // The first time round the bucket takes the place of the entry, so one more has to go.
            None => entries.push(entry),
        }
    }
}

/// The object without what no manager owns (`stripmeta.go`, and the status, which only its subresource sets).
fn owned_part(object: &Object) -> Result<Value, serde_json::Error> {
    object.to_json().map(owned)
}

/// As [`owned_part`], of an object in JSON.
pub(super) fn owned(mut value: Value) -> Value {
    if let Value::Object(members) = &mut value {
        for name in ["apiVersion", "kind", "status"] {
            members.remove(name);
        }
        if let Some(Value::Object(metadata)) = members.get_mut("metadata") {
            for name in UNOWNED_METADATA {
                metadata.remove(name);
            }
        }
    }
    value
}

const FIELDS_V1: &str = "FieldsV1";
/// `cap.go: DefaultMaxUpdateManagers`.
const MAX_UPDATE_MANAGERS: usize = 10;
/// `cap.go: oldUpdatesManagerName`.
const ANCIENT_CHANGES: &str = "ancient-changes";
const UNOWNED_METADATA: [&str; 8] =
    ["name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields", "resourceVersion"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resource::Resource;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn secret(value: Value) -> Object {
        Object::from_json(Resource::Secrets, value).unwrap()
    }

    fn owners(object: &Object) -> Value {
        let entries = object.metadata().managed_fields.iter().flatten();
        entries.map(|entry| json!([entry.manager, entry.fields_v1])).collect()
    }

    /// The owners that a real kube-apiserver recorded for the Secret `labelled` of the golden file.
    #[test]
    fn a_create_owns_what_it_sends() {
        let mut new = secret(json!({
            "metadata": {"name": "labelled", "labels": {"app": "web"}, "annotations": {"note": "x"}},
            "data": {"a": "MQ==", "b": "Mg=="}, "type": "Opaque"}));
        track(None, &mut new, "kubectl-create", NOW).unwrap();
        assert_eq!(
            owners(&new),
            json!([["kubectl-create", {
                "f:data": {".": {}, "f:a": {}, "f:b": {}},
                "f:metadata": {"f:annotations": {".": {}, "f:note": {}}, "f:labels": {".": {}, "f:app": {}}},
                "f:type": {}}]])
        );
    }

    #[test]
    fn a_change_moves_to_its_manager_and_a_removal_belongs_to_nobody() {
        let mut old = secret(json!({"metadata": {"name": "a"}, "data": {"a": "MQ==", "b": "Mg=="}, "type": "Opaque"}));
        track(None, &mut old, "one", NOW).unwrap();
        let mut new =
            secret(json!({"metadata": {"name": "a", "finalizers": ["x/y"]}, "data": {"a": "OQ=="}, "type": "Opaque"}));
        track(Some(&old), &mut new, "two", NOW + jiff::SignedDuration::from_secs(1)).unwrap();
        assert_eq!(
            owners(&new),
            json!([
                ["one", {"f:data": {}, "f:type": {}}],
                ["two", {"f:data": {"f:a": {}}, "f:metadata": {"f:finalizers": {".": {}, "v:\"x/y\"": {}}}}],
            ])
        );
    }

    #[test]
    fn no_change_leaves_entries_and_times_alone() {
        let mut old = secret(json!({"metadata": {"name": "a"}, "data": {"a": "MQ=="}}));
        track(None, &mut old, "one", NOW).unwrap();
        let mut new = secret(json!({"metadata": {"name": "a"}, "data": {"a": "MQ=="}}));
        track(Some(&old), &mut new, "two", NOW + jiff::SignedDuration::from_secs(1)).unwrap();
        assert_eq!(new, old);
    }

    #[test]
    fn an_eleventh_updater_joins_the_oldest() {
        let mut object = secret(json!({"metadata": {"name": "a"}}));
        for second in 0_i32..12 {
            let mut next = object.clone();
            let annotations = next.metadata_mut().annotations.get_or_insert_default();
            annotations.insert(format!("k{second}"), String::new());
            let now = NOW + jiff::SignedDuration::from_secs(second.into());
            track(Some(&object), &mut next, &format!("m{second}"), now).unwrap();
            object = next;
        }
        let names: Vec<_> =
            object.metadata().managed_fields.iter().flatten().filter_map(|entry| entry.manager.as_deref()).collect();
        assert_eq!(names.len(), 10);
        assert_eq!(names[0], "ancient-changes");
        assert_eq!(names[9], "m11");
    }
}
