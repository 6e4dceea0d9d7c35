//! What kube-apiserver's own library says of records and files, and records it sealed (`golden/upstream`).

use std::collections::BTreeSet;

use envelope::{EncryptionConfiguration, KeyMaterial};
use serde_json::Value;

use crate::plugin::{healthy, read};

fn answers(of: &str) -> Vec<Value> {
    let answers: Value = serde_json::from_str(include_str!("../golden/upstream/answers.json")).unwrap();
    answers[of].as_array().unwrap().clone()
}

fn stored(record: &Value) -> Vec<u8> {
    [b"k8s:enc:kms:v2:azurekmsprovider:".as_slice(), &hex::decode(record.as_str().unwrap()).unwrap()].concat()
}

#[test]
fn records_are_refused_in_the_same_words() {
    let answers = answers("records");
    assert!(answers.len() > 40);
    for answer in answers {
        let seed = |_: &_| Ok(KeyMaterial::new(vec![0; 32]));
        let error = read(&mut healthy("1"), &stored(&answer["body"]), "/a", seed).unwrap_err();
        assert_eq!(error.to_string(), answer["error"], "{}", answer["body"]);
    }
}

#[test]
fn files_are_refused_in_the_same_words() {
    let answers = answers("configs");
    assert!(answers.len() > 10);
    for answer in answers {
        let rules = answer["rules"].as_str().unwrap();
        let file =
            format!("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n{rules}");
        let ours: BTreeSet<String> = match EncryptionConfiguration::parse(file.as_bytes()) {
            Ok(_) => BTreeSet::new(),
            Err(problems) => problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect(),
        };
        let theirs: BTreeSet<String> =
            answer["errors"].as_array().unwrap().iter().map(|error| without_struct(error.as_str().unwrap())).collect();
        assert_eq!(ours, theirs, "{rules}");
    }
}

/// Upstream prints a whole provider as the JSON of its Go struct, which says nothing that line and column do not.
fn without_struct(error: &str) -> String {
    let Some((path, rest)) = error.split_once("Invalid value: {") else { return error.to_owned() };
    format!("{path}Invalid value: {}", rest.rsplit_once("}: ").unwrap().1)
}

#[test]
fn records_it_sealed_open() {
    for answer in answers("sealed") {
        let seed = |_: &_| Ok(KeyMaterial::new(hex::decode(answer["seed"].as_str().unwrap()).unwrap()));
        let opened =
            read(&mut healthy("1"), &stored(&answer["record"]), answer["key"].as_str().unwrap(), seed).unwrap();
        assert_eq!(opened.plain, answer["plain"].as_str().unwrap().as_bytes());
        assert!(!opened.stale);
    }
}
