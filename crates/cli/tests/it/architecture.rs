//! The crate graph of the design, held against `cargo metadata`: a wire is never a crate edge.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Which crate of ours may depend on which, as `ARCHITECTURE.md` draws it. Development dependencies count: a test
/// that borrows the other end of a wire would hide a mistake both ends share.
const EDGES: [(&str, &[&str]); 9] = [
    ("apiserver", &["clock", "envelope", "kms-api"]),
    ("cli", &["harness"]),
    ("clock", &[]),
    ("envelope", &[]),
    ("gateway", &[]),
    ("harness", &["apiserver", "clock", "envelope", "gateway", "keyvault", "kms-api", "kms-plugin"]),
    ("keyvault", &["clock"]),
    ("kms-api", &[]),
    ("kms-plugin", &["clock", "kms-api"]),
];

#[test]
fn crates_depend_only_on_what_the_design_draws() {
    let drawn: BTreeMap<&str, BTreeSet<&str>> =
        EDGES.iter().map(|(from, to)| (*from, to.iter().copied().collect())).collect();
    let metadata = cargo_metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let ours: BTreeSet<&str> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    assert_eq!(ours, drawn.keys().copied().collect(), "the crates of the workspace are those of the design");

    let undrawn: Vec<String> = packages
        .iter()
        .flat_map(|package| {
            let from = package["name"].as_str().unwrap();
            let to = package["dependencies"].as_array().unwrap().iter().map(|edge| edge["name"].as_str().unwrap());
            to.filter(|to| ours.contains(to) && !drawn[from].contains(to)).map(move |to| format!("{from} -> {to}"))
        })
        .collect();
    assert!(undrawn.is_empty(), "crate edges that the design does not draw: {undrawn:?}");
}

fn cargo_metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
