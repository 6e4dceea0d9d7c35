//! `apis/apiserver/validation/validation_encryption_test.go`.

use envelope::{EncryptionConfiguration, ParseOptions};

const V1: &str =
    "{kms: {apiVersion: v1, name: foo, endpoint: 'unix:///tmp/kms-provider.socket', timeout: 3s, cachesize: 1000}}";
const V1_TWICE: &str = "{kms: {apiVersion: v1, name: foo, endpoint: 'unix:///tmp/kms-provider-1.socket', timeout: 3s, \
                        cachesize: 1000}}, {kms: {apiVersion: v1, name: foo, endpoint: 'unix:///tmp/kms-provider-2.socket', \
                        timeout: 3s, cachesize: 1000}}";
const V2: &str = "{kms: {apiVersion: v2, name: foo, endpoint: 'unix:///tmp/kms-provider-2.socket', timeout: 3s}}";
const GCM: &str = "aesgcm: {keys: [{name: foo, secret: A/j5CnrWGB83ylcPkuUhm/6TSyrQtsNJtDPwPHNOj4Q=}]}";
const CBC: &str = "aescbc: {keys: [{name: foo, secret: A/j5CnrWGB83ylcPkuUhm/6TSyrQtsNJtDPwPHNOj4Q=}]}";

/// The problems of a file with these rules, as `path: message`.
fn problems(rules: &str, reload: bool) -> Vec<String> {
    let file = format!("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: {rules}\n");
    match EncryptionConfiguration::parse_with(file.as_bytes(), ParseOptions { kms_v1: true, reload }) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect(),
    }
}

/// A rule for these resources with one KMS v1 provider.
fn rule(resources: &str) -> String {
    format!("[{{resources: [{resources}], providers: [{V1}]}}]")
}

const TWICE: &str = "the same resource cannot be specified multiple times";
const OVERLAP: &str = "using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed as \
                       they will be masked";
const EVENTS: &str = "'*.events.k8s.io' objects are stored using the 'events' API group in etcd. Use 'events' instead in \
                      the config file";
const EXTENSIONS: &str = "'extensions' group has been removed and cannot be used for encryption";
const NON_REST: &str = "resources which do not have REST API/s cannot be encrypted";
const DUPLICATE: &str = "Invalid value: \"foo\": duplicate KMS provider name foo, names must be unique";

#[test]
fn test_structure() {
    let none: [String; 0] = [];
    let secrets = |providers: &str| format!("[{{resources: [secrets], providers: [{providers}]}}]");
    let two = |one: &str, other: &str| {
        format!("[{{resources: [secrets], providers: [{one}]}}, {{resources: [secrets], providers: [{other}]}}]")
    };
    let cases: Vec<(&str, String, bool, Vec<String>)> = vec![
        (
            "nil and empty encryption config",
            String::new(),
            false,
            vec!["resources: Required value: at least one resources is required".into()],
        ),
        (
            "no k8s resources",
            format!("[{{providers: [{{{CBC}}}]}}]"),
            false,
            vec!["resources[0].resources: Required value: at least one resources[0].resources is required".into()],
        ),
        (
            "no providers",
            "[{resources: [secrets]}]".into(),
            false,
            vec!["resources[0].providers: Required value: at least one resources[0].providers is required".into()],
        ),
        (
            "multiple providers",
            secrets(&format!("{{{GCM}, {CBC}}}")),
            false,
            // Differs: upstream shows the element as the JSON of its Go struct, keys and all.
            vec![
                "resources[0].providers[0]: Invalid value: more than one provider specified in a single element, should \
                 split into different list elements"
                    .into(),
            ],
        ),
        ("valid config", secrets(&format!("{{{GCM}}}")), false, none.to_vec()),
        (
            "duplicate kms v2 config name with kms v1 config",
            secrets(&format!("{V1}, {V2}")),
            false,
            vec![format!("resources[0].providers[1].kms.name: {DUPLICATE}")],
        ),
        (
            "duplicate kms v2 config names",
            secrets(&format!("{V2}, {V2}")),
            false,
            vec![format!("resources[0].providers[1].kms.name: {DUPLICATE}")],
        ),
        (
            "duplicate kms v2 config name across providers",
            two(V2, V2),
            false,
            vec![format!("resources[1].providers[0].kms.name: {DUPLICATE}")],
        ),
        (
            "duplicate kms config name with v1 and v2 across providers",
            two(V1, V2),
            false,
            vec![format!("resources[1].providers[0].kms.name: {DUPLICATE}")],
        ),
        ("duplicate kms v1 config names shouldn't error", secrets(V1_TWICE), false, none.to_vec()),
        (
            "duplicate kms v1 config names should error when reload=true",
            secrets(V1_TWICE),
            true,
            vec![format!("resources[0].providers[1].kms.name: {DUPLICATE}")],
        ),
    ];
    assert_cases(cases);
}

