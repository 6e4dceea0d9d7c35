//! The versions of the key that have been seen, by key id: a key id is a hash, and only who knows the version can say
//! which one it means. And the order in which they were current, by which no id is ever used twice. A file keeps both
//! across restarts, because the vault need not let the plugin list the versions, and does not know the order.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::key::{Key, KeyId, KeyVersion};

/// A version of the key and the id that Kubernetes has for it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct KnownVersion {
    /// The id.
    pub key_id: KeyId,
    /// The version.
    pub version: KeyVersion,
}

#[derive(Debug)]
pub(crate) struct KnownVersions {
    file: Option<PathBuf>,
    key: Key,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The versions that were current, in order; no two that follow each other are the same.
    adopted: Vec<KeyVersion>,
    versions: BTreeMap<KeyId, KeyVersion>,
}

impl State {
    fn times_adopted(&self, version: &KeyVersion) -> usize {
        self.adopted.iter().filter(|adopted| *adopted == version).count()
    }
}

impl KnownVersions {
    /// Reads the file; one that does not exist yet is empty.
    pub(crate) fn open(key: Key, file: Option<PathBuf>) -> Result<Self, KnownVersionsError> {
        let state = match &file {
            Some(path) => read(path, &key)?,
            None => State::default(),
        };
        Ok(Self { file, key, state: Mutex::new(state) })
    }

    /// The version that an id means, whichever time it is of.
    pub(crate) fn find(&self, key_id: &str) -> Option<KeyVersion> {
        let hash = KeyId::hash_in(key_id);
        self.state().versions.iter().find(|(known, _)| known.as_str() == hash).map(|(_, version)| version.clone())
    }

    /// In the order of their ids.
    pub(crate) fn all(&self) -> Vec<KnownVersion> {
        let state = self.state();
        state
            .versions
            .iter()
            .map(|(key_id, version)| KnownVersion { key_id: key_id.clone(), version: version.clone() })
            .collect()
    }

    /// The id with which a version is current, or would be.
    pub(crate) fn key_id_in_use(&self, version: &KeyVersion) -> KeyId {
        self.key.key_id(version).at_time(self.state().times_adopted(version))
    }

    /// Adds versions. A file that cannot be written is warned about and costs nothing now: the versions are known as
    /// long as the process lives.
    pub(crate) fn remember(&self, seen: impl IntoIterator<Item = KeyVersion>) {
        // Held while the file is written, so that two writers do not undo each other.
        let mut state = self.state();
        if self.add(&mut state, seen) {
            self.keep(&state);
        }
    }

    /// Adds a version and notes that it is the current one from now on.
    pub(crate) fn adopt(&self, version: &KeyVersion) {
        let mut state = self.state();
        let new = self.add(&mut state, [version.clone()]);
        let changed = state.adopted.last() != Some(version);
        if changed {
            state.adopted.push(version.clone());
        }
        if new || changed {
            self.keep(&state);
        }
    }

    fn add(&self, state: &mut State, seen: impl IntoIterator<Item = KeyVersion>) -> bool {
        let before = state.versions.len();
        for version in seen {
            let key_id = self.key.key_id(&version);
            state.versions.entry(key_id).or_insert_with_key(|key_id| {
                info!(%version, %key_id, "key version known from now on");
                version
            });
        }
        state.versions.len() > before
    }

    fn keep(&self, state: &State) {
        if let Some(path) = &self.file
            && let Err(error) = write(path, &self.key, state)
        {
            warn!(path = %path.display(), %error, "cannot keep the known key versions");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why the file of known versions cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KnownVersionsError {
    /// It is of another key: its ids would be nonsense here.
    #[error("use known versions file {}: it is of {found}, not of {expected}; name another file or remove it", path.display())]
    OtherKey {
        /// The file.
        path: PathBuf,
        /// The key in it.
        found: String,
        /// This plugin's key.
        expected: String,
    },
    /// It is damaged.
    #[error("understand known versions file {}: remove it, and the plugin asks the vault for the versions", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where it is damaged.
        source: serde_json::Error,
    },
    /// It cannot be read.
    #[error("read known versions file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

/// The file: the key's URL, the versions, and those that were current, in order.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Document {
    key: String,
    versions: Vec<String>,
    #[serde(default)]
    adopted: Vec<String>,
}

fn read(path: &Path, key: &Key) -> Result<State, KnownVersionsError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::default()),
        Err(source) => return Err(KnownVersionsError::Read { path: path.to_owned(), source }),
    };
    let parse_error = |source| KnownVersionsError::Parse { path: path.to_owned(), source };
    let document: Document = serde_json::from_slice(&text).map_err(parse_error)?;
    if document.key != key.url() {
        return Err(KnownVersionsError::OtherKey { path: path.to_owned(), found: document.key, expected: key.url() });
    }
    let parsed = |texts: &[String]| -> Result<Vec<KeyVersion>, KnownVersionsError> {
        let versions = texts.iter().map(|version| version.parse());
        versions.collect::<Result<_, _>>().map_err(|error| parse_error(serde::de::Error::custom(error)))
    };
    let adopted = parsed(&document.adopted)?;
    let versions = parsed(&document.versions)?;
    let versions = versions.into_iter().chain(adopted.iter().cloned());
    Ok(State { versions: versions.map(|version| (key.key_id(&version), version)).collect(), adopted })
}

