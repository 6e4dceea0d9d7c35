//! Scenario files from the disk, with every problem of every file at once.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use thiserror::Error;

use crate::document::{self, Document, LoadError};

use super::file::{Scenario, ScenarioFile};
use super::meaning;

/// Why stories cannot be had from a path.
#[derive(Debug, Diagnostic, Error)]
pub enum StoryError {
    /// The file is not a good scenario.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Bad(LoadError),
    /// A folder holds no scenario file.
    #[error("find a story in {}", path.display())]
    #[diagnostic(help("a story is a file that ends in .yaml; `kyanite check` says what is wrong with one"))]
    None {
        /// The folder.
        path: PathBuf,
    },
    /// A file or folder cannot be read.
    #[error("read {}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Reads the stories of files and folders, the latter with all folders inside, in the order of their paths.
///
/// # Errors
///
/// A [`StoryError`] for each file that is no good story and each path without one. Two stories of the same name are an
/// error of the later one.
pub fn load(paths: &[PathBuf]) -> Result<Vec<Scenario>, Vec<StoryError>> {
    let mut errors = Vec::new();
    let mut stories = Vec::new();
    let mut first_with_name: BTreeMap<String, PathBuf> = BTreeMap::new();
    for file in files(paths, &mut errors) {
        match load_file(&file) {
            Err(error) => errors.push(error),
            Ok((document, story)) => {
                if let Some(first) = first_with_name.get(&story.name) {
                    let problem = document
                        .problem("/name", format!("the name `{}` is taken by {}", story.name, first.display()))
                        .with_help("reports tell stories apart by their names");
                    errors.extend(document.reject(vec![problem]).err().map(StoryError::Bad));
                } else {
                    first_with_name.insert(story.name.clone(), file);
                    stories.push(story);
                }
            }
        }
    }
    if errors.is_empty() { Ok(stories) } else { Err(errors) }
}

/// Reads one story from `text`; `file` names it in reports and must have the story's name.
///
/// # Errors
///
/// [`LoadError`] with every problem in the text.
pub fn load_text(file: &Path, text: &str) -> Result<Scenario, LoadError> {
    understand(file, text).map(|(_, story)| story)
}

/// The schema of scenario files, as it is checked in under `schemas/scenario.json`.
pub fn schema_text() -> String {
    document::schema_text::<ScenarioFile>()
}

/// The files at `paths`: files as they are, and those in folders that end in `.yaml` or `.yml`, in the order of their
/// paths and none twice. Paths without any are noted in `errors`.
pub fn files(paths: &[PathBuf], errors: &mut Vec<StoryError>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in paths {
        let before = files.len();
        match collect(path, &mut files) {
            Err(source) => errors.push(StoryError::Unreadable { path: path.clone(), source }),
            Ok(()) if files.len() == before => errors.push(StoryError::None { path: path.clone() }),
            Ok(()) => {}
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    files.retain(|file| seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone())));
    files
}

/// Adds `path` itself if it is a file, else every scenario file in it.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.metadata()?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries = path.read_dir()?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    for entry in entries {
        // `file_type` of the entry itself: a link to a folder above would make this endless.
        let kind = entry.symlink_metadata()?.file_type();
        let is_story = entry.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if kind.is_dir() {
            collect(&entry, files)?;
        } else if is_story {
            files.push(entry);
        }
    }
    Ok(())
}

fn load_file(path: &Path) -> Result<(Document<ScenarioFile>, Scenario), StoryError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| StoryError::Unreadable { path: path.to_owned(), source })?;
    understand(path, &text).map_err(StoryError::Bad)
}

