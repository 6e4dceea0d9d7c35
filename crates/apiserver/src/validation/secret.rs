//! Rules of Secrets. Imitates `ValidateSecret` and `ValidateSecretUpdate` of `pkg/apis/core/validation`.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;

use super::field::FieldProblem;
use super::metadata::FIELD_IS_IMMUTABLE;
use super::name;

/// What is wrong with `secret` besides its metadata.
pub(super) fn problems(secret: &Secret) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    let empty = BTreeMap::new();
    let data = secret.data.as_ref().unwrap_or(&empty);
    let mut size = 0_usize;
    for (key, value) in data {
        let texts = name::config_key(key).into_iter();
        problems.extend(texts.map(|text| FieldProblem::invalid(at(key), key, text)));
        size = size.saturating_add(value.0.len());
    }
    if size > MAX_DATA_BYTES {
        problems.push(FieldProblem::too_long("data", MAX_DATA_BYTES));
    }
    problems.extend(type_problems(secret, data));
    problems
}

/// What an update may not change.
pub(super) fn update_problems(new: &Secret, old: &Secret) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    if new.type_ != old.type_ {
        problems.push(FieldProblem::invalid("type", new.type_.as_deref().unwrap_or_default(), FIELD_IS_IMMUTABLE));
    }
    if old.immutable == Some(true) {
        if new.immutable != Some(true) {
            problems.push(FieldProblem::forbidden("immutable", IMMUTABLE_IS_SET));
        }
        if new.data != old.data {
            problems.push(FieldProblem::forbidden("data", IMMUTABLE_IS_SET));
        }
    }
    problems
}

/// The keys that a type needs.
fn type_problems(secret: &Secret, data: &BTreeMap<String, ByteString>) -> Vec<FieldProblem> {
    let missing = |key: &str| (!data.contains_key(key)).then(|| FieldProblem::required(at(key), ""));
    match secret.type_.as_deref().unwrap_or_default() {
        "kubernetes.io/basic-auth" => {
            let username = missing("username");
            let password = missing("password");
            match (username, password) {
                (Some(username), Some(password)) => vec![username, password],
                _ => Vec::new(),
            }
        }
        "kubernetes.io/dockercfg" => json_problem(data, ".dockercfg"),
        "kubernetes.io/dockerconfigjson" => json_problem(data, ".dockerconfigjson"),
        "kubernetes.io/service-account-token" => {
            let account = secret.metadata.annotations.as_ref().and_then(|all| all.get(SERVICE_ACCOUNT_NAME));
            if account.is_none_or(String::is_empty) {
                vec![FieldProblem::required(format!("metadata.annotations[{SERVICE_ACCOUNT_NAME}]"), "")]
            } else {
                Vec::new()
            }
        }
        "kubernetes.io/ssh-auth" => {
            let key = "ssh-privatekey";
            if data.get(key).is_none_or(|value| value.0.is_empty()) {
                vec![FieldProblem::required(at(key), "")]
            } else {
                Vec::new()
            }
        }
        "kubernetes.io/tls" => [missing("tls.crt"), missing("tls.key")].into_iter().flatten().collect(),
        _ => Vec::new(),
    }
}

/// `key` must be there and hold a JSON object.
fn json_problem(data: &BTreeMap<String, ByteString>, key: &str) -> Vec<FieldProblem> {
    let Some(value) = data.get(key) else { return vec![FieldProblem::required(at(key), "")] };
    match serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&value.0) {
        Ok(_) => Vec::new(),
        // Differs: upstream's detail is Go's parser error. Ours says where, and never what stands there.
        Err(error) => vec![FieldProblem::invalid(
            at(key),
            "<secret contents redacted>",
            format!("no JSON object: line {} column {}", error.line(), error.column()),
        )],
    }
}

fn at(key: &str) -> String {
    format!("data[{key}]")
}

pub(super) const IMMUTABLE_IS_SET: &str = "field is immutable when `immutable` is set";
/// `MaxSecretSize`, also the limit of ConfigMaps.
pub(super) const MAX_DATA_BYTES: usize = 1024 * 1024;
const SERVICE_ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";