/// Writes beside the file and moves over it, so that a crash leaves the old or the new content.
fn write(path: &Path, key: &Key, state: &State) -> io::Result<()> {
    let document = Document {
        key: key.url(),
        versions: state.versions.values().map(ToString::to_string).collect(),
        adopted: state.adopted.iter().map(ToString::to_string).collect(),
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let staged = path.with_file_name(name);
    // A leftover of a crash may have another mode.
    match fs::remove_file(&staged) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&staged)?;
    serde_json::to_writer_pretty(&mut file, &document)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&staged, path)?;
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;

    fn key(name: &str) -> Key {
        Key::new(&"kyanite".parse().unwrap(), "vault.azure.net", name.parse().unwrap())
    }

    #[test]
    fn what_was_seen_is_known_after_a_restart() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("versions.json");
        let known = KnownVersions::open(key("kms"), Some(path.clone())).unwrap();
        known.remember(["v1".parse().unwrap()]);
        known.remember(["v2".parse().unwrap(), "v1".parse().unwrap()]);

        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        let again = KnownVersions::open(key("kms"), Some(path)).unwrap();
        assert_eq!(again.all(), known.all());
        let v2 = key("kms").key_id(&"v2".parse().unwrap());
        assert_eq!(again.find(v2.as_str()).unwrap().as_str(), "v2");
        assert_eq!(again.find("unknown"), None);
    }

    #[test]
    fn a_file_of_another_key_or_none_at_all_is_refused() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("versions.json");
        KnownVersions::open(key("kms"), Some(path.clone())).unwrap().remember(["v1".parse().unwrap()]);
        let error = KnownVersions::open(key("other"), Some(path.clone())).unwrap_err().to_string();
        assert!(error.ends_with("it is of https://kyanite.vault.azure.net/keys/kms, not of https://kyanite.vault.azure.net/keys/other; name another file or remove it"), "{error}");

        for damaged in ["", "{}", r#"{"key":"https://kyanite.vault.azure.net/keys/kms","versions":["../x"]}"#] {
            fs::write(&path, damaged).unwrap();
            let error = KnownVersions::open(key("kms"), Some(path.clone())).unwrap_err();
            assert!(matches!(error, KnownVersionsError::Parse { .. }), "{error:?}");
        }
        let error = KnownVersions::open(key("kms"), Some(folder.path().to_owned())).unwrap_err();
        assert!(matches!(error, KnownVersionsError::Read { .. }), "{error:?}");
    }

    #[test]
    fn an_id_is_never_used_twice_over_restarts_and_old_ids_are_understood() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("versions.json");
        let open = || KnownVersions::open(key("kms"), Some(path.clone())).unwrap();
        let version = |text: &str| text.parse::<KeyVersion>().unwrap();
        let hash = key("kms").key_id(&version("v1")).to_string();
        let adopted = |text: &str| {
            let known = open();
            known.adopt(&version(text));
            known.key_id_in_use(&version(text)).to_string()
        };
        assert_eq!(adopted("v1"), hash);
        assert_eq!(adopted("v1"), hash, "a restart is no change");
        assert_ne!(adopted("v2"), hash);
        assert_eq!(adopted("v1"), format!("{hash}-2"));
        assert_eq!(adopted("v1"), format!("{hash}-2"));
        adopted("v2");
        assert_eq!(adopted("v1"), format!("{hash}-3"));
        for id in [hash.clone(), format!("{hash}-2"), format!("{hash}-77")] {
            assert_eq!(open().find(&id), Some(version("v1")), "{id}");
        }
    }

    #[test]
    fn a_folder_that_is_gone_costs_nothing_now() {
        let folder = TempDir::new().unwrap();
        let known = KnownVersions::open(key("kms"), Some(folder.path().join("no/versions.json"))).unwrap();
        known.remember(["v1".parse().unwrap()]);
        assert_eq!(known.all().len(), 1);
    }
}
