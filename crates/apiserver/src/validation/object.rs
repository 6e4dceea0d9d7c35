//! The rules of whole objects, by kind.

use super::field::FieldProblem;
use super::{config_map, metadata, name, namespace, secret};
use crate::object::Object;

/// Every rule that a new object breaks, in upstream's order.
pub(crate) fn for_create(object: &Object) -> Vec<FieldProblem> {
    let mut problems = metadata::problems(object.metadata(), name_rule(object));
    problems.extend(match object {
        Object::ConfigMap(object) => config_map::problems(object),
        Object::Namespace(object) => namespace::problems(object),
        Object::Secret(object) => secret::problems(object),
    });
    problems
}

/// Every rule that the change from `old` to `new` breaks.
pub(crate) fn for_update(new: &Object, old: &Object) -> Vec<FieldProblem> {
    let mut problems = metadata::update_problems(new.metadata(), old.metadata());
    problems.extend(match (new, old) {
        (Object::ConfigMap(new), Object::ConfigMap(old)) => config_map::update_problems(new, old),
        (Object::Secret(new), Object::Secret(old)) => secret::update_problems(new, old),
        _ => Vec::new(),
    });
    for problem in for_create(new) {
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }
    problems
}

fn name_rule(object: &Object) -> fn(&str) -> Vec<String> {
    match object {
        Object::ConfigMap(_) | Object::Secret(_) => name::dns_subdomain,
        Object::Namespace(_) => name::dns_label,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::resource::Resource;
    use crate::status::ApiError;

    fn secret(value: Value) -> Object {
        Object::from_json(Resource::Secrets, value).unwrap()
    }

    fn refusal(object: &Object) -> String {
        let error = ApiError::invalid(object.resource().kind(), "", object.name(), &for_create(object));
        serde_json::to_string_pretty(error.status()).unwrap()
    }

    #[test]
    fn a_bad_name_and_a_bad_key_are_two_causes() {
        let object = secret(json!({"metadata": {"name": "A", "namespace": "default"}, "data": {"a/b": ""}}));
        insta::assert_snapshot!(refusal(&object));
    }

    #[test]
    fn types_need_their_keys() {
        let object = secret(json!({"metadata": {"name": "a"}, "type": "kubernetes.io/tls"}));
        insta::assert_snapshot!(refusal(&object));
        let good = [
            json!({"metadata": {"name": "a"}, "type": "kubernetes.io/tls", "data": {"tls.crt": "", "tls.key": ""}}),
            json!({"metadata": {"name": "a"}, "type": "kubernetes.io/basic-auth", "data": {"password": ""}}),
            json!({"metadata": {"name": "a"}, "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "{}"}}),
            json!({"metadata": {"name": "a"}, "type": "example.com/any"}),
        ];
        for value in good {
            assert_eq!(for_create(&secret(value)), []);
        }
        for (kind, data) in [
            ("kubernetes.io/basic-auth", json!({})),
            ("kubernetes.io/ssh-auth", json!({"ssh-privatekey": ""})),
            ("kubernetes.io/service-account-token", json!({})),
            ("kubernetes.io/dockercfg", json!({".dockercfg": "e30"})),
        ] {
            let object = secret(json!({"metadata": {"name": "a"}, "type": kind, "stringData": data}));
            assert!(!for_create(&object).is_empty(), "{kind}");
        }
    }

    #[test]
    fn one_mebibyte_of_data_passes_and_a_byte_more_does_not() {
        let sized = |bytes: usize| secret(json!({"metadata": {"name": "a"}, "stringData": {"k": "x".repeat(bytes)}}));
        assert_eq!(for_create(&sized(1_048_576)), []);
        let problems = for_create(&sized(1_048_577));
        assert_eq!(problems[0].to_string(), "data: Too long: may not be more than 1048576 bytes");
    }

    #[test]
    fn an_immutable_secret_keeps_its_data_and_its_flag() {
        let old = secret(json!({"metadata": {"name": "a"}, "immutable": true, "stringData": {"k": "1"}}));
        let new = secret(json!({"metadata": {"name": "a"}, "stringData": {"k": "2"}}));
        let texts: Vec<String> = for_update(&new, &old).iter().map(ToString::to_string).collect();
        insta::assert_debug_snapshot!(texts, @r#"
        [
            "immutable: Forbidden: field is immutable when `immutable` is set",
            "data: Forbidden: field is immutable when `immutable` is set",
        ]
        "#);
        let mut relabelled = old.clone();
        relabelled.metadata_mut().labels = Some([("a".into(), "b".into())].into());
        assert_eq!(for_update(&relabelled, &old), []);
    }

    #[test]
    fn the_type_of_a_secret_never_changes() {
        let old = secret(json!({"metadata": {"name": "a"}, "type": "Opaque"}));
        let new = secret(json!({"metadata": {"name": "a"}, "type": "example.com/x"}));
        assert_eq!(for_update(&new, &old)[0].to_string(), "type: Invalid value: \"example.com/x\": field is immutable");
    }
}