#[test]
fn test_structure_of_resources() {
    let none: [String; 0] = [];
    let of = |resource: &str, why: &str| format!("resources[0].resources[0]: Invalid value: \"{resource}\": {why}");
    let of_list = |list: &[&str], why: &str| {
        let list: Vec<_> = list.iter().map(|name| format!("\"{name}\"")).collect();
        format!("resources[0].resources: Invalid value: [{}]: {why}", list.join(","))
    };
    let cases: Vec<(&str, String, bool, Vec<String>)> = vec![
        ("events.k8s.io group", rule("events.events.k8s.io"), false, vec![of("events.events.k8s.io", EVENTS)]),
        (
            "events.k8s.io group later in the list",
            format!(
                "[{{resources: [secrets], providers: [{V1}]}}, {{resources: [secret, events.events.k8s.io], providers: [{V1}]}}]"
            ),
            false,
            vec![format!("resources[1].resources[1]: Invalid value: \"events.events.k8s.io\": {EVENTS}")],
        ),
        ("*.events.k8s.io group", rule("'*.events.k8s.io'"), false, vec![of("*.events.k8s.io", EVENTS)]),
        ("extensions group", rule("'*.extensions'"), false, vec![of("*.extensions", EXTENSIONS)]),
        ("foo.extensions group", rule("foo.extensions"), false, vec![of("foo.extensions", EXTENSIONS)]),
        (
            "'*' resource",
            rule("'*'"),
            false,
            vec![of("*", "use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources")],
        ),
        (
            "capital letters",
            rule("apiServerIPInfo"),
            false,
            vec![of("apiServerIPInfo", "resource name should not contain capital letters")],
        ),
        ("apiserveripinfo", rule("apiserveripinfo"), false, vec![of("apiserveripinfo", NON_REST)]),
        ("serviceipallocations", rule("serviceipallocations"), false, vec![of("serviceipallocations", NON_REST)]),
        (
            "servicenodeportallocations",
            rule("servicenodeportallocations"),
            false,
            vec![of("servicenodeportallocations", NON_REST)],
        ),
        ("'*.apps' and '*.'", rule("'*.apps', '*.'"), false, none.to_vec()),
        (
            "the same resource across groups",
            rule("'*.', 'foos.*'"),
            false,
            vec![
                "resources[0].resources[1]: Invalid value: \"foos.*\": encrypting the same resource across groups is not supported"
                    .into(),
            ],
        ),
        ("secrets twice", rule("secrets, secrets"), false, vec![of_list(&["secrets"; 2], TWICE)]),
        (
            "secrets many times, told once",
            rule("secrets, secrets, secrets, secrets"),
            false,
            vec![of_list(&["secrets"; 4], TWICE)],
        ),
        ("secrets twice, via dot", rule("secrets, secrets."), false, vec![of_list(&["secrets", "secrets."], TWICE)]),
        (
            "'*.apps' and '*.' and '*.*'",
            rule("'*.apps', '*.', '*.*'"),
            false,
            vec![of_list(&["*.apps", "*.", "*.*"], OVERLAP)],
        ),
        ("deployments.apps with '*.'", rule("deployments.apps, '*.'"), false, none.to_vec()),
        (
            "deployments.apps with '*.apps'",
            rule("deployments.apps, '*.apps'"),
            false,
            vec![of_list(&["deployments.apps", "*.apps"], OVERLAP)],
        ),
        ("secrets with '*.'", rule("secrets, '*.'"), false, vec![of_list(&["secrets", "*."], OVERLAP)]),
        ("pods with '*.'", rule("pods, '*.'"), false, vec![of_list(&["pods", "*."], OVERLAP)]),
        ("others with '*.*'", rule("secrets, '*.*'"), false, vec![of_list(&["secrets", "*.*"], OVERLAP)]),
        ("both '*.' and '*.*'", rule("'*.', '*.*'"), false, vec![of_list(&["*.", "*.*"], OVERLAP)]),
    ];
    assert_cases(cases);
}

fn assert_cases(cases: Vec<(&str, String, bool, Vec<String>)>) {
    for (what, rules, reload, want) in cases {
        assert_eq!(problems(&rules, reload), want, "{what}");
    }
}

