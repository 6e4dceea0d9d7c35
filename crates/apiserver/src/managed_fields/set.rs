//! A set of field paths, with its `FieldsV1` form.
//!
//! Path elements are kept as `FieldsV1` writes them: `f:name`, `k:{"uid":"…"}`, `v:"item"`. Their byte order is
//! upstream's order of elements for the kinds that occur here.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A tree of path elements; a node that `is_member` stands for the path that ends in it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct FieldSet {
    is_member: bool,
    children: BTreeMap<String, Self>,
}

impl FieldSet {
    /// Reads `FieldsV1`. `None` if it is not of that form.
    pub(super) fn parse(fields: &Value) -> Option<Self> {
        let mut set = Self::default();
        for (element, below) in fields.as_object()? {
            if element == "." {
                set.is_member = true;
                continue;
            }
            if !element.contains(':') {
                return None;
            }
            let mut child = Self::parse(below)?;
            if child.children.is_empty() {
                child.is_member = true;
            }
            set.children.insert(element.clone(), child);
        }
        Some(set)
    }

    /// The `FieldsV1` form.
    pub(super) fn to_fields(&self) -> Value {
        let mut object = Map::new();
        if self.is_member && !self.children.is_empty() {
            object.insert(".".into(), Value::Object(Map::new()));
        }
        for (element, child) in &self.children {
            object.insert(element.clone(), child.to_fields());
        }
        Value::Object(object)
    }

    pub(super) fn insert(&mut self, path: &[String]) {
        match path {
            [] => self.is_member = true,
            [first, rest @ ..] => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    /// This set with every path that leads to a member.
    pub(super) fn with_parents(&self) -> Self {
        let children = self.children.iter().map(|(element, child)| (element.clone(), child.with_parents()));
        Self { is_member: true, children: children.collect() }
    }

    /// The paths of all members.
    pub(super) fn paths(&self) -> Vec<Vec<String>> {
        let mut paths = Vec::new();
        self.collect(&mut Vec::new(), &mut paths);
        paths
    }

    fn collect(&self, path: &mut Vec<String>, paths: &mut Vec<Vec<String>>) {
        if self.is_member {
            paths.push(path.clone());
        }
        for (element, child) in &self.children {
            path.push(element.clone());
            child.collect(path, paths);
            path.pop();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.is_member && self.children.is_empty()
    }

    pub(super) fn union(&self, other: &Self) -> Self {
        let mut union = self.clone();
        union.is_member |= other.is_member;
        for (element, child) in &other.children {
            let merged = union.children.get(element).map_or_else(|| child.clone(), |mine| mine.union(child));
            union.children.insert(element.clone(), merged);
        }
        union
    }

    pub(super) fn difference(&self, other: &Self) -> Self {
        self.filter(Some(other), |mine, theirs| mine && !theirs)
    }

    pub(super) fn intersection(&self, other: &Self) -> Self {
        self.filter(Some(other), |mine, theirs| mine && theirs)
    }

    fn filter(&self, other: Option<&Self>, keep: fn(bool, bool) -> bool) -> Self {
        let children = self.children.iter().map(|(element, child)| {
            let theirs = other.and_then(|other| other.children.get(element));
            (element.clone(), child.filter(theirs, keep))
        });
        Self {
            is_member: keep(self.is_member, other.is_some_and(|other| other.is_member)),
            children: children.filter(|(_, child)| !child.is_empty()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn set(paths: &[&[&str]]) -> FieldSet {
        let mut set = FieldSet::default();
        for path in paths {
            set.insert(&path.iter().map(|element| format!("f:{element}")).collect::<Vec<_>>());
        }
        set
    }

    #[test]
    fn the_form_of_a_real_secret_round_trips() {
        let fields =
            json!({"f:data": {".": {}, "f:password": {}}, "f:metadata": {"f:labels": {"f:a": {}}}, "f:type": {}});
        let parsed = FieldSet::parse(&fields).unwrap();
        assert_eq!(parsed.to_fields(), fields);
        let same = set(&[&["data"], &["data", "password"], &["metadata", "labels", "a"], &["type"]]);
        assert_eq!(parsed, same);
    }

    fn sets() -> impl Strategy<Value = FieldSet> {
        let path = proptest::collection::vec("f:[abc]", 1..4);
        proptest::collection::vec(path, 0..6).prop_map(|paths| {
            let mut set = FieldSet::default();
            for path in paths {
                set.insert(&path);
            }
            set
        })
    }

    proptest! {
        #[test]
        fn every_set_survives_its_form(set in sets()) {
            prop_assert_eq!(FieldSet::parse(&set.to_fields()), Some(set));
        }

        #[test]
        fn a_set_is_what_it_shares_and_what_it_does_not(a in sets(), b in sets()) {
            prop_assert_eq!(a.intersection(&b).union(&a.difference(&b)), a.clone());
            prop_assert!(a.difference(&b).intersection(&b).is_empty());
            prop_assert!(a.difference(&a).is_empty());
        }
    }
}
