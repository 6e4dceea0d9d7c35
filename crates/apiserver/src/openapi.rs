//! `/openapi/v2` and `/openapi/v3`, made from the table of fields.
//!
//! kubectl reads three things out of them: whether PATCH takes `fieldValidation` and `dryRun` (then it leaves
//! validation to the server), which patch types a kind takes, and the schemas, for `kubectl apply` (merge keys) and
//! `kubectl explain`. Version 2 holds no schemas: kubectl then skips its own validation, and the server does it.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use crate::object::schema::{ListKind, Schema, Struct};
use crate::resource::Resource;

/// `/openapi/v3`: where the document of each group version is. The hash lets clients cache it.
pub(crate) fn v3_index() -> Value {
    let document = v3().to_string();
    let hash = hex::encode_upper(digest(&SHA256, document.as_bytes()));
    json!({"paths": {"api/v1": {"serverRelativeURL": format!("/openapi/v3/api/v1?hash={hash}")}}})
}

/// `/openapi/v3/api/v1`.
pub(crate) fn v3() -> Value {
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

/// `/openapi/v2` as JSON.
pub(crate) fn v2() -> Value {
    json!({
        "swagger": "2.0",
        "info": {"title": TITLE, "version": "unversioned"},
        "paths": {},
        "definitions": {},
    })
}

/// `/openapi/v2` as the protobuf of gnostic's `openapi.v2.Document`, the only form that kubectl asks for.
pub(crate) fn v2_protobuf() -> Vec<u8> {
    let mut info = Vec::new();
    length_delimited(&mut info, INFO_TITLE, TITLE.as_bytes());
    length_delimited(&mut info, INFO_VERSION, b"unversioned");
    let mut document = Vec::new();
    length_delimited(&mut document, DOCUMENT_SWAGGER, b"2.0");
    length_delimited(&mut document, DOCUMENT_INFO, &info);
    length_delimited(&mut document, DOCUMENT_PATHS, b"");
    length_delimited(&mut document, DOCUMENT_DEFINITIONS, b"");
    document
}

/// The media types by which clients ask for [`v2_protobuf`].
pub(crate) const V2_PROTOBUF: [&str; 2] =
    ["application/com.github.proto-openapi.spec.v2@v1.0+protobuf", V2_PROTOBUF_CONTENT_TYPE];
/// What the answer says it is: the older name with an `@` is no valid media type.
pub(crate) const V2_PROTOBUF_CONTENT_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

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

/// A protobuf field of wire type 2. Every content here is shorter than 128 bytes, so a length is one byte.
fn length_delimited(out: &mut Vec<u8>, field: u8, content: &[u8]) {
    out.push(field << 3 | 2);
    out.push(u8::try_from(content.len()).unwrap_or_default() & 0x7f);
    out.extend_from_slice(content);
}

const TITLE: &str = "Kubernetes (Kyanite)";
const DOCUMENT_SWAGGER: u8 = 1;
const DOCUMENT_INFO: u8 = 2;
const DOCUMENT_PATHS: u8 = 8;
const DOCUMENT_DEFINITIONS: u8 = 9;
const INFO_TITLE: u8 = 1;
const INFO_VERSION: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_to_a_schema() {
        let document = v3();
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
        let document = v3();
        let patch = &document["paths"]["/api/v1/namespaces/{namespace}/secrets/{name}"]["patch"];
        let names: Vec<&str> =
            patch["parameters"].as_array().unwrap().iter().filter_map(|parameter| parameter["name"].as_str()).collect();
        assert!(names.contains(&"fieldValidation") && names.contains(&"dryRun"));
        assert_eq!(patch["x-kubernetes-group-version-kind"], json!({"group": "", "kind": "Secret", "version": "v1"}));
        assert!(patch["requestBody"]["content"]["application/strategic-merge-patch+json"].is_object());
    }

    #[test]
    fn the_protobuf_is_a_document() {
        assert_eq!(
            hex::encode(v2_protobuf()),
            "0a03322e3012230a144b756265726e6574657320284b79616e69746529120b756e76657273696f6e6564".to_owned()
                + "42004a00"
        );
    }
}
