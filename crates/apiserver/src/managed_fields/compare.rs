//! What changed between two versions of an object, as sets of paths.
//!
//! Imitates `structured-merge-diff/typed/compare.go` for the schemas served here: members of a struct are owned one by
//! one and the struct itself is not; a map or list that appears is owned besides its members.

use serde_json::{Map, Value};

use super::set::FieldSet;
use crate::object::schema::{ListKind, Schema};

/// Paths that only the new version has, that only the old one has, and that both have with other values.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) added: FieldSet,
    pub(super) modified: FieldSet,
    pub(super) removed: FieldSet,
}

/// Compares two objects. `None` stands for "not there yet".
pub(super) fn compare(schema: &'static Schema, old: Option<&Value>, new: Option<&Value>) -> Comparison {
    let mut walk = Walk::default();
    walk.visit(schema, old, new);
    walk.result
}

#[derive(Default)]
struct Walk {
    path: Vec<String>,
    result: Comparison,
}

impl Walk {
    fn visit(&mut self, schema: &'static Schema, old: Option<&Value>, new: Option<&Value>) {
        match schema {
            Schema::Struct(message) if !message.atomic => {
                for field in message.fields {
                    let member = |value: Option<&Value>| value.and_then(|value| value.get(field.name)).cloned();
                    self.below(format!("f:{}", field.name), field.schema, member(old).as_ref(), member(new).as_ref());
                }
            }
            Schema::Map { values } => {
                self.container(old, new);
                let empty = Map::new();
                let old = old.and_then(Value::as_object).unwrap_or(&empty);
                let new = new.and_then(Value::as_object).unwrap_or(&empty);
                for key in old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))) {
                    self.below(format!("f:{key}"), values, old.get(key), new.get(key));
                }
            }
            Schema::List { items, kind: ListKind::Set | ListKind::Keyed(_) } => {
                self.container(old, new);
                let old = elements(schema, old);
                let new = elements(schema, new);
                for (element, value) in &old {
                    let other = new.iter().find(|(name, _)| name == element).map(|(_, value)| *value);
                    self.below(element.clone(), items, Some(value), other);
                }
                for (element, value) in new.iter().filter(|(name, _)| !old.iter().any(|(other, _)| other == name)) {
                    self.below(element.clone(), items, None, Some(value));
                }
            }
            Schema::Any
            | Schema::Boolean
            | Schema::Bytes
            | Schema::Integer
            | Schema::List { kind: ListKind::Atomic, .. }
            | Schema::String
            | Schema::Struct(_)
            | Schema::Time => self.leaf(old, new),
        }
    }

    fn below(&mut self, element: String, schema: &'static Schema, old: Option<&Value>, new: Option<&Value>) {
        self.path.push(element);
        self.visit(schema, old, new);
        self.path.pop();
    }

    /// A map or list is a path of its own, which only comes and goes. An empty one is as good as none.
    fn container(&mut self, old: Option<&Value>, new: Option<&Value>) {
        let is_there = |value: Option<&Value>| value.is_some_and(|value| !is_empty(value));
        match (is_there(old), is_there(new)) {
            (false, true) => self.result.added.insert(&self.path),
            (true, false) => self.result.removed.insert(&self.path),
            (false, false) | (true, true) => {}
        }
    }

    fn leaf(&mut self, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            (None, Some(_)) => self.result.added.insert(&self.path),
            (Some(_), None) => self.result.removed.insert(&self.path),
            (Some(old), Some(new)) if old != new => self.result.modified.insert(&self.path),
            (None, None) | (Some(_), Some(_)) => {}
        }
    }
}

/// Whether `value` is a list or map without items.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// The items of a list with the path elements that name them.
fn elements<'a>(schema: &Schema, list: Option<&'a Value>) -> Vec<(String, &'a Value)> {
    let Schema::List { kind, .. } = schema else { return Vec::new() };
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| Some((element(*kind, item)?, item))).collect()
}

/// The path element that names an item of a list. `None` for one without its key.
pub(super) fn element(kind: ListKind, item: &Value) -> Option<String> {
    match kind {
        ListKind::Keyed(key) => {
            let mut name = Map::new();
            name.insert(key.into(), item.get(key)?.clone());
            Some(format!("k:{}", Value::Object(name)))
        }
        ListKind::Atomic | ListKind::Set => Some(format!("v:{item}")),
    }
}
