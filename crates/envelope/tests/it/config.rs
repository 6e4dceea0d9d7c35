//! Configuration files, good and bad: all problems at once, with their places, in upstream's words.

use std::time::Duration;

use envelope::{EncryptionConfiguration, GroupResource, Provider};
use proptest::prelude::*;

const GOOD: &str = "\
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources:
      - secrets
      - configmaps
    providers:
      - kms:
          apiVersion: v2
          name: azurekmsprovider
          endpoint: unix:///opt/azurekms.socket
      - identity: {}
  - resources: [deployments.apps]
    providers: [{identity: {}}]
  - resources: ['*.apps']
    providers:
      - kms: {apiVersion: v2, name: second, endpoint: 'unix:///@second', timeout: 1m30s}
  - resources: [secrets]
    providers: [{kms: {apiVersion: v2, name: third, endpoint: unix:///third, timeout: 500ms}}]
";

fn problems(file: &str) -> String {
    EncryptionConfiguration::parse(file.as_bytes()).unwrap_err().to_string()
}

/// A file with one rule for secrets and this provider list.
fn with_providers(providers: &str) -> String {
    format!(
        "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  \
         providers:{providers}"
    )
}

fn with_rules(rules: &str) -> String {
    format!("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:{rules}")
}

#[test]
fn resources_find_their_providers() {
    let config = EncryptionConfiguration::parse(GOOD.as_bytes()).unwrap();
    let prefixes = |resource: &str| {
        let chain = config.chain(&GroupResource::parse(resource))?;
        // `attempts` shows the whole chain if the value has every prefix; identity is the only one with none.
        let writer = chain.writer().prefix().into_owned();
        Some((writer, chain.attempts(b"k8s:enc:kms:v2:third:x").len()))
    };
    // The two rules for secrets make one chain: azurekmsprovider, identity, third.
    assert_eq!(prefixes("secrets"), Some(("k8s:enc:kms:v2:azurekmsprovider:".into(), 2)));
    assert_eq!(prefixes("deployments.apps"), Some((String::new(), 1)));
    assert_eq!(prefixes("replicasets.apps"), Some(("k8s:enc:kms:v2:second:".into(), 0)));
    assert_eq!(prefixes("pods"), None);
    assert_eq!(prefixes("secrets.apps").unwrap().0, "k8s:enc:kms:v2:second:");

    let chain = config.chain(&GroupResource::parse("secrets")).unwrap();
    let attempts = chain.attempts(b"k8s:enc:kms:v2:third:body");
    assert_eq!(attempts.iter().map(|attempt| attempt.position).collect::<Vec<_>>(), [1, 2]);
    assert!(matches!(attempts[0].provider, Provider::Identity));
    assert_eq!(attempts[1].body, b"body");
}

#[test]
fn kms_providers_have_their_defaults() {
    let config = EncryptionConfiguration::parse(GOOD.as_bytes()).unwrap();
    let providers: Vec<_> =
        config.kms_providers().map(|kms| (kms.name(), kms.endpoint.as_str(), kms.timeout)).collect();
    assert_eq!(
        providers,
        [
            ("azurekmsprovider", "unix:///opt/azurekms.socket", Duration::from_secs(3)),
            ("second", "unix:///@second", Duration::from_secs(90)),
            ("third", "unix:///third", Duration::from_millis(500)),
        ]
    );
}

#[test]
fn the_hash_is_that_of_the_files_bytes() {
    let config = EncryptionConfiguration::parse(GOOD.as_bytes()).unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, GOOD.as_bytes());
    assert_eq!(config.hash(), format!("sha256:{}", hex::encode(digest)));
}

#[test]
fn json_is_yaml() {
    let json = r#"{"apiVersion":"apiserver.config.k8s.io/v1","kind":"EncryptionConfiguration",
        "resources":[{"resources":["*.*"],"providers":[{"identity":{}}]}]}"#;
    let config = EncryptionConfiguration::parse(json.as_bytes()).unwrap();
    assert!(config.chain(&GroupResource::parse("anything.at.all")).is_some());
}

#[test]
fn every_problem_is_told_at_once() {
    insta::assert_snapshot!(
        "many_problems",
        problems(
            "\
apiVersion: v1
kind: EncryptionConfig
extra: 1
resources:
- resources: []
  providers:
  - kms: {apiVersion: v2, name: 'a:b', endpoint: tcp://127.0.0.1:1, timeout: 0s, cachesize: 5, retries: 3}
  - identity: {}
    aescbc: {keys: [{name: k, secret: c2VjcmV0}]}
  - {}
  - kms: {name: one, endpoint: 'unix:///x'}
  - kms: {apiVersion: v3, endpoint: 'unix://run/x'}
- resources: [Secrets, '*', apiserveripinfo, events.events.k8s.io, a.extensions, secrets.*, 7]
  providers: 3
- resources: ['*.', secrets, secrets]
- null
- resources: [pods]
  providers:
  - identity:
"
        )
    );
}

#[test]
fn names_must_be_unique_and_socket_paths_absolute() {
    insta::assert_snapshot!(
        "kms_problems",
        problems(&with_providers(
            "
  - kms: {apiVersion: v2, name: a, endpoint: 'unix:///x', timeout: -1s}
  - kms: {apiVersion: v2, name: a, endpoint: '/x', timeout: soon}
  - kms: {apiVersion: v2, name: '', endpoint: ''}
  - kms: {apiVersion: v2, name: b, endpoint: 'unix:///x?y'}
  - kms: {apiVersion: v2, name: c, endpoint: 'unix:///x/'}
  - kms: {apiVersion: v1, name: v1, endpoint: 'unix:///x', cachesize: 0}
"
        ))
    );
}

#[test]
fn rules_must_not_be_masked() {
    insta::assert_snapshot!(problems(&with_rules("
- {resources: ['*.', '*.apps'], providers: [{identity: {}}]}
- {resources: [secrets, deployments.apps, jobs.batch], providers: [{identity: {}}]}
- {resources: ['*.*'], providers: [{identity: {}}]}
- {resources: [leases.coordination.k8s.io], providers: [{identity: {}}]}
")), @r#"
line 5, column 16: resources[1].resources[0]: resource "secrets" is masked by earlier rule "*."
line 5, column 25: resources[1].resources[1]: resource "deployments.apps" is masked by earlier rule "*.apps"
line 7, column 16: resources[3].resources[0]: resource "leases.coordination.k8s.io" is masked by earlier rule "*.*"
"#);
}

#[test]
fn files_that_cannot_be_read_at_all() {
    let not_text = EncryptionConfiguration::parse(b"kind: \"x\"\napi\xff").unwrap_err().to_string();
    let unreadable = [
        ("nothing", problems("")),
        ("a comment", problems("# nothing\n")),
        ("bad syntax", problems("a: [1\nb: 2\n")),
        ("text", problems("just text")),
        ("two documents", problems(&format!("{GOOD}---\n{GOOD}"))),
        ("a doubled field", problems(&format!("{GOOD}kind: again\n"))),
        ("a tower of brackets", problems(&"[".repeat(100_000))),
        ("a tower of lists", problems(&"- ".repeat(100_000))),
        ("no text", not_text),
    ];
    let lines: Vec<_> = unreadable.iter().map(|(what, problems)| format!("{what}:\n{problems}\n")).collect();
    insta::assert_snapshot!("unreadable", lines.concat());
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*") {
        let _ = EncryptionConfiguration::parse(text.as_bytes());
    }

    #[test]
    fn no_damage_panics(at: prop::sample::Index, what in "[-a-z:{}\\[\\]#&*!|>'\"%@`0-9 \n]{0,4}", cut in 0..4_usize) {
        let mut text = GOOD.to_owned();
        let at = at.index(text.len());
        let end = (at + cut).min(text.len());
        text.replace_range(at..end, &what);
        if let Err(problems) = EncryptionConfiguration::parse(text.as_bytes()) {
            prop_assert!(problems.iter().all(|problem| problem.line > 0 && problem.column > 0), "{problems}");
        }
    }
}
