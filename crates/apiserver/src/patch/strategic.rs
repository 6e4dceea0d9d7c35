//! Strategic merge patches.
//!
//! Imitates `apimachinery/pkg/util/strategicpatch`: maps merge by key, lists by their merge key or as sets, and the
//! directives `$patch`, `$retainKeys`, `$setElementOrder/…` and `$deleteFromPrimitiveList/…` do what they say.

use serde_json::{Map, Value};

use super::apply::PatchError;
use crate::object::schema::{ListKind, Schema};

/// `object` with `patch` merged into it.
///
/// # Errors
///
/// [`PatchError::Directive`] for a directive that says nothing known.
pub(super) fn merge(schema: &'static Schema, object: Value, patch: &Value) -> Result<Value, PatchError> {
    match (object, patch) {
        (Value::Object(object), Value::Object(patch)) => merge_objects(schema, object, patch).map(Value::Object),
        (_, Value::Object(patch)) => merge_objects(schema, Map::new(), patch).map(Value::Object),
        (_, other) => Ok(other.clone()),
    }
}

fn merge_objects(
    schema: &'static Schema,
    mut object: Map<String, Value>,
    patch: &Map<String, Value>,
) -> Result<Map<String, Value>, PatchError> {
    match patch.get(PATCH) {
        None => {}
        Some(directive) if directive == "merge" => {}
        Some(directive) if directive == "delete" => return Ok(Map::new()),
        Some(directive) if directive == "replace" => {
            let mut replaced = patch.clone();
            replaced.remove(PATCH);
            return Ok(replaced);
        }
        Some(other) => return Err(PatchError::Directive { directive: PATCH, given: other.to_string() }),
    }
    if let Some(kept) = patch.get(RETAIN_KEYS) {
        let Value::Array(kept) = kept else {
            return Err(PatchError::Directive { directive: RETAIN_KEYS, given: kept.to_string() });
        };
        object.retain(|name, _| kept.iter().any(|other| other == name));
    }
    for (name, deleted) in directed(patch, DELETE_FROM_LIST) {
        if let (Some(Value::Array(list)), Value::Array(deleted)) = (object.get_mut(name), deleted) {
            list.retain(|item| !deleted.contains(item));
        }
    }
    for (name, value) in patch.iter().filter(|(name, _)| !name.starts_with('$')) {
        if value.is_null() {
            object.remove(name);
            continue;
        }
        let below = schema.member(name);
        let merged = match (value, below) {
            (Value::Object(_), _) => {
                let old = object.remove(name).unwrap_or_default();
                merge(below.unwrap_or(&FREE), old, value)?
            }
            (Value::Array(patch), Some(Schema::List { items, kind: kind @ (ListKind::Keyed(_) | ListKind::Set) })) => {
                let old = match object.remove(name) {
                    Some(Value::Array(old)) => old,
                    _ => Vec::new(),
                };
                Value::Array(merge_lists(items, *kind, old, patch)?)
            }
            _ => value.clone(),
        };
        object.insert(name.clone(), merged);
    }
    for (name, order) in directed(patch, SET_ELEMENT_ORDER) {
        if let (Some(Value::Array(list)), Value::Array(order)) = (object.get_mut(name), order) {
            let key = match schema.member(name) {
                Some(Schema::List { kind: ListKind::Keyed(key), .. }) => Some(*key),
                _ => None,
            };
            *list = in_order(std::mem::take(list), order, key);
        }
    }
    Ok(object)
}

fn merge_lists(
    items: &'static Schema,
    kind: ListKind,
    mut list: Vec<Value>,
    patch: &[Value],
) -> Result<Vec<Value>, PatchError> {
    if patch.iter().any(|item| item.get(PATCH).is_some_and(|directive| directive == "replace")) {
        return Ok(patch.iter().filter(|item| item.get(PATCH).is_none()).cloned().collect());
    }
    for item in patch {
        let same = |other: &Value| match kind {
            ListKind::Keyed(key) => other.get(key).is_some_and(|name| Some(name) == item.get(key)),
            ListKind::Atomic | ListKind::Set => other == item,
        };
        let at = list.iter().position(same);
        if item.get(PATCH).is_some_and(|directive| directive == "delete") {
            list.retain(|other| !same(other));
        } else if let Some(old) = at.and_then(|index| list.get_mut(index)) {
            *old = merge(items, std::mem::take(old), item)?;
        } else {
            list.push(match item {
                Value::Object(_) => merge(items, Value::Null, item)?,
                other => other.clone(),
            });
        }
    }
    Ok(list)
}

