//! Every test that `docs/upstream-tests.md` names exists, here or in `apiserver`.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_counterpart_on_the_page_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("docs/upstream-tests.md")).unwrap();
    let ours: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| Test"))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter(|quoted| quoted.contains("::"))
        .collect();
    assert!(ours.len() > 80, "the page names {} tests: is it read as it is written?", ours.len());
    let missing: Vec<&&str> = ours.iter().filter(|name| !exists(&root.join("crates"), name)).collect();
    assert!(missing.is_empty(), "docs/upstream-tests.md names tests that do not exist: {missing:#?}");
}

/// `crate::modules::test`, of a crate's integration tests or in its source.
fn exists(crates: &Path, name: &str) -> bool {
    let mut parts: Vec<&str> = name.split("::").collect();
    let Some(test) = parts.pop() else { return false };
    let krate = crates.join(parts.remove(0));
    let module: PathBuf = parts.iter().collect();
    let around: PathBuf = parts.iter().take(parts.len() - 1).collect();
    let files = [
        krate.join("tests/it").join(&module).with_extension("rs"),
        krate.join("src").join(&module).with_extension("rs"),
        // A module `tests` inside a file.
        krate.join("src").join(&around).with_extension("rs"),
    ];
    files.iter().any(|file| fs::read_to_string(file).is_ok_and(|text| text.contains(&format!("fn {test}("))))
}
