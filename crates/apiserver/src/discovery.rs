//! What clients ask first: which versions, which resources, which server.
//!
//! Both forms: the documents of `/api`, `/api/v1` and `/apis`, and the aggregated ones of `apidiscovery.k8s.io`, which
//! kubectl takes when a server has them.

use serde_json::{Value, json};

use crate::resource::Resource;

/// `/api`.
pub(crate) fn api_versions() -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [],
    })
}

/// `/apis`: there is no group but the one without a name.
pub(crate) fn api_groups() -> Value {
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": []})
}

/// `/api/v1`.
pub(crate) fn api_resources() -> Value {
    let resources: Vec<Value> = Resource::ALL
        .into_iter()
        .map(|resource| {
            let mut entry = json!({
                "name": resource.plural(),
                "singularName": resource.singular(),
                "namespaced": resource.is_namespaced(),
                "kind": resource.kind(),
                "verbs": resource.verbs(),
            });
            if let (false, Value::Object(entry)) = (resource.short_names().is_empty(), &mut entry) {
                entry.insert("shortNames".into(), json!(resource.short_names()));
            }
            entry
        })
        .collect();
    json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": resources})
}

/// `/api` or `/apis` in aggregated form; `version` is that of `apidiscovery.k8s.io`.
pub(crate) fn aggregated(path: &str, version: &str) -> Value {
    let items = if path == "/api" { vec![core_group()] } else { Vec::new() };
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {},
        "items": items,
    })
}

/// The content type of an aggregated document.
pub(crate) const fn aggregated_content_type(version: &str) -> &'static str {
    if version.len() == 2 {
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    } else {
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
    }
}

/// `/version`.
pub(crate) fn version(git_version: &str) -> Value {
    let mut numbers = git_version.trim_start_matches('v').split('.');
    json!({
        "major": numbers.next().unwrap_or_default(),
        "minor": numbers.next().unwrap_or_default(),
        "gitVersion": git_version,
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, platform()),
    })
}

/// Whether a path is that of a list of events.
///
/// `kubectl describe` asks for the events of what it describes and fails where there is no such list. Nothing here
/// makes events, so the list is there, always empty, and no part of discovery.
pub(crate) fn is_events(path: &str) -> bool {
    let Some(rest) = path.strip_prefix("/api/v1/") else { return false };
    match rest.split('/').collect::<Vec<_>>().as_slice() {
        ["events"] => true,
        ["namespaces", namespace, "events"] => !namespace.is_empty(),
        _ => false,
    }
}

/// The list of events.
pub(crate) fn no_events(revision: i64) -> Value {
    json!({"kind": "EventList", "apiVersion": "v1", "metadata": {"resourceVersion": revision.to_string()}, "items": []})
}

/// The paths of `/`.
pub(crate) fn root_paths() -> Value {
    json!({"paths": [
        "/api", "/api/v1", "/apis", "/healthz", "/healthz/etcd", "/healthz/log", "/healthz/ping", "/livez", "/metrics",
        "/openapi/v2", "/openapi/v3", "/readyz", "/version",
    ]})
}

fn core_group() -> Value {
    let resources: Vec<Value> = Resource::ALL
        .into_iter()
        .map(|resource| {
            let mut entry = json!({
                "resource": resource.plural(),
                "responseKind": {"group": "", "version": "v1", "kind": resource.kind()},
                "scope": if resource.is_namespaced() { "Namespaced" } else { "Cluster" },
                "singularResource": resource.singular(),
                "verbs": resource.verbs(),
            });
            if let (false, Value::Object(entry)) = (resource.short_names().is_empty(), &mut entry) {
                entry.insert("shortNames".into(), json!(resource.short_names()));
            }
            entry
        })
        .collect();
    json!({
        "metadata": {"creationTimestamp": null},
        "versions": [{"version": "v1", "resources": resources, "freshness": "Current"}],
    })
}

/// Go's name for this processor.
fn platform() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_names_the_emulated_release_and_kyanite() {
        let version = version("v1.34.0+kyanite");
        assert_eq!((&version["major"], &version["minor"]), (&json!("1"), &json!("34")));
        assert_eq!(version["gitVersion"], "v1.34.0+kyanite");
    }

    #[test]
    fn discovery_lists_what_is_served() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&aggregated("/api", "v2")).unwrap());
        insta::assert_snapshot!(serde_json::to_string_pretty(&api_resources()).unwrap());
    }
}