/// Puts the items that `order` names in its order; the others keep their place relative to what precedes them.
fn in_order(list: Vec<Value>, order: &[Value], key: Option<&str>) -> Vec<Value> {
    let rank = |item: &Value| {
        order.iter().position(|wanted| match key {
            Some(key) => wanted.get(key).is_some() && wanted.get(key) == item.get(key),
            None => wanted == item,
        })
    };
    let mut named: Vec<(usize, Value)> = Vec::new();
    let mut others: Vec<(usize, Value)> = Vec::new();
    for (index, item) in list.into_iter().enumerate() {
        match rank(&item) {
            Some(rank) => named.push((rank, item)),
            None => others.push((index, item)),
        }
    }
    named.sort_by_key(|(rank, _)| *rank);
    let mut result: Vec<Value> = named.into_iter().map(|(_, item)| item).collect();
    for (index, item) in others {
        result.insert(index.min(result.len()), item);
    }
    result
}

/// The members of `patch` that carry the directive `prefix`, with the name of the list that they direct.
fn directed<'a>(patch: &'a Map<String, Value>, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    patch.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value)))
}

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const SET_ELEMENT_ORDER: &str = "$setElementOrder/";
const DELETE_FROM_LIST: &str = "$deleteFromPrimitiveList/";

/// What stands where the schema knows nothing: maps merge by key.
static FREE: Schema = Schema::Any;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resource::Resource;

    fn patched(object: Value, patch: &Value) -> Value {
        merge(Resource::Secrets.schema(), object, patch).unwrap()
    }

    #[test]
    fn maps_merge_and_null_removes() {
        let result = patched(
            json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "data": {"k": "MQ=="}}),
            &json!({"metadata": {"labels": {"a": null, "c": "3"}}, "type": "Opaque"}),
        );
        assert_eq!(
            result,
            json!({"metadata": {"labels": {"b": "2", "c": "3"}}, "data": {"k": "MQ=="}, "type": "Opaque"})
        );
    }

    #[test]
    fn finalizers_are_a_set_with_an_order() {
        let object = json!({"metadata": {"finalizers": ["x/a", "x/b", "x/c"]}});
        let added = patched(object.clone(), &json!({"metadata": {"finalizers": ["x/d", "x/a"]}}));
        assert_eq!(added["metadata"]["finalizers"], json!(["x/a", "x/b", "x/c", "x/d"]));
        let patch = json!({"metadata": {
            "$deleteFromPrimitiveList/finalizers": ["x/b"],
            "$setElementOrder/finalizers": ["x/c", "x/a"]}});
        assert_eq!(patched(object, &patch)["metadata"]["finalizers"], json!(["x/c", "x/a"]));
    }

    #[test]
    fn owners_merge_by_uid() {
        let object = json!({"metadata": {"ownerReferences": [{"uid": "1", "name": "a"}, {"uid": "2", "name": "b"}]}});
        let patch =
            json!({"metadata": {"ownerReferences": [{"uid": "2", "name": "c"}, {"uid": "1", "$patch": "delete"}]}});
        assert_eq!(patched(object, &patch)["metadata"]["ownerReferences"], json!([{"uid": "2", "name": "c"}]));
    }

    #[test]
    fn directives_replace_delete_and_retain() {
        let object = json!({"data": {"a": "1", "b": "2"}});
        assert_eq!(
            patched(object.clone(), &json!({"data": {"$patch": "replace", "c": "3"}})),
            json!({"data": {"c": "3"}})
        );
        assert_eq!(patched(object.clone(), &json!({"data": {"$patch": "delete"}})), json!({"data": {}}));
        let retained = patched(object.clone(), &json!({"data": {"$retainKeys": ["a", "c"], "c": "3"}}));
        assert_eq!(retained, json!({"data": {"a": "1", "c": "3"}}));
        let error = merge(Resource::Secrets.schema(), object, &json!({"$patch": "explode"})).unwrap_err();
        assert_eq!(error.to_string(), "unrecognized type in $patch directive: \"explode\"");
    }
}
