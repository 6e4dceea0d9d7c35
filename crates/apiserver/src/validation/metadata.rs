//! Rules of `metadata`. Imitates `apimachinery/pkg/api/validation/objectmeta.go`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::field::FieldProblem;
use super::name;

/// What is wrong with `metadata`, given the rule for the kind's names.
pub(super) fn problems(metadata: &ObjectMeta, name_rule: fn(&str) -> Vec<String>) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    if let Some(prefix) = metadata.generate_name.as_deref().filter(|prefix| !prefix.is_empty()) {
        // A prefix may end in a dash, which the suffix then follows (upstream's `maskTrailingDash`).
        let masked = prefix.strip_suffix('-').map_or_else(|| prefix.to_owned(), |start| format!("{start}a"));
        let texts = name_rule(&masked);
        problems.extend(texts.into_iter().map(|text| FieldProblem::invalid("metadata.generateName", prefix, text)));
    }
    match metadata.name.as_deref().unwrap_or_default() {
        "" => problems.push(FieldProblem::required("metadata.name", "name or generateName is required")),
        given => problems
            .extend(name_rule(given).into_iter().map(|text| FieldProblem::invalid("metadata.name", given, text))),
    }
    if let Some(namespace) = metadata.namespace.as_deref().filter(|namespace| !namespace.is_empty()) {
        let texts = name::dns_label(namespace);
        problems.extend(texts.into_iter().map(|text| FieldProblem::invalid("metadata.namespace", namespace, text)));
    }
    if let Some(generation) = metadata.generation.filter(|generation| *generation < 0) {
        let value = generation.to_string();
        let text = "must be greater than or equal to 0";
        problems.push(FieldProblem::invalid_raw("metadata.generation", value, text));
    }
    for (key, value) in metadata.labels.iter().flatten() {
        let keys = name::qualified_name(key).into_iter();
        problems.extend(keys.map(|text| FieldProblem::invalid("metadata.labels", key, text)));
        let values = name::label_value(value).into_iter();
        problems.extend(values.map(|text| FieldProblem::invalid("metadata.labels", value, text)));
    }
    annotations(metadata, &mut problems);
    owners(metadata, &mut problems);
    for finalizer in metadata.finalizers.iter().flatten() {
        let texts = name::qualified_name(finalizer).into_iter();
        problems.extend(texts.map(|text| FieldProblem::invalid("metadata.finalizers", finalizer, text)));
    }
    for (index, finalizer) in metadata.finalizers.iter().flatten().enumerate() {
        if !finalizer.contains('/') && !STANDARD_FINALIZERS.contains(&finalizer.as_str()) {
            let text = "name is neither a standard finalizer name nor is it fully qualified";
            problems.push(FieldProblem::invalid(format!("metadata.finalizers[{index}]"), finalizer, text));
        }
    }
    problems
}

/// What an update may not change in `metadata`. The caller has copied what only the server sets.
pub(super) fn update_problems(new: &ObjectMeta, old: &ObjectMeta) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    for (field, new, old) in [
        ("metadata.name", &new.name, &old.name),
        ("metadata.namespace", &new.namespace, &old.namespace),
        ("metadata.uid", &new.uid, &old.uid),
    ] {
        if new != old {
            problems.push(FieldProblem::invalid(field, new.as_deref().unwrap_or_default(), FIELD_IS_IMMUTABLE));
        }
    }
    if old.deletion_timestamp.is_some() {
        let before: Vec<&String> = old.finalizers.iter().flatten().collect();
        let added: Vec<&String> = new.finalizers.iter().flatten().filter(|name| !before.contains(name)).collect();
        if !added.is_empty() {
            let listed = added.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
            let text = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{listed}}}"
            );
            problems.push(FieldProblem::forbidden("metadata.finalizers", text));
        }
    }
    problems
}

fn annotations(metadata: &ObjectMeta, problems: &mut Vec<FieldProblem>) {
    let mut size = 0_usize;
    for (key, value) in metadata.annotations.iter().flatten() {
        let texts = name::qualified_name(&key.to_lowercase()).into_iter();
        problems.extend(texts.map(|text| FieldProblem::invalid("metadata.annotations", key, text)));
        size = size.saturating_add(key.len()).saturating_add(value.len());
    }
    if size > ANNOTATIONS_MAX_BYTES {
        problems.push(FieldProblem::too_long("metadata.annotations", ANNOTATIONS_MAX_BYTES));
    }
}

fn owners(metadata: &ObjectMeta, problems: &mut Vec<FieldProblem>) {
    let mut controller: Option<&OwnerReference> = None;
    for (index, owner) in metadata.owner_references.iter().flatten().enumerate() {
        let path = format!("metadata.ownerReferences[{index}]");
        for (field, value, text) in [
            ("apiVersion", &owner.api_version, "version must not be empty"),
            ("kind", &owner.kind, "kind must not be empty"),
            ("name", &owner.name, "name must not be empty"),
            ("uid", &owner.uid, "uid must not be empty"),
        ] {
            if value.is_empty() {
                problems.push(FieldProblem::invalid(format!("{path}.{field}"), value, text));
            }
        }
        if owner.controller == Some(true) {
            if let Some(first) = controller {
                let text = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {}/{} and {}/{}",
                    first.kind, first.name, owner.kind, owner.name
                );
                problems.push(FieldProblem::invalid("metadata.ownerReferences", "", text));
            } else {
                controller = Some(owner);
            }
        }
    }
}

/// Upstream's `FieldImmutableErrorMsg`.
pub(super) const FIELD_IS_IMMUTABLE: &str = "field is immutable";
/// `TotalAnnotationSizeLimitB`: 256 KiB of keys and values.
const ANNOTATIONS_MAX_BYTES: usize = 256 * 1024;
/// `IsStandardFinalizerName` of `pkg/apis/core/helper`.
const STANDARD_FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];
