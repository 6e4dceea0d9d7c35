//! What kube-apiserver's own library says of records and files, and records it sealed (`golden/upstream`).

use std::collections::BTreeSet;

use envelope::{
    EncryptionConfiguration, GroupResource, KeyMaterial, KmsV1, ParseOptions, Provider, ReadV1, SystemRandom,
};
use serde_json::Value;

use crate::counterparts::open;
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
        // What the answers are of: validation, which comes before KMS v1 is refused.
        let options = ParseOptions { kms_v1: true, reload: false };
        let ours: BTreeSet<String> = match EncryptionConfiguration::parse_with(file.as_bytes(), options) {
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

/// Upstream's library was asked without the AES-CBC that its server tries next, so only what comes before a body is compared
/// word for word.
#[test]
fn values_of_kms_v1_are_read_and_refused_alike() {
    let answers = answers("v1");
    assert_eq!(answers.iter().filter(|answer| answer["error"] == "").count(), 3);
    assert!(answers.len() > 8);
    for answer in answers {
        let bytes = |name: &str| hex::decode(answer[name].as_str().unwrap()).unwrap();
        let mut kms = KmsV1::new("p", None);
        let opened = kms.read(&bytes("body")).and_then(|read| {
            let ReadV1::AskDecrypt(pending) = read else { panic!("no cache") };
            let opener = kms.decrypt_answered(pending, Ok(KeyMaterial::new(bytes("dek"))))?;
            opener.open(answer["key"].as_str().unwrap())
        });
        match answer["error"].as_str().unwrap() {
            "" => {
                let opened = opened.unwrap();
                assert_eq!(
                    (opened.plain.as_slice(), opened.stale),
                    (answer["plain"].as_str().unwrap().as_bytes(), false)
                );
            }
            error => assert_eq!(opened.unwrap_err().to_string(), error, "{answer}"),
        }
    }
}

#[test]
fn values_of_providers_with_keys_are_read_and_refused_alike() {
    let answers = answers("reads");
    assert!(answers.len() > 70);
    let mut written = 0;
    for answer in answers {
        let text = |name: &str| answer[name].as_str().unwrap();
        let file = format!(
            "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  \
             providers: {}",
            text("providers")
        );
        let config = EncryptionConfiguration::parse(file.as_bytes()).unwrap();
        let opened = open(&config, text("key"), &hex::decode(text("stored")).unwrap());
        match text("error") {
            "" => {
                let opened = opened.unwrap();
                assert_eq!(
                    (opened.plain.as_slice(), opened.stale),
                    (text("plain").as_bytes(), answer["stale"] == true)
                );
            }
            error => assert_eq!(opened.unwrap_err().to_string(), error, "{answer}"),
        }
        let chain = config.chain(&GroupResource::parse("secrets")).unwrap();
        if let (Provider::Keys(keys), "") = (chain.writer(), text("error")) {
            // What we seal has the same shape and comes back.
            let sealed = keys.seal(text("key"), text("plain").as_bytes(), &SystemRandom).unwrap();
            if answer["stale"] == false {
                assert_eq!(sealed.len() * 2, text("stored").len(), "{answer}");
                written += 1;
            }
            let opened = open(&config, text("key"), &sealed).unwrap();
            assert_eq!((opened.plain.as_slice(), opened.stale), (text("plain").as_bytes(), false));
        }
    }
    assert_eq!(written, 14, "three key lengths of two ciphers, one of the third, each with a long and an empty value");
}
