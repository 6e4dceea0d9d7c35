//! `server/options/encryptionconfig/config_test.go`, as far as no plugin is called.

use std::time::Duration;

use envelope::{
    Chain, EncryptionConfiguration, GroupResource, KmsVersion, OpenError, Opened, ParseOptions, Provider, SystemRandom,
    open_identity,
};

/// A valid file for secrets with these providers.
pub(super) fn secrets(providers: &str) -> EncryptionConfiguration {
    config(&format!("[{{resources: [secrets], providers: {providers}}}]")).unwrap()
}

pub(super) fn chain(config: &EncryptionConfiguration) -> Chain<'_> {
    config.chain(&GroupResource::parse("secrets")).unwrap()
}

/// A file with these rules, or what is wrong with it, without places.
fn config(rules: &str) -> Result<EncryptionConfiguration, Vec<String>> {
    let file = format!("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: {rules}\n");
    EncryptionConfiguration::parse_with(file.as_bytes(), ParseOptions { kms_v1: true, reload: false })
        .map_err(|problems| problems.iter().map(|problem| problem.message.clone()).collect())
}

/// Reads a value of secrets through every provider of a file that has no KMS.
pub(crate) fn open(config: &EncryptionConfiguration, etcd_key: &str, stored: &[u8]) -> Result<Opened, OpenError> {
    let mut errors = Vec::new();
    for attempt in chain(config).attempts(stored) {
        let opened = match attempt.provider {
            Provider::Identity => match open_identity(attempt.body) {
                Err(_) => continue,
                opened => opened,
            },
            Provider::Keys(keys) => keys.open(etcd_key, attempt.body, |_, _| {}),
            other => panic!("{other:?}"),
        };
        match opened {
            Ok(opened) => return Ok(Opened { stale: opened.stale || attempt.position > 0, ..opened }),
            Err(error) => errors.push(error),
        }
    }
    Err(OpenError::of_all(errors).unwrap_or(OpenError::NoMatchingPrefix))
}

/// The kind `EncryptionConfig` of old is gone, and so is upstream's test data for it.
#[test]
fn test_legacy_config() {
    let file =
        b"apiVersion: v1\nkind: EncryptionConfig\nresources: [{resources: [secrets], providers: [{identity: {}}]}]\n";
    let problems = EncryptionConfiguration::parse(file).unwrap_err().to_string();
    assert!(problems.contains("kind: Invalid value: \"EncryptionConfig\""), "{problems}");
}

const TWO_V1: &str = "[{resources: [secrets], providers: [{kms: {name: foo, endpoint: 'unix:///tmp/testprovider.sock', timeout: 15s}}, \
                      {kms: {name: bar, endpoint: 'unix:///tmp/testprovider.sock', timeout: 15s}}]}]";

#[test]
fn test_kmsv1_deprecation() {
    let file = format!("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: {TWO_V1}\n");
    let parse = |kms_v1| EncryptionConfiguration::parse_with(file.as_bytes(), ParseOptions { kms_v1, reload: false });
    let refused = parse(false).unwrap_err();
    let messages: Vec<_> = refused.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(
        messages,
        ["KMSv1 is deprecated and will only receive security updates going forward. Use KMSv2 instead.  Set \
          --feature-gates=KMSv1=true to use the deprecated KMSv1 feature."; 2]
    );
    parse(true).unwrap();
    assert!(EncryptionConfiguration::parse(file.as_bytes()).is_err(), "off by default");
}

