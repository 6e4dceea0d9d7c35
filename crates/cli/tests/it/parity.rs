//! Every proof that `docs/parity.md` names exists.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_proof_on_the_parity_page_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("docs/parity.md")).unwrap();
    let proofs: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| "))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter(|quoted| quoted.contains("::") || quoted.starts_with("tests/") || quoted.starts_with("scenarios/"))
        .collect();
    assert!(proofs.len() > 30, "the page names {} proofs: is it read as it is written?", proofs.len());
    let missing: Vec<&str> = proofs.into_iter().filter(|proof| !exists(&root, proof)).collect();
    assert!(missing.is_empty(), "docs/parity.md names proofs that do not exist: {missing:#?}");
}

/// A file by its path, a test as `crate::file::test`.
fn exists(root: &Path, proof: &str) -> bool {
    let parts: Vec<&str> = proof.split("::").collect();
    let [krate, file, test] = parts[..] else { return root.join(proof).exists() };
    let source: PathBuf = root.join("crates").join(krate).join("tests/it").join(file).with_extension("rs");
    fs::read_to_string(source).is_ok_and(|text| text.contains(&format!("fn {test}(")))
}
