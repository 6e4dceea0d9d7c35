//! Every byte of a stored value has a name, whatever the bytes are.

use envelope::{Part, anatomy};
use proptest::prelude::*;
use serde_json::Value;

use crate::plugin::base64;

fn recorded() -> Value {
    serde_json::from_str(include_str!("../golden/secrets.json")).unwrap()
}

fn assert_covers(stored: &[u8]) -> Vec<Part> {
    let parts = anatomy(stored);
    let mut at = 0;
    for part in &parts {
        assert_eq!(part.range.start, at, "no gap, no overlap before {part:?}");
        assert!(!part.range.is_empty(), "{part:?}");
        assert!(!part.name.is_empty(), "{part:?}");
        at = part.range.end;
    }
    assert_eq!(at, stored.len());
    parts
}

/// One line per part: range, name, value.
fn lines(parts: &[Part]) -> String {
    let line = |part: &Part| {
        let value = part.value.as_ref().map(|value| format!(" = {value}")).unwrap_or_default();
        format!("{:>4}..{:<4} {}{value}\n", part.range.start, part.range.end, part.name)
    };
    parts.iter().map(line).collect()
}

#[test]
fn an_encrypted_value() {
    let secret = recorded()["secrets"][0].clone();
    let stored = base64(&secret["k1"]["raw_b64"]);
    let parts = assert_covers(&stored);
    let bytes_of = |name: &str| stored[parts.iter().find(|part| part.name == name).unwrap().range.clone()].to_vec();
    assert_eq!(bytes_of("encryptedData.info"), base64(&secret["k1"]["info"]));
    assert_eq!(bytes_of("encryptedData.nonce"), base64(&secret["k1"]["nonce"]));
    assert_eq!(bytes_of("encryptedData.tag").len(), 16);
    assert_eq!(bytes_of("encryptedDEKSource"), secret["k1"]["encryptedDEKSource"].as_str().unwrap().as_bytes());
    insta::assert_snapshot!("encrypted", lines(&parts));
}

#[test]
fn a_plain_value() {
    let secret = recorded()["secrets"][0].clone();
    insta::assert_snapshot!("plain", lines(&assert_covers(&base64(&secret["plain_b64"]))));
}

/// Values that kube-apiserver's own library sealed, and one of KMS v1 whose provider has a colon in its name.
#[test]
fn values_of_the_other_providers() {
    let answers: Value = serde_json::from_str(include_str!("../golden/upstream/answers.json")).unwrap();
    let stored = |provider: &str| {
        let written = |answer: &&Value| {
            answer["providers"].as_str().unwrap().contains(provider) && answer["plain"].as_str().unwrap().len() > 50
        };
        hex::decode(answers["reads"].as_array().unwrap().iter().find(written).unwrap()["stored"].as_str().unwrap())
            .unwrap()
    };
    insta::assert_snapshot!(lines(&assert_covers(&stored("aescbc"))), @"
     0..18   prefix
    18..22   key = key1
    22..23   prefix (end)
    23..39   iv
    39..103  ciphertext
    ");
    insta::assert_snapshot!(lines(&assert_covers(&stored("aesgcm"))), @"
     0..18   prefix
    18..22   key = key1
    22..23   prefix (end)
    23..35   nonce
    35..94   ciphertext
    94..110  tag
    ");
    insta::assert_snapshot!(lines(&assert_covers(&stored("secretbox"))), @"
     0..21   prefix
    21..25   key = key1
    25..26   prefix (end)
    26..50   nonce
    50..66   tag
    66..125  ciphertext
    ");
    let v1 = [b"k8s:enc:kms:v1:a:b:\0\x04EDEK".as_slice(), &[0x5a; 12 + 5 + 16]].concat();
    insta::assert_snapshot!(lines(&assert_covers(&v1)), @"
     0..15   prefix
    15..18   provider = a:b
    18..19   prefix (end)
    19..21   encryptedDEK (length) = 4
    21..25   encryptedDEK
    25..37   nonce
    37..42   ciphertext
    42..58   tag
    ");
    insta::assert_snapshot!(lines(&assert_covers(b"k8s:enc:kms:v1:a:\0")), @"
     0..15   prefix
    15..16   provider = a
    16..17   prefix (end)
    17..18   sealed value
    ");
}

#[test]
fn values_that_are_neither() {
    insta::assert_snapshot!(lines(&assert_covers(b"k8s:enc:aescbc:v1:key1:\0\x01\x02")), @"
     0..18   prefix
    18..22   key = key1
    22..23   prefix (end)
    23..26   sealed value
    ");
    insta::assert_snapshot!(lines(&assert_covers(b"k8s:enc:rot13:v1:key1:\0\x01\x02")), @"
     0..22   prefix = k8s:enc:rot13:v1:key1
    22..25   sealed value
    ");
    insta::assert_snapshot!(lines(&assert_covers(b"k8s:enc:kms:v2:name")), @"   0..19   prefix");
    insta::assert_snapshot!(lines(&assert_covers(b"{}")), @"   0..2    unknown bytes");
    insta::assert_snapshot!(lines(&assert_covers(b"k8s:enc:kms:v2:n:\x12\x05ab")), @"
       0..15   prefix
      15..16   provider = n
      16..17   prefix (end)
      17..21   ?
    ");
    assert_eq!(assert_covers(b""), []);
}

proptest! {
    #[test]
    fn any_bytes_are_covered(bytes in any::<Vec<u8>>(), prefix in 0..7_usize) {
        let prefix = [
            b"".as_slice(),
            b"k8s:enc:kms:v2:n:",
            b"k8s\0",
            b"k8s:enc:kms:v1:n:",
            b"k8s:enc:aescbc:v1:n:",
            b"k8s:enc:aesgcm:v1:n:",
            b"k8s:enc:secretbox:v1:n:",
        ][prefix];
        assert_covers(&[prefix, &bytes].concat());
    }

    #[test]
    fn damaged_values_are_covered(which in 0..6_usize, plain: bool, at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let secret = &recorded()["secrets"][which];
        let mut stored = base64(if plain { &secret["plain_b64"] } else { &secret["k2"]["raw_b64"] });
        let at = at.index(stored.len());
        stored[at] = byte;
        stored.truncate(cut.index(stored.len()) + 1);
        assert_covers(&stored);
    }
}