fn understand(file: &Path, text: &str) -> Result<(Document<ScenarioFile>, Scenario), LoadError> {
    let document = document::load::<ScenarioFile>(&file.display().to_string(), text)?;
    let (story, mistakes) = meaning::understand(file, document.value());
    let problems = mistakes
        .into_iter()
        .map(|mistake| document.problem(&mistake.pointer, mistake.message).with_help(mistake.help))
        .collect();
    Ok((document.reject(problems)?, story))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::document::testing::assert_current;
    use crate::story::scenario::catalogue::readme;

    fn scenarios() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios")
    }

    fn report(text: &str) -> String {
        load_text(Path::new("story.yaml"), text).unwrap_err().plain()
    }

    #[test]
    fn the_checked_in_schema_is_current() {
        assert_current("scenario.json", &schema_text());
    }

    #[test]
    fn the_checked_in_catalogue_is_current() {
        let folder = scenarios();
        let stories = load(std::slice::from_ref(&folder)).unwrap();
        assert_current("../scenarios/README.md", &readme(&folder, &stories));
    }

    #[test]
    fn every_story_names_its_schema_in_its_first_line() {
        for file in files(&[scenarios()], &mut Vec::new()) {
            let text = std::fs::read_to_string(&file).unwrap();
            let first = text.lines().next().unwrap();
            let schema = first.strip_prefix("# yaml-language-server: $schema=").unwrap_or_else(|| panic!("{file:?}"));
            assert!(file.parent().unwrap().join(schema).is_file(), "{} names {schema}", file.display());
        }
    }

    #[test]
    fn mistakes_of_shape_are_reported_together() {
        insta::assert_snapshot!(report(
            "\
name: Story One
title: t
why: w
sources: []
stack: {encryption: rot13}
steps:
  - creat-secret: {name: a, text: {k: v}}
  - create-secret: {name: A_b, text: {k: 1}}
  - advance-clock: soon
  - get-secret: {name: a}
    expect: {failure: {class: weird}, colour: red}
  - restart: etcd
"
        ));
    }

    #[test]
    fn mistakes_of_meaning_are_reported_together() {
        insta::assert_snapshot!(report(
            "\
name: other
title: t
why: w
sources: [assumed]
steps:
  - title: nothing to do
  - create-secret: {name: a, text: {k: v}}
    get-secret: {name: a}
  - get-secret: {name: nobody}
  - create-secret: {name: b, text: {k: v}}
    within: 10s
    expect: {text: {k: v}}
  - read-stored: {name: b, as: look}
    within: 1h
    expect: {key-version: second, value: 3}
  - read-metric: {name: m, as: look}
    expect: {same-as: look, differs-from: nothing}
  - rotate-key: {version: first}
  - vault-decrypt: {of: look}
  - read-stored: {name: b, as: seed}
  - vault-decrypt: {of: seed}
    expect: {plaintext: s}
  - get-secret: {name: b}
    expect: {text: {k: v}, failure: {class: internal}}
finally:
  - disable-key-version: {version: third}
  - vault-encrypt: {version: first, text: t, as: sealed}
    expect: {failure: {class: denied}}
"
        ));
    }

    #[test]
    fn a_stack_without_kms_has_no_key_to_speak_of() {
        insta::assert_snapshot!(report(
            "\
name: story
title: t
why: w
sources: [assumed]
stack: {encryption: none}
steps:
  - create-secret: {name: b, text: {k: v}}
  - read-stored: {name: b}
    expect: {stale: true}
  - restart: plugin
"
        ));
    }

    #[test]
    fn two_stories_of_one_name_cannot_be_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let text = "name: one\ntitle: t\nwhy: w\nsources: [assumed]\nsteps: [{delete-key: {}}]\n";
        for sub in ["a", "b"] {
            std::fs::create_dir(folder.path().join(sub)).unwrap();
            std::fs::write(folder.path().join(sub).join("one.yaml"), text).unwrap();
        }
        let errors = load(&[folder.path().to_owned()]).unwrap_err();
        let [StoryError::Bad(error)] = &errors[..] else { panic!("{errors:?}") };
        assert_eq!((error.problems()[0].pointer(), error.problems()[0].line()), ("/name", 1));
    }

    #[test]
    fn a_path_given_twice_is_one_story() {
        let path = scenarios().join("rotate.yaml");
        assert_eq!(load(&[path.clone(), scenarios().join("../scenarios/rotate.yaml")]).unwrap().len(), 1);
    }

    #[test]
    fn a_path_without_stories_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing.yaml");
        let errors = load(&[folder.path().to_owned(), missing]).unwrap_err();
        assert!(matches!(&errors[..], [StoryError::None { .. }, StoryError::Unreadable { .. }]), "{errors:?}");
    }

    proptest! {
        /// Real stories with pieces of their text moved about: most are refused, none does harm.
        #[test]
        fn no_shuffled_story_panics(cuts in proptest::collection::vec((0_usize..4_000, 0_usize..60, 0_usize..4_000), 1..6)) {
            let mut text = include_str!("../../../../../scenarios/key-deletion.yaml").to_owned();
            for (from, len, to) in cuts {
                let clamp = |at: usize, text: &str| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
                let (start, end) = (clamp(from, &text), clamp(from + len, &text));
                let piece: String = text.drain(start..end).collect();
                let to = clamp(to, &text);
                text.insert_str(to, &piece);
            }
            let _ = load_text(Path::new("key-deletion.yaml"), &text);
        }
    }
}
