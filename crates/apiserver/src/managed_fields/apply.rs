//! Server-side apply: what becomes of an object when a manager states the fields that it wants.
//!
//! Imitates `structured-merge-diff` (`merge/update.go: Apply`): the stated fields are merged in, those that the manager
//! stated before and states no longer are removed unless somebody else owns them, and a change of a field that another
//! manager owns is a conflict unless it is forced.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::compare::{compare, element, is_empty};
use super::set::FieldSet;
use super::update::{Entry, Id, decode, encode, owned};
use crate::object::Object;
use crate::object::schema::{ListKind, Schema};

/// Who applies, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Applier<'a> {
    pub(crate) manager: &'a str,
    /// Takes fields from other managers.
    pub(crate) force: bool,
    pub(crate) now: Timestamp,
}

/// The JSON of `live` (`None`: not there yet) after `applier` stated `config`, its `managedFields` included.
///
/// # Errors
///
/// [`Conflicts`] with other managers.
pub(crate) fn apply(
    schema: &'static Schema,
    live: Option<&Object>,
    config: &Value,
    applier: Applier<'_>,
) -> Result<Value, ApplyError> {
    let before = live.map(Object::to_json).transpose().map_err(ApplyError::Json)?.unwrap_or_default();
    let stored = live.and_then(|live| live.metadata().managed_fields.as_deref()).unwrap_or_default();
    let mut entries = decode(stored).unwrap_or_default();
    let id = Id::new(applier.manager, "Apply");
    let mine = entries.iter().position(|entry| entry.id == id).map(|index| entries.remove(index));
    let stated = owned(config.clone());
    let fields = stated_fields(schema, &stated);
    let mut after = merge(schema, before.clone(), &stated);

    let live_part = live.map(|_| owned(before.clone()));
    let changes = compare(schema, live_part.as_ref(), Some(&owned(after.clone())));
    let touched = changes.modified.union(&changes.added);
    let mut conflicts = Vec::new();
    for entry in &mut entries {
        let contested = entry.fields.intersection(&touched);
        conflicts.extend(contested.paths().into_iter().map(|path| Conflict { id: entry.id.clone(), path }));
        entry.fields = entry.fields.difference(&contested);
    }
    if !conflicts.is_empty() && !applier.force {
        return Err(ApplyError::Conflicts(Conflicts(conflicts)));
    }

    // A map that was stated empty is not dropped while there is something in it.
    let mut dropped = mine.as_ref().map(|mine| mine.fields.difference(&fields.with_parents())).unwrap_or_default();
    for entry in &entries {
        dropped = dropped.difference(&entry.fields.with_parents());
    }
    for path in dropped.paths() {
        remove(schema, &mut after, &path);
    }
    let removed = compare(schema, live_part.as_ref(), Some(&owned(after.clone()))).removed;
    for entry in &mut entries {
        entry.fields = entry.fields.difference(&removed);
    }
    entries.retain(|entry| !entry.fields.is_empty());
    entries.push(Entry { id, fields, time: Some(applier.now) });
    let encoded = serde_json::to_value(encode(entries)).map_err(ApplyError::Json)?;
    if let Value::Object(members) = &mut after {
        let metadata = members.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(metadata) = metadata {
            metadata.insert("managedFields".into(), encoded);
        }
    }
    Ok(after)
}

/// The paths of the values in `config`: what its manager owns from now on.
fn stated_fields(schema: &'static Schema, config: &Value) -> FieldSet {
    let mut fields = FieldSet::default();
    collect(schema, config, &mut Vec::new(), &mut fields);
    fields
}

fn collect(schema: &'static Schema, value: &Value, path: &mut Vec<String>, fields: &mut FieldSet) {
    match (schema, value) {
        (Schema::Struct(message), Value::Object(members)) if !message.atomic => {
            for (name, value) in members {
                if let Some(field) = message.field(name) {
                    path.push(format!("f:{name}"));
                    collect(field.schema, value, path, fields);
                    path.pop();
                }
            }
        }
        (Schema::Map { values }, Value::Object(members)) if !members.is_empty() => {
            for (name, value) in members {
                path.push(format!("f:{name}"));
                collect(values, value, path, fields);
                path.pop();
            }
        }
        (Schema::List { items, kind: kind @ (ListKind::Keyed(_) | ListKind::Set) }, Value::Array(list)) => {
            for item in list {
                if let Some(name) = element(*kind, item) {
                    path.push(name);
                    collect(items, item, path, fields);
                    path.pop();
                }
            }
        }
        _ => fields.insert(path),
    }
}