#[test]
fn test_key() {
    let of =
        |key: &str| problems(&format!("[{{resources: [secrets], providers: [{{aescbc: {{keys: [{key}]}}}}]}}]"), false);
    let field = "resources[0].providers[0].aescbc.keys[0]";
    assert_eq!(of("{name: foo, secret: c2VjcmV0IGlzIHNlY3VyZQ==}"), [""; 0]);
    assert_eq!(
        of("{secret: c2VjcmV0IGlzIHNlY3VyZQ==}"),
        [format!("{field}.name: Required value: name is a mandatory field for a key")]
    );
    assert_eq!(of("{name: foo}"), [format!("{field}.secret: Required value: secret is a mandatory field for a key")]);
    assert_eq!(
        of("{name: foo, secret: 'P@ssword'}"),
        [format!("{field}.secret: Invalid value: \"REDACTED\": secrets must be base64 encoded")]
    );
    assert_eq!(
        of("{name: foo, secret: cGFzc3dvcmQK}"),
        [format!(
            "{field}.secret: Invalid value: \"REDACTED\": secret is not of the expected length, got 9, expected one of [16 24 32]"
        )]
    );
    // Not in upstream's test: the other lengths, no keys at all, and what Go's decoder lets pass.
    let of_box = |keys: &str| {
        problems(&format!("[{{resources: [secrets], providers: [{{secretbox: {{keys: [{keys}]}}}}]}}]"), false)
    };
    assert_eq!(
        of_box("{name: foo, secret: c2VjcmV0IGlzIHNlY3VyZQ==}"),
        [
            "resources[0].providers[0].secretbox.keys[0].secret: Invalid value: \"REDACTED\": secret is not of the expected \
             length, got 16, expected one of [32]"
        ]
    );
    assert_eq!(of_box(""), ["resources[0].providers[0].secretbox.keys: Required value: at least one keys is required"]);
    assert_eq!(
        of("{name: foo, secret: \"c2VjcmV0IGlz\\nIHNlY3VyZR==\"}"),
        [""; 0],
        "a line break, and unused bits set"
    );
    assert_eq!(of("{name: foo, secret: c2VjcmV0IGlzIHNlY3VyZQ}").len(), 1, "no padding");
}

/// A file with one KMS provider of these fields, and what is wrong with `field`.
fn kms(fields: &str, field: &str) -> Vec<String> {
    let all = problems(&format!("[{{resources: [secrets], providers: [{{kms: {{{fields}}}}}]}}]"), false);
    let path = format!("resources[0].providers[0].kms.{field}: ");
    all.iter().filter_map(|problem| problem.strip_prefix(&path)).map(str::to_owned).collect()
}

#[test]
fn test_kms_provider_timeout() {
    assert_eq!(kms("timeout: 1m", "timeout"), [""; 0]);
    assert_eq!(kms("timeout: -1m", "timeout"), ["Invalid value: \"-1m\": timeout should be a positive value"]);
    assert_eq!(kms("timeout: 0s", "timeout"), ["Invalid value: \"0s\": timeout should be a positive value"]);
}

#[test]
fn test_kms_endpoint() {
    assert_eq!(kms("endpoint: 'unix:///socket.sock'", "endpoint"), [""; 0]);
    assert_eq!(kms("", "endpoint"), ["Invalid value: \"\": endpoint is a mandatory field for a kms"]);
    assert_eq!(
        kms("endpoint: 'https://www.foo.com'", "endpoint"),
        [
            "Invalid value: \"https://www.foo.com\": unsupported scheme \"https\" for KMS provider, only unix is supported"
        ]
    );
    assert_eq!(
        kms("endpoint: \"unix:///foo\\n.socket\"", "endpoint"),
        ["Invalid value: \"unix:///foo\\n.socket\": invalid endpoint for kms provider, error: parse \
             \"unix:///foo\\n.socket\": net/url: invalid control character in URL"]
    );
}

#[test]
fn test_kms_provider_cache_size() {
    assert_eq!(kms("apiVersion: v1, cachesize: 10", "cachesize"), [""; 0]);
    assert_eq!(
        kms("apiVersion: v1, cachesize: 0", "cachesize"),
        ["Invalid value: 0: cachesize should be a positive value, or negative to disable"]
    );
    assert_eq!(kms("apiVersion: v1, cachesize: -1", "cachesize"), [""; 0]);
    assert_eq!(
        kms("apiVersion: v2, cachesize: 10", "cachesize"),
        ["Invalid value: 10: cachesize is not supported in v2"]
    );
}

#[test]
fn test_kms_provider_api_version() {
    assert_eq!(kms("apiVersion: v1", "apiVersion"), [""; 0]);
    assert_eq!(kms("apiVersion: v2", "apiVersion"), [""; 0]);
    assert_eq!(
        kms("apiVersion: v3", "apiVersion"),
        ["Invalid value: \"v3\": unsupported apiVersion apiVersion for KMS provider, only v1 and v2 are supported"]
    );
}

#[test]
fn test_kms_provider_name() {
    assert_eq!(kms("apiVersion: v2, name: foo", "name"), [""; 0]);
    assert_eq!(kms("apiVersion: v2", "name"), ["Required value: name is a mandatory field for a provider"]);
    assert_eq!(
        kms("apiVersion: v2, name: 'foo:bar'", "name"),
        ["Invalid value: \"foo:bar\": invalid KMS provider name foo:bar, must not contain ':'"]
    );
    assert_eq!(kms("apiVersion: v1, name: 'foo:bar'", "name"), [""; 0]);
    for (second, reload, is_told) in [(V2, false, true), (V2, true, true), (V1, false, false), (V1, true, true)] {
        let told = problems(&format!("[{{resources: [secrets], providers: [{V1}, {second}]}}]"), reload);
        let want = format!("resources[0].providers[1].kms.name: {DUPLICATE}");
        assert_eq!(told, if is_told { vec![want] } else { vec![] }, "{second} {reload}");
    }
}
