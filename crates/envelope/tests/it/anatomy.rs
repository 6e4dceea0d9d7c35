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

#[test]
fn values_that_are_neither() {
    insta::assert_snapshot!(lines(&assert_covers(b"k8s:enc:aescbc:v1:key1:\0\x01\x02")), @"
       0..23   prefix = k8s:enc:aescbc:v1:key1
      23..26   sealed value
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
    fn any_bytes_are_covered(bytes in any::<Vec<u8>>(), prefix in 0..3_usize) {
        let prefix = [b"".as_slice(), b"k8s:enc:kms:v2:n:", b"k8s\0"][prefix];
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
