//! `/openapi/v3`, made from the table of fields.
//!
//! kubectl reads three things out of it: whether PATCH takes `fieldValidation` and `dryRun` (then it leaves validation
//! to the server), which patch types a kind takes, and the schemas, for `kubectl apply` (merge keys) and
//! `kubectl explain`.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use super::TITLE;
use crate::object::schema::{ListKind, Schema, Struct};
use crate::resource::Resource;

/// The index: where the document of each group version is. The hash lets clients cache it.
pub(crate) fn index() -> Value {
    let document = document().to_string();
    let hash = hex::encode_upper(digest(&SHA256, document.as_bytes()));
    json!({"paths": {"api/v1": {"serverRelativeURL": format!("/openapi/v3/api/v1?hash={hash}")}}})
}

/// The document of `api/v1`.
pub(crate) fn document() -> Value {
    let mut schemas = BTreeMap::new();
    let mut paths = Map::new();
    for resource in Resource::ALL {
        if let Schema::Struct(message) = resource.schema() {
            component(message, Some(resource), &mut schemas);
            let plural = resource.plural();
            let base = if resource.is_namespaced() {
                format!("/api/v1/namespaces/{{namespace}}/{plural}")
            } else {
                format!("/api/v1/{plural}")
            };
            paths.insert(base.clone(), collection(resource, message));
            paths.insert(format!("{base}/{{name}}"), item(resource, message));
        }
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": TITLE, "version": "unversioned"},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

fn component(message: &'static Struct, resource: Option<Resource>, schemas: &mut BTreeMap<&'static str, Value>) {
    if schemas.contains_key(message.component) {
        return;
    }
    schemas.insert(message.component, Value::Null);
    let mut properties = Map::new();
    for field in message.fields {
        let mut property = property(field.schema, schemas);
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
            let kind = json!([{"group": "", "kind": resource.kind(), "version": "v1"}]);
            schema.insert("x-kubernetes-group-version-kind".into(), kind);
        }
    }
    schemas.insert(message.component, schema);
}

fn property(schema: &'static Schema, schemas: &mut BTreeMap<&'static str, Value>) -> Value {
    match schema {
        Schema::Any => json!({"type": "object"}),
        Schema::Boolean => json!({"type": "boolean"}),
        Schema::Bytes => json!({"type": "string", "format": "byte"}),
        Schema::Integer => json!({"type": "integer", "format": "int64"}),
        Schema::List { items, kind } => {
            let items = property(items, schemas);
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
        Schema::Map { values } => json!({"type": "object", "additionalProperties": property(values, schemas)}),
        Schema::String => json!({"type": "string"}),
        Schema::Struct(message) => {
            component(message, None, schemas);
            json!({"allOf": [{"$ref": format!("#/components/schemas/{}", message.component)}]})
        }
        Schema::Time => json!({"type": "string", "format": "date-time"}),
    }
}

fn collection(resource: Resource, message: &Struct) -> Value {
    json!({
        "get": operation(resource, message, "list", &["allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion", "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch"]),
        "post": operation(resource, message, "post", &["dryRun", "fieldManager", "fieldValidation"]),
    })
}

fn item(resource: Resource, message: &Struct) -> Value {
    let mut patch = operation(resource, message, "patch", &["dryRun", "fieldManager", "fieldValidation", "force"]);
    if let Value::Object(patch) = &mut patch {
        let content: Map<String, Value> = crate::patch::Patch::ACCEPTED
            .split(", ")
            .map(|media_type| (media_type.to_owned(), json!({"schema": {"type": "object"}})))
            .collect();
        patch.insert("requestBody".into(), json!({"content": content, "required": true}));
    }
    json!({
        "get": operation(resource, message, "get", &[]),
        "put": operation(resource, message, "put", &["dryRun", "fieldManager", "fieldValidation"]),
        "patch": patch,
        "delete": operation(resource, message, "delete", &["dryRun", "gracePeriodSeconds", "propagationPolicy"]),
    })
}

fn operation(resource: Resource, message: &Struct, action: &str, parameters: &[&str]) -> Value {
    let parameters: Vec<Value> = parameters
        .iter()
        .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}}))
        .collect();
    let schema = json!({"$ref": format!("#/components/schemas/{}", message.component)});
    json!({
        "parameters": parameters,
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": schema}}}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": "", "kind": resource.kind(), "version": "v1"},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_to_a_schema() {
        let document = document();
        let text = document.to_string();
        let references: Vec<&str> =
            text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(references.len() > 10);
        for name in references {
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }

    #[test]
    fn patch_takes_what_kubectl_looks_for() {
        let document = document();
        let patch = &document["paths"]["/api/v1/namespaces/{namespace}/secrets/{name}"]["patch"];
        let names: Vec<&str> =
            patch["parameters"].as_array().unwrap().iter().filter_map(|parameter| parameter["name"].as_str()).collect();
        assert!(names.contains(&"fieldValidation") && names.contains(&"dryRun"));
        assert_eq!(patch["x-kubernetes-group-version-kind"], json!({"group": "", "kind": "Secret", "version": "v1"}));
        assert!(patch["requestBody"]["content"]["application/strategic-merge-patch+json"].is_object());
    }
}
