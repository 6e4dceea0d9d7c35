//! Rules of ConfigMaps. Imitates `ValidateConfigMap` and `ValidateConfigMapUpdate` of `pkg/apis/core/validation`.

use k8s_openapi::api::core::v1::ConfigMap;

use super::field::FieldProblem;
use super::name;
use super::secret::{IMMUTABLE_IS_SET, MAX_DATA_BYTES};

/// What is wrong with `config_map` besides its metadata.
pub(super) fn problems(config_map: &ConfigMap) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    let mut size = 0_usize;
    for (key, value) in config_map.data.iter().flatten() {
        let path = format!("data[{key}]");
        problems.extend(name::config_key(key).into_iter().map(|text| FieldProblem::invalid(&*path, key, text)));
        if config_map.binary_data.as_ref().is_some_and(|binary| binary.contains_key(key)) {
            problems.push(FieldProblem::invalid(path, key, "duplicate of key present in binaryData"));
        }
        size = size.saturating_add(value.len());
    }
    for (key, value) in config_map.binary_data.iter().flatten() {
        let path = format!("binaryData[{key}]");
        problems.extend(name::config_key(key).into_iter().map(|text| FieldProblem::invalid(&*path, key, text)));
        size = size.saturating_add(value.0.len());
    }
    if size > MAX_DATA_BYTES {
        // Upstream's path of the whole object.
        problems.push(FieldProblem::too_long("[]", MAX_DATA_BYTES));
    }
    problems
}

/// What an update may not change.
pub(super) fn update_problems(new: &ConfigMap, old: &ConfigMap) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    if old.immutable == Some(true) {
        if new.immutable != Some(true) {
            problems.push(FieldProblem::forbidden("immutable", IMMUTABLE_IS_SET));
        }
        if new.data != old.data {
            problems.push(FieldProblem::forbidden("data", IMMUTABLE_IS_SET));
        }
        if new.binary_data != old.binary_data {
            problems.push(FieldProblem::forbidden("binaryData", IMMUTABLE_IS_SET));
        }
    }
    problems
}
