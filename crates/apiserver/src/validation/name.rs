//! The forms that names may have. Imitates `apimachinery/pkg/util/validation/validation.go`.
//!
//! Each function returns upstream's texts for what is wrong; an empty list is a good name.

/// An object's name: `example.com`.
pub(crate) fn dns_subdomain(name: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if name.len() > SUBDOMAIN_MAX_BYTES {
        problems.push(too_long(SUBDOMAIN_MAX_BYTES));
    }
    if !name.split('.').all(is_dns_label) {
        problems.push(SUBDOMAIN_FORM.into());
    }
    problems
}

/// A namespace's name: `my-name`.
pub(crate) fn dns_label(name: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if name.len() > LABEL_MAX_BYTES {
        problems.push(too_long(LABEL_MAX_BYTES));
    }
    if !is_dns_label(name) {
        problems.push(LABEL_FORM.into());
    }
    problems
}

/// A key of `data`.
pub(crate) fn config_key(key: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if key.len() > SUBDOMAIN_MAX_BYTES {
        problems.push(too_long(SUBDOMAIN_MAX_BYTES));
    }
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
        problems.push(CONFIG_KEY_FORM.into());
    }
    match key {
        "." => problems.push("must not be '.'".into()),
        ".." => problems.push("must not be '..'".into()),
        _ if key.starts_with("..") => problems.push("must not start with '..'".into()),
        _ => {}
    }
    problems
}

/// The key of a label, an annotation or a finalizer: `example.com/MyName`.
pub(crate) fn qualified_name(name: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let parts: Vec<&str> = name.split('/').collect();
    let local = match parts.as_slice() {
        [local] => *local,
        [prefix, local] => {
            if prefix.is_empty() {
                problems.push("prefix part must be non-empty".into());
            } else {
                problems.extend(dns_subdomain(prefix).into_iter().map(|text| format!("prefix part {text}")));
            }
            *local
        }
        _ => {
            return vec![format!(
                "a qualified name {QUALIFIED_FORM} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if local.is_empty() {
        problems.push("name part must be non-empty".into());
    } else if local.len() > LABEL_MAX_BYTES {
        problems.push(format!("name part {}", too_long(LABEL_MAX_BYTES)));
    }
    if !is_qualified(local) {
        problems.push(format!("name part {QUALIFIED_FORM}"));
    }
    problems
}

/// The value of a label.
pub(crate) fn label_value(value: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if value.len() > LABEL_MAX_BYTES {
        problems.push(too_long(LABEL_MAX_BYTES));
    }
    if !value.is_empty() && !is_qualified(value) {
        problems.push(LABEL_VALUE_FORM.into());
    }
    problems
}

fn is_dns_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
}

fn is_qualified(name: &str) -> bool {
    let bytes = name.as_bytes();
    let at_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    at_end(bytes.first())
        && at_end(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

fn too_long(limit_bytes: usize) -> String {
    format!("must be no more than {limit_bytes} bytes")
}

/// `DNS1123SubdomainMaxLength`.
const SUBDOMAIN_MAX_BYTES: usize = 253;
/// `DNS1123LabelMaxLength`, also the limit of label values and qualified names.
const LABEL_MAX_BYTES: usize = 63;

const SUBDOMAIN_FORM: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_FORM: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const CONFIG_KEY_FORM: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const QUALIFIED_FORM: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE_FORM: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn subdomains() {
        for good in ["a", "a-b", "a.b", "0", "a.0-b.c"] {
            assert!(dns_subdomain(good).is_empty(), "{good}");
        }
        for bad in ["", "A", "-a", "a-", "a..b", ".a", "a_b", "ä"] {
            assert_eq!(dns_subdomain(bad), [SUBDOMAIN_FORM], "{bad}");
        }
        assert_eq!(dns_subdomain(&"a".repeat(254)), ["must be no more than 253 bytes"]);
    }

    #[test]
    fn config_keys() {
        for good in ["a", "A.b_c-d", ".dockerconfigjson", "...a".trim_start_matches("..")] {
            assert!(config_key(good).is_empty(), "{good}");
        }
        assert_eq!(config_key(".."), ["must not be '..'"]);
        assert_eq!(config_key("..a"), ["must not start with '..'"]);
        assert_eq!(config_key("a/b"), [CONFIG_KEY_FORM]);
    }

    #[test]
    fn qualified_names() {
        for good in ["a", "A_b.c", "example.com/x", "kubernetes.io/metadata.name"] {
            assert!(qualified_name(good).is_empty(), "{good}");
        }
        insta::assert_debug_snapshot!(qualified_name("/"), @r#"
        [
            "prefix part must be non-empty",
            "name part must be non-empty",
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
        ]
        "#);
        assert_eq!(qualified_name("a/b/c").len(), 1);
    }

    proptest! {
        #[test]
        fn never_panic(name in ".{0,80}") {
            dns_subdomain(&name);
            dns_label(&name);
            config_key(&name);
            qualified_name(&name);
            label_value(&name);
        }
    }
}
