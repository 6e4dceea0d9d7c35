//! The schemas of the table of fields, as both versions of `OpenAPI` write them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::object::schema::{ListKind, Schema, Struct};
use crate::resource::Resource;

/// How a version of `OpenAPI` refers to a schema.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Version {
    V2,
    V3,
}

/// The schema of every served kind and of all that they refer to, by name.
pub(super) fn all(version: Version) -> BTreeMap<&'static str, Value> {
    let mut schemas = BTreeMap::new();
    for resource in Resource::ALL {
        if let Schema::Struct(message) = resource.schema() {
            add(version, message, Some(resource), &mut schemas);
        }
    }
    schemas
}

/// The name of the schema of a kind.
pub(super) fn name(resource: Resource) -> &'static str {
    match resource.schema() {
        Schema::Struct(message) => message.component,
        _ => "",
    }
}

/// `{group, kind, version}` of a kind.
pub(super) fn group_version_kind(resource: Resource) -> Value {
    json!({"group": "", "kind": resource.kind(), "version": "v1"})
}

fn add(
    version: Version,
    message: &'static Struct,
    resource: Option<Resource>,
    schemas: &mut BTreeMap<&'static str, Value>,
) {
    if schemas.contains_key(message.component) {
        return;
    }
    // Taken already, so that a message may refer to itself.
    schemas.insert(message.component, Value::Null);
    let mut properties = Map::new();
    for field in message.fields {
        let mut property = property(version, field.schema, schemas);
        if let Value::Object(property) = &mut property {
            property.insert("description".into(), field.description.into());
        }
        properties.insert(field.name.into(), property);
    }
    let mut schema = json!({"description": message.description, "type": "object", "properties": properties});
    if let Value::Object(schema) = &mut schema {
        if message.atomic {
            schema.insert("x-kubernetes-map-type".into(), "atomic".into());
        }
        if let Some(resource) = resource {
            schema.insert("x-kubernetes-group-version-kind".into(), json!([group_version_kind(resource)]));
        }
    }
    schemas.insert(message.component, schema);
}

fn property(version: Version, schema: &'static Schema, schemas: &mut BTreeMap<&'static str, Value>) -> Value {
    match schema {
        Schema::Any => json!({"type": "object"}),
        Schema::Boolean => json!({"type": "boolean"}),
        Schema::Bytes => json!({"type": "string", "format": "byte"}),
        Schema::Integer => json!({"type": "integer", "format": "int64"}),
        Schema::List { items, kind } => {
            let items = property(version, items, schemas);
            match kind {
                ListKind::Atomic => json!({"type": "array", "items": items, "x-kubernetes-list-type": "atomic"}),
                ListKind::Keyed(key) => json!({
                    "type": "array",
                    "items": items,
                    "x-kubernetes-list-map-keys": [key],
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-patch-merge-key": key,
                    "x-kubernetes-patch-strategy": "merge",
                }),
                ListKind::Set => json!({
                    "type": "array",
                    "items": items,
                    "x-kubernetes-list-type": "set",
                    "x-kubernetes-patch-strategy": "merge",
                }),
            }
        }
        Schema::Map { values } => {
            json!({"type": "object", "additionalProperties": property(version, values, schemas)})
        }
        Schema::String => json!({"type": "string"}),
        Schema::Struct(message) => {
            add(version, message, None, schemas);
            let name = message.component;
            match version {
                Version::V2 => json!({"$ref": format!("#/definitions/{name}")}),
                Version::V3 => json!({"allOf": [{"$ref": format!("#/components/schemas/{name}")}]}),
            }
        }
        Schema::Time => json!({"type": "string", "format": "date-time"}),
    }
}
