//! `kyanite check`.

use std::path::{Path, PathBuf};

use clap::Args;
use harness::stack::StackConfig;
use harness::story::scenario::{StoryError, files, load};

use super::run::refuse;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::locate::runtime_dir;
use crate::printer::Printer;

/// Tells everything that is wrong with story files and stack configurations, with line and column.
#[derive(Args, Debug)]
pub(crate) struct Check {
    /// Files, or folders with files that end in .yaml
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

pub(crate) fn run(check: &Check, printer: Printer) -> Result<Exit, Failure> {
    let mut errors = Vec::new();
    let files = files(&check.paths, &mut errors);
    let (configurations, stories): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| is_configuration(file));
    let mut lines = Vec::new();
    match load(&stories) {
        Ok(stories) => lines.extend(stories.iter().map(|story| {
            let steps = story.steps.len() + story.finally.len();
            format!("{}: story `{}`, {steps} step{}", story.file.display(), story.name, plural(steps))
        })),
        Err(more) => errors.extend(more),
    }
    let runtime = runtime_dir()?;
    for file in configurations {
        let name = file.display().to_string();
        match std::fs::read_to_string(&file) {
            Err(source) => errors.push(StoryError::Unreadable { path: file, source }),
            Ok(text) => match StackConfig::load(&name, &text, runtime.clone()) {
                Ok(_) => lines.push(format!("{name}: configuration of a stack")),
                Err(error) => errors.push(StoryError::Bad(error)),
            },
        }
    }
    for line in lines {
        printer.data(line);
    }
    if errors.is_empty() { Ok(Exit::Passed) } else { Ok(refuse(errors, printer)) }
}

/// Whether a file is the configuration of a stack and no story: it has none of a story's keys, and one of a stack's.
fn is_configuration(file: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(file) else { return false };
    let has = |keys: &[&str]| text.lines().any(|line| line.split_once(':').is_some_and(|(key, _)| keys.contains(&key)));
    has(&STACK_KEYS) && !has(&STORY_KEYS)
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// Top-level keys that only a story has.
const STORY_KEYS: [&str; 6] = ["name", "title", "why", "sources", "steps", "finally"];

/// Top-level keys that only a stack's configuration has.
const STACK_KEYS: [&str; 7] = ["data-dir", "encryption", "etcd", "ports", "region", "tenant-id", "vault"];
