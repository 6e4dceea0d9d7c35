//! `/openapi/v3`, made from the table of fields.
//!
//! kubectl reads three things out of it: whether PATCH takes `fieldValidation` and `dryRun` (then it leaves validation
//! to the server), which patch types a kind takes, and the schemas, for `kubectl apply` (merge keys) and
//! `kubectl explain`.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use super::TITLE;
use super::schemas::{self, Version};
use crate::resource::Resource;

/// The index: where the document of each group version is. The hash lets clients cache it.
pub(crate) fn index() -> Value {
    let document = document().to_string();
    let hash = hex::encode_upper(digest(&SHA256, document.as_bytes()));
    json!({"paths": {"api/v1": {"serverRelativeURL": format!("/openapi/v3/api/v1?hash={hash}")}}})
}

/// The document of `api/v1`.
pub(crate) fn document() -> Value {
    let mut paths = Map::new();
    for resource in Resource::ALL {
        let plural = resource.plural();
        let base = if resource.is_namespaced() {
            format!("/api/v1/namespaces/{{namespace}}/{plural}")
        } else {
            format!("/api/v1/{plural}")
        };
        paths.insert(base.clone(), collection(resource));
        paths.insert(format!("{base}/{{name}}"), item(resource));
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": TITLE, "version": "unversioned"},
        "paths": paths,
        "components": {"schemas": schemas::all(Version::V3)},
    })
}

fn collection(resource: Resource) -> Value {
    json!({
        "get": operation(resource, "list", &["allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion", "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch"]),
        "post": operation(resource, "post", &["dryRun", "fieldManager", "fieldValidation"]),
    })
}

fn item(resource: Resource) -> Value {
    let mut patch = operation(resource, "patch", &["dryRun", "fieldManager", "fieldValidation", "force"]);
    if let Value::Object(patch) = &mut patch {
        let content: Map<String, Value> = crate::patch::Patch::ACCEPTED
            .split(", ")
            .map(|media_type| (media_type.to_owned(), json!({"schema": {"type": "object"}})))
            .collect();
        patch.insert("requestBody".into(), json!({"content": content, "required": true}));
    }
    json!({
        "get": operation(resource, "get", &[]),
        "put": operation(resource, "put", &["dryRun", "fieldManager", "fieldValidation"]),
        "patch": patch,
        "delete": operation(resource, "delete", &["dryRun", "gracePeriodSeconds", "propagationPolicy"]),
    })
}

fn operation(resource: Resource, action: &str, parameters: &[&str]) -> Value {
    let parameters: Vec<Value> = parameters
        .iter()
        .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}}))
        .collect();
    let schema = json!({"$ref": format!("#/components/schemas/{}", schemas::name(resource))});
    json!({
        "parameters": parameters,
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": schema}}}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": schemas::group_version_kind(resource),
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