#[test]
fn test_kmsvs_enablement() {
    let mixed = "[{resources: [secrets], providers: [{kms: {apiVersion: v2, name: foo, endpoint: 'unix:///tmp/a.sock'}}, \
                 {kms: {name: bar, endpoint: 'unix:///tmp/b.sock'}}]}]";
    let v2 =
        "[{resources: [secrets], providers: [{kms: {apiVersion: v2, name: foo, endpoint: 'unix:///tmp/a.sock'}}]}]";
    let parse = |rules: &str| {
        let file =
            format!("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: {rules}\n");
        EncryptionConfiguration::parse(file.as_bytes())
    };
    let refused = parse(mixed).unwrap_err().to_string();
    assert!(refused.contains("KMSv1 is deprecated and will only receive security updates going forward."), "{refused}");
    parse(v2).unwrap();
    let versions: Vec<_> = config(mixed)
        .unwrap()
        .kms_providers()
        .map(|kms| (kms.place, matches!(kms.version, KmsVersion::V2(_)), kms.name().to_owned()))
        .collect();
    assert_eq!(versions, [(0, true, "foo".to_owned()), (1, false, "bar".to_owned())]);
}

/// A check makes one call to a v2 plugin and two to one of v1; the sum is doubled where it is used.
#[test]
fn test_kms_max_timeout() {
    let v1 = |timeout: &str| format!("{{kms: {{name: kms, endpoint: 'unix:///tmp/a.sock'{timeout}}}}}");
    let v2 = |name: &str, timeout: &str| {
        format!("{{kms: {{apiVersion: v2, name: {name}, endpoint: 'unix:///tmp/a.sock', timeout: {timeout}}}}}")
    };
    let rule = |resource: &str, providers: &str| format!("{{resources: [{resource}], providers: [{providers}]}}");
    assert_eq!(
        config(&format!("[{}]", rule("secrets", "{}"))).unwrap_err(),
        [
            "Invalid value: provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, Identity"
        ]
    );
    for (rules, seconds) in [
        (rule("secrets", &v1("")), 6),
        (format!("{}, {}", rule("secrets", &v1(", timeout: 3s")), rule("configmaps", &v1(", timeout: 3s"))), 12),
        (format!("{}, {}", rule("secrets", &v2("kms", "15s")), rule("configmaps", &v2("another-kms", "17s"))), 32),
        (
            format!(
                "{}, {}",
                rule("secrets", &format!("{}, {}", v1(", timeout: 1s"), v2("b", "1s"))),
                rule("pods", &v1(", timeout: 6s"))
            ),
            15,
        ),
    ] {
        assert_eq!(config(&format!("[{rules}]")).unwrap().kms_timeouts(), Duration::from_secs(seconds), "{rules}");
    }
}

const V1: &str = "{kms: {name: kms, endpoint: 'unix:///tmp/testprovider.sock', timeout: 3s}}";

/// Masking inside one list is told as an overlap, which upstream's whole loader tells first as well; upstream's test calls
/// the loader's second half alone.
#[test]
fn test_wildcard_masking() {
    let rules = |lists: &[&str]| {
        let rules: Vec<_> = lists.iter().map(|list| format!("{{resources: [{list}], providers: [{V1}]}}")).collect();
        config(&format!("[{}]", rules.join(", "))).map(drop)
    };
    let masked =
        |resource: &str, rule: &str| Err(vec![format!("resource \"{resource}\" is masked by earlier rule \"{rule}\"")]);
    let overlaps = |lists: &[&str]| {
        rules(lists).unwrap_err().iter().any(|message| message.contains("using overlapping resources such as"))
    };
    assert!(overlaps(&["configmaps, '*.', secrets"]));
    assert_eq!(rules(&["'*.'", "'*.'"]), masked("*.", "*."));
    assert_eq!(rules(&["'*.foo'", "'*.foo'"]), masked("*.foo", "*.foo"));
    assert_eq!(rules(&["'*.*'", "'*.*'"]), masked("*.*", "*.*"));
    assert!(overlaps(&["configmaps", "'*.', secrets"]));
    assert!(overlaps(&["configmaps, '*.*', secrets"]));
    assert!(overlaps(&["configmaps", "'*.*', secrets"]));
    assert!(overlaps(&["configmaps, '*.*', '*.'"]));
    assert_eq!(rules(&["'*.*'", "'*.'"]), masked("*.", "*.*"));
    assert!(overlaps(&["configmaps, secrets, '*.*'"]), "and so it is upstream, before masking is looked for");
    assert_eq!(rules(&["configmaps, secrets", "'*.*'"]), Ok(()));
    assert_eq!(rules(&["'*.'", "secrets"]), masked("secrets", "*."));
}

