//! A patch of one of three kinds, and what becomes of an object under it.
//!
//! Imitates the patchers of `endpoints/handlers/patch.go`. Server-side apply is no patch here: it is refused where
//! the content type is read.

use std::fmt;

use json_patch::PatchOperation;
use serde_json::Value;
use thiserror::Error;

use super::strategic;
use crate::object::schema::Schema;
use crate::object::{decode, json};

/// A patch that could be read. Its `Debug` shows no values: they may be secret.
pub(crate) struct Patch {
    kind: Kind,
    /// Upstream's text per key that occurs twice in it.
    repeated: Vec<String>,
}

enum Kind {
    /// RFC 6902.
    Json(Vec<PatchOperation>),
    /// RFC 7396.
    Merge(Value),
    /// Kubernetes' own, which knows the merge keys of lists.
    Strategic(Value),
}

impl Patch {
    /// The content types of the three, as a 415 lists them.
    pub(crate) const ACCEPTED: &str =
        "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json";

    /// Reads a patch. `None` for a content type that is none of the three.
    ///
    /// # Errors
    ///
    /// [`PatchError`] if the body is not such a patch.
    pub(crate) fn parse(content_type: &str, body: &[u8]) -> Option<Result<Self, PatchError>> {
        match content_type {
            "application/json-patch+json" => Some(json_operations(body)),
            "application/merge-patch+json" => Some(document(body, Kind::Merge)),
            "application/strategic-merge-patch+json" => Some(document(body, Kind::Strategic)),
            _ => None,
        }
    }

    /// The patched form of `object`.
    ///
    /// # Errors
    ///
    /// [`PatchError`] if it does not apply.
    pub(crate) fn apply(&self, schema: &'static Schema, mut object: Value) -> Result<Value, PatchError> {
        match &self.kind {
            Kind::Json(operations) => {
                json_patch::patch(&mut object, operations).map_err(|_| PatchError::DoesNotApply)?;
                Ok(object)
            }
            Kind::Merge(patch) => {
                json_patch::merge(&mut object, patch);
                Ok(object)
            }
            Kind::Strategic(patch) => strategic::merge(schema, object, patch),
        }
    }

    /// What the strict decoder says of the patch itself.
    pub(crate) fn repeated(&self) -> &[String] {
        &self.repeated
    }
}

impl fmt::Debug for Patch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Json(_) => "Json(..)",
            Kind::Merge(_) => "Merge(..)",
            Kind::Strategic(_) => "Strategic(..)",
        })
    }
}

fn json_operations(body: &[u8]) -> Result<Patch, PatchError> {
    let operations: Vec<PatchOperation> = serde_json::from_slice(body).map_err(PatchError::Decode)?;
    if operations.len() > MAX_OPERATIONS {
        return Err(PatchError::TooManyOperations { count: operations.len() });
    }
    Ok(Patch { kind: Kind::Json(operations), repeated: Vec::new() })
}

fn document(body: &[u8], kind: fn(Value) -> Kind) -> Result<Patch, PatchError> {
    let (value, repeated) = json::parse(body).map_err(PatchError::Decode)?;
    if !value.is_object() {
        return Err(PatchError::NotAnObject);
    }
    Ok(Patch { kind: kind(value), repeated: decode::repeated(repeated) })
}

/// `maxJSONPatchOperations` of `patch.go`.
const MAX_OPERATIONS: usize = 10_000;

/// A patch that cannot be read or does not apply.
#[derive(Debug, Error)]
pub(crate) enum PatchError {
    #[error("error decoding patch: {0}")]
    Decode(serde_json::Error),
    #[error("unrecognized type in {directive} directive: {given}")]
    Directive { directive: &'static str, given: String },
    #[error("the patch does not apply")]
    DoesNotApply,
    #[error("error decoding patch: json: cannot unmarshal a value that is no object into a patch")]
    NotAnObject,
    #[error("The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {count}")]
    TooManyOperations { count: usize },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::resource::Resource;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            Just(json!(1)),
            "[a-c]{0,2}".prop_map(Value::from),
            Just(json!({"uid": "a"})),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let key = prop_oneof![
                Just("metadata".to_owned()),
                Just("data".to_owned()),
                Just("finalizers".to_owned()),
                Just("ownerReferences".to_owned()),
                Just("labels".to_owned()),
                Just("$patch".to_owned()),
                Just("$retainKeys".to_owned()),
                Just("$setElementOrder/finalizers".to_owned()),
                Just("$deleteFromPrimitiveList/finalizers".to_owned()),
                "[a-c]".prop_map(String::from),
            ];
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                proptest::collection::btree_map(key, inner, 0..4).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #[test]
        fn never_panics(object in values(), patch in values()) {
            let body = serde_json::to_vec(&patch).unwrap();
            for kind in ["application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json"] {
                if let Ok(patch) = Patch::parse(kind, &body).unwrap() {
                    let _ = patch.apply(Resource::Secrets.schema(), object.clone());
                }
            }
        }

        #[test]
        fn json_patches_never_panic(
            object in values(),
            operation in "(add|remove|replace|test|move|copy)",
            path in "(/(metadata|finalizers|[a-c]|0|-|9))*",
            from in "(/(metadata|finalizers|[a-c]|0|-))*",
        ) {
            let body = json!([{"op": operation, "path": path, "from": from, "value": 1}]).to_string();
            if let Ok(patch) = Patch::parse("application/json-patch+json", body.as_bytes()).unwrap() {
                let _ = patch.apply(Resource::Secrets.schema(), object);
            }
        }

        #[test]
        fn bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Patch::parse("application/json-patch+json", &body);
            let _ = Patch::parse("application/strategic-merge-patch+json", &body);
        }
    }
}
