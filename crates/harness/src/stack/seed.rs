//! The file that a vault is seeded with.

use std::fs;
use std::path::Path;

use keyvault::Seed;
use serde_json::Value;

use super::error::StackError;
use crate::document;

/// Reads a seed from YAML or JSON; none if there is no file.
///
/// # Errors
///
/// [`StackError::Seed`] with what is wrong with it.
pub(super) fn read(path: Option<&Path>) -> Result<Seed, StackError> {
    let Some(path) = path else { return Ok(Seed::default()) };
    let refused = |source| StackError::Seed { path: path.to_owned(), source };
    let text = fs::read_to_string(path).map_err(|error| refused(error.into()))?;
    let document =
        document::load::<Value>(&path.display().to_string(), &text).map_err(|error| refused(error.into()))?;
    serde_json::from_value(document.into_value()).map_err(|error| refused(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_yaml_and_its_mistakes_are_named() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("seed.yaml");
        let read_text = |text: &str| {
            fs::write(&path, text).unwrap();
            read(Some(&path))
        };
        let seed =
            read_text("vaults:\n- name: second\n  secrets: {a: {value: b}}\nplaces: {cluster: trusted_service}\n")
                .unwrap();
        assert_eq!((seed.vaults.len(), seed.places.len()), (1, 1));
        let chain = |text: &str| crate::etcd::chain(&read_text(text).unwrap_err());
        assert!(chain("vaults: [{nam: x}]").contains("unknown field `nam`"));
        assert!(chain("places: {cluster: moon}").contains("moon"));
        assert!(matches!(read(Some(Path::new("/nonexistent"))), Err(StackError::Seed { .. })));
    }
}