#[test]
fn test_wildcard_structure() {
    let keys = |name: &str| format!("{{aesgcm: {{keys: [{{name: {name}, secret: AAAAAAAAAAAAAAAAAAAAAA==}}]}}}}");
    let rule = |list: &str, name: &str| format!("{{resources: [{list}], providers: [{}]}}", keys(name));
    let config = config(&format!(
        "[{}, {}, {}, {}]",
        rule("configmaps, '*.apps'", "kms"),
        rule("secrets", "another-kms"),
        rule("'*.'", "fancy"),
        rule("'*.*'", "yet-another-provider")
    ))
    .unwrap();
    for (resource, writer) in [
        ("configmaps", "kms:"),
        ("secrets", "another-kms:"),
        ("events", "fancy:"),
        ("deployments.apps", "kms:"),
        ("pods", "fancy:"),
        ("services", "fancy:"),
        ("jobs.batch", "yet-another-provider:"),
        ("crds.whatever", "yet-another-provider:"),
    ] {
        let chain = config.chain(&GroupResource::parse(resource)).unwrap();
        let Provider::Keys(keys) = chain.writer() else { panic!("keys") };
        assert_eq!(keys.writer().unwrap().prefix(), writer, "{resource}");
    }
}

/// Seals with one file, reads with it and with another that has the same keys in another order, and seals again with that.
fn rotate(first: &str, first_prefix: &str, second: &str, second_prefix: &str) {
    let data = "authenticated_data";
    let seal = |config: &EncryptionConfiguration| {
        let Provider::Keys(keys) = chain(config).writer().clone() else { panic!("keys") };
        keys.seal(data, b"firstvalue", &SystemRandom).unwrap()
    };
    let assert_opens = |config: &EncryptionConfiguration, data: &str, stored: &[u8], stale: bool| {
        let opened = open(config, data, stored).unwrap();
        assert_eq!((opened.plain.as_slice(), opened.stale), (b"firstvalue".as_slice(), stale));
    };
    let config = secrets(first);
    let stored = seal(&config);
    assert!(stored.starts_with(first_prefix.as_bytes()));
    assert_opens(&config, data, &stored, false);
    assert_opens(&config, "incorrect_context", &stored, false);
    let config = secrets(second);
    assert_opens(&config, data, &stored, true);
    let stored = seal(&config);
    assert!(stored.starts_with(second_prefix.as_bytes()));
    assert_opens(&config, data, &stored, false);
}

#[test]
fn test_cbc_key_rotation_with_overlapping_providers() {
    let provider = |name: &str, secret: &str| format!("{{aescbc: {{keys: [{{name: '{name}', secret: {secret}}}]}}}}");
    let one = provider("1", "AAAAAAAAAAAAAAAAAAAAAA==");
    let two = provider("2", "AQAAAAAAAAAAAAAAAAAAAA==");
    rotate(&format!("[{one}, {two}]"), "k8s:enc:aescbc:v1:1:", &format!("[{two}, {one}]"), "k8s:enc:aescbc:v1:2:");
}

#[test]
fn test_cbc_key_rotation_without_overlapping_providers() {
    let a = "{name: A, secret: AAAAAAAAAAAAAAAAAAAAAA==}";
    let b = "{name: B, secret: AQAAAAAAAAAAAAAAAAAAAA==}";
    rotate(
        &format!("[{{aescbc: {{keys: [{a}, {b}]}}}}]"),
        "k8s:enc:aescbc:v1:A:",
        &format!("[{{aescbc: {{keys: [{b}, {a}]}}}}]"),
        "k8s:enc:aescbc:v1:B:",
    );
}

#[test]
fn test_compute_encryption_config_hash() {
    assert_eq!(
        EncryptionConfiguration::hash_of(b""),
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
}