/// `config` over `live`: what both have is merged by key, what only one has is kept.
fn merge(schema: &'static Schema, live: Value, config: &Value) -> Value {
    match (schema, live, config) {
        (Schema::Struct(message), live, Value::Object(config)) if !message.atomic => {
            merge_members(schema, live, config)
        }
        (Schema::Map { .. }, live, Value::Object(config)) => merge_members(schema, live, config),
        (
            Schema::List { items, kind: kind @ (ListKind::Keyed(_) | ListKind::Set) },
            Value::Array(mut list),
            Value::Array(config),
        ) => {
            for item in config {
                let name = element(*kind, item);
                match list.iter_mut().find(|other| element(*kind, other) == name) {
                    Some(other) => *other = merge(items, std::mem::take(other), item),
                    None => list.push(item.clone()),
                }
            }
            Value::Array(list)
        }
        (_, _, config) => config.clone(),
    }
}

fn merge_members(schema: &'static Schema, live: Value, config: &Map<String, Value>) -> Value {
    let mut members = match live {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    for (name, value) in config {
        if let Some(below) = schema.member(name) {
            let old = members.remove(name).unwrap_or_default();
            members.insert(name.clone(), merge(below, old, value));
        }
    }
    Value::Object(members)
}

/// Takes the value at `path` out of `value`.
fn remove(schema: &'static Schema, value: &mut Value, path: &[String]) {
    let [first, rest @ ..] = path else { return };
    match (schema, value) {
        (Schema::List { items, kind }, Value::Array(list)) => {
            if rest.is_empty() {
                list.retain(|item| element(*kind, item).as_ref() != Some(first));
            } else if let Some(item) = list.iter_mut().find(|item| element(*kind, item).as_ref() == Some(first)) {
                remove(items, item, rest);
            }
        }
        (schema, Value::Object(members)) => {
            let name = first.strip_prefix("f:").unwrap_or(first);
            if rest.is_empty() {
                // What nobody owns in a container stays, and with it the container.
                let is_leaf = schema.member(name).is_none_or(Schema::is_leaf);
                if is_leaf || members.get(name).is_some_and(is_empty) {
                    members.remove(name);
                }
            } else if let (Some(below), Some(value)) = (schema.member(name), members.get_mut(name)) {
                remove(below, value, rest);
            }
        }
        _ => {}
    }
}

/// An apply that cannot be done.
#[derive(Debug)]
pub(crate) enum ApplyError {
    Conflicts(Conflicts),
    Json(serde_json::Error),
}

/// Fields that the applier would change and others own. Displays as upstream's message.
#[derive(Debug)]
pub(crate) struct Conflicts(Vec<Conflict>);

#[derive(Debug)]
struct Conflict {
    id: Id,
    path: Vec<String>,
}

impl Conflicts {
    /// The text and the field of each, for the causes of a Status.
    pub(crate) fn causes(&self) -> impl Iterator<Item = (String, String)> {
        self.0.iter().map(|conflict| (format!("conflict with {}", conflict.id), conflict.shown()))
    }
}

impl Conflict {
    fn shown(&self) -> String {
        let parts = self.path.iter().map(|part| match part.split_once(':') {
            Some(("f", name)) => format!(".{name}"),
            Some(("v", item)) => format!("[={item}]"),
            Some(("k", key)) => match serde_json::from_str::<Map<String, Value>>(key) {
                Ok(key) => {
                    let keys: Vec<_> = key.iter().map(|(name, value)| format!("{name}={value}")).collect();
                    format!("[{}]", keys.join(","))
                }
                Err(_) => format!("[{key}]"),
            },
            _ => part.clone(),
        });
        parts.collect()
    }
}

impl fmt::Display for Conflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.0.as_slice() {
            return write!(f, "Apply failed with 1 conflict: conflict with {}: {}", only.id, only.shown());
        }
        write!(f, "Apply failed with {} conflicts: ", self.0.len())?;
        let mut managers: Vec<String> = self.0.iter().map(|conflict| conflict.id.to_string()).collect();
        managers.sort();
        managers.dedup();
        for (index, manager) in managers.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n" };
            write!(f, "{gap}conflicts with {manager}:")?;
            for conflict in self.0.iter().filter(|conflict| conflict.id.to_string() == *manager) {
                write!(f, "\n- {}", conflict.shown())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::managed_fields::track;
    use crate::resource::Resource;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn applied(live: Option<&Object>, config: &Value, manager: &str, force: bool) -> Result<Object, String> {
        let applier = Applier { manager, force, now: NOW };
        match apply(Resource::ConfigMaps.schema(), live, config, applier) {
            Ok(value) => Ok(Object::from_json(Resource::ConfigMaps, value).unwrap()),
            Err(ApplyError::Conflicts(conflicts)) => Err(conflicts.to_string()),
            Err(ApplyError::Json(error)) => panic!("{error}"),
        }
    }

    fn seen(object: &Object) -> Value {
        let value = object.to_json().unwrap();
        let entries = value["metadata"]["managedFields"].as_array().unwrap();
        let owners: Vec<_> =
            entries.iter().map(|entry| json!([entry["manager"], entry["operation"], entry["fieldsV1"]])).collect();
        json!({"data": value["data"], "labels": value["metadata"]["labels"], "owners": owners})
    }

    #[test]
    fn what_is_stated_no_longer_goes_and_what_others_own_stays() {
        let config = json!({"metadata": {"name": "a", "labels": {"x": "1"}}, "data": {"mine": "1", "shared": "1"}});
        let first = applied(None, &config, "one", false).unwrap();
        let second = applied(Some(&first), &json!({"data": {"shared": "1", "theirs": "2"}}), "two", false).unwrap();
        let third = applied(Some(&second), &json!({"data": {}}), "one", false).unwrap();
        assert_eq!(
            seen(&third),
            json!({
                "data": {"shared": "1", "theirs": "2"},
                "labels": null,
                "owners": [
                    ["one", "Apply", {"f:data": {}}],
                    ["two", "Apply", {"f:data": {"f:shared": {}, "f:theirs": {}}}],
                ],
            })
        );
    }

    #[test]
    fn a_field_of_another_manager_is_a_conflict_until_it_is_forced() {
        let mut live =
            Object::from_json(Resource::ConfigMaps, json!({"metadata": {"name": "a"}, "data": {"k": "1", "l": "1"}}))
                .unwrap();
        track(None, &mut live, "kubectl-create", NOW).unwrap();
        let same = applied(Some(&live), &json!({"data": {"k": "1"}}), "me", false).unwrap();
        assert_eq!(seen(&same)["owners"][0], json!(["me", "Apply", {"f:data": {"f:k": {}}}]));
        let one = applied(Some(&live), &json!({"data": {"k": "2"}}), "me", false).unwrap_err();
        insta::assert_snapshot!(one, @r#"Apply failed with 1 conflict: conflict with "kubectl-create" using v1: .data.k"#);
        let two = applied(Some(&live), &json!({"data": {"k": "2", "l": "2"}}), "me", false).unwrap_err();
        insta::assert_snapshot!(two, @r#"
        Apply failed with 2 conflicts: conflicts with "kubectl-create" using v1:
        - .data.k
        - .data.l
        "#);
        let forced = applied(Some(&live), &json!({"data": {"k": "2"}}), "me", true).unwrap();
        assert_eq!(
            seen(&forced)["owners"],
            json!([
                ["me", "Apply", {"f:data": {"f:k": {}}}],
                ["kubectl-create", "Update", {"f:data": {".": {}, "f:l": {}}}],
            ])
        );
    }

    #[test]
    fn items_of_sets_and_keyed_lists_are_owned_one_by_one() {
        let owner = |uid: &str| json!({"apiVersion": "v1", "kind": "Secret", "name": uid, "uid": uid});
        let config = |finalizers: Value, owners: Value| json!({"metadata": {"finalizers": finalizers, "ownerReferences": owners}});
        let first =
            applied(None, &config(json!(["x/a", "x/b"]), json!([owner("1"), owner("2")])), "one", false).unwrap();
        let second = applied(Some(&first), &config(json!(["x/c", "x/b"]), json!([owner("2")])), "one", false).unwrap();
        let metadata = second.metadata();
        assert_eq!(metadata.finalizers.as_deref().unwrap(), ["x/b", "x/c"]);
        let uids: Vec<_> = metadata.owner_references.iter().flatten().map(|owner| owner.uid.as_str()).collect();
        assert_eq!(uids, ["2"]);
    }

    fn configs() -> impl Strategy<Value = Value> {
        let map = || proptest::collection::btree_map("[a-c]", "[12]", 0..3);
        let finalizers = proptest::collection::btree_set("x/[a-c]", 0..3);
        (map(), map(), finalizers).prop_map(|(data, labels, finalizers)| {
            json!({"metadata": {"name": "a", "labels": labels, "finalizers": finalizers}, "data": data})
        })
    }

    proptest! {
        /// Two managers apply in turns, by force: what the last one stated is there, and stating it again is nothing new.
        #[test]
        fn the_last_word_counts_and_is_said_once(turns in proptest::collection::vec((any::<bool>(), configs()), 1..6)) {
            let mut live: Option<Object> = None;
            for (is_first, config) in turns {
                let manager = if is_first { "one" } else { "two" };
                let object = applied(live.as_ref(), &config, manager, true).unwrap();
                let value = object.to_json().unwrap();
                for (pointer, stated) in [("/data", &config["data"]), ("/metadata/labels", &config["metadata"]["labels"])] {
                    for (key, stated) in stated.as_object().unwrap() {
                        prop_assert_eq!(value.pointer(&format!("{pointer}/{key}")), Some(stated));
                    }
                }
                let again = applied(Some(&object), &config, manager, false).unwrap();
                prop_assert_eq!(again.to_json().unwrap(), value);
                live = Some(object);
            }
        }
    }
}
