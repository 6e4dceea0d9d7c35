//! Values and answers that break a limit or a rule, in the words of a real kube-apiserver (`golden/envelope_edge_cases.txt`).

use envelope::{KeyMaterial, RpcCode, RpcError};

use crate::plugin::{healthy, read};

const ETCD_KEY: &str = "/registry/secrets/default/a";

/// The recorded answer to the case that starts with `name`, without what the HTTP layer puts in front.
fn recorded(name: &str) -> &'static str {
    let file = include_str!("../golden/envelope_edge_cases.txt");
    let line = file.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_once("Internal error occurred: ").unwrap().1
}

/// Reads a hand-made record, with a plugin that decrypts to `material`.
fn answer_with(fields: &[&[u8]], material: Result<Vec<u8>, RpcError>) -> String {
    let stored = [b"k8s:enc:kms:v2:azurekmsprovider:".as_slice(), &fields.concat()].concat();
    read(&mut healthy("1"), &stored, ETCD_KEY, |_| material.map(KeyMaterial::new))
        .map_or_else(|error| error.to_string(), |_| "opened".into())
}

fn answer(fields: &[&[u8]]) -> String {
    answer_with(fields, Ok(vec![0; 32]))
}

const DATA: &[u8] = b"\x0a\x01\x00";
const KEY_ID: &[u8] = b"\x12\x011";
const SOURCE: &[u8] = b"\x1a\x04EDEK";
const SEED: &[u8] = b"\x28\x01";

#[test]
fn records_outside_a_limit() {
    let long_source = [b"\x1a\x81\x08".as_slice(), &[7; 1025]].concat();
    let short_data = [b"\x0a\x14".as_slice(), &[7; 20]].concat();
    for (name, fields) in [
        ("type 7", [DATA, KEY_ID, SOURCE, b"\x28\x07"]),
        ("no key id", [DATA, b"", SOURCE, SEED]),
        ("no DEK source", [DATA, KEY_ID, b"", SEED]),
        ("DEK source 1025", [DATA, KEY_ID, &long_source, SEED]),
        ("no data", [b"", KEY_ID, SOURCE, SEED]),
        ("data 20 bytes", [&short_data, KEY_ID, SOURCE, SEED]),
    ] {
        assert_eq!(answer(&fields), recorded(name), "{name}");
    }
}

#[test]
fn a_plugin_that_refuses() {
    let refused = RpcError { code: RpcCode::Unknown, message: "no such key id deadbeef".into() };
    assert_eq!(answer_with(&[DATA, KEY_ID, SOURCE, SEED], Err(refused)), recorded("wrong key id for this DEK source"));
}

#[test]
fn seeds_of_other_lengths() {
    let sealed = [b"\x0a\x3c".as_slice(), &[7; 60]].concat();
    let fields: [&[u8]; 4] = [&sealed, KEY_ID, SOURCE, SEED];
    assert_eq!(answer_with(&fields, Ok(vec![0; 16])), recorded("seed of 16 bytes"));
    assert_eq!(answer_with(&fields, Ok(vec![0; 31])), recorded("seed of 31 bytes"));
    // 33 and 64 are seeds; what they open is another matter.
    assert_eq!(answer_with(&fields, Ok(vec![0; 33])), "cipher: message authentication failed");
    assert_eq!(answer_with(&fields, Ok(vec![0; 64])), "cipher: message authentication failed");
}

#[test]
fn bytes_that_are_no_record() {
    // spec/kms.md 7.1.
    assert_eq!(answer(&[b"\x0a\xff"]), "proto: cannot parse invalid wire-format data");
    assert_eq!(answer(&[b"\x00"]), "proto: cannot parse invalid wire-format data");
}
