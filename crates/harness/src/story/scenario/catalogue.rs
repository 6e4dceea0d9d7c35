//! The list of all stories for people: `scenarios/README.md`, generated from each file's `title`, `why` and `sources`.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::file::{Scenario, ScenarioFile};

/// The text of the README in `folder` that lists `stories`, in their order.
pub fn readme(folder: &Path, stories: &[Scenario]) -> String {
    let mut text = String::from(HEAD);
    for story in stories {
        let file = story.file.strip_prefix(folder).unwrap_or(&story.file).display();
        // Writing to a `String` cannot fail.
        let _ = write!(text, "\n## [`{}`]({file})\n\n**{}**\n\n{}\n\n", story.name, story.title, story.why);
        for chapter in story.steps.iter().filter_map(|step| step.chapter.as_ref()) {
            let _ = writeln!(text, "- {chapter}");
        }
        if story.steps.iter().any(|step| step.chapter.is_some()) {
            text.push('\n');
        }
        let _ = writeln!(text, "Sources: {}", story.sources.join("; "));
    }
    text.push_str(VOCABULARY_HEAD);
    for (operation, about) in vocabulary() {
        let _ = writeln!(text, "| `{operation}` | {about} |");
    }
    text
}

/// Every operation with the documentation that the schema has for it.
fn vocabulary() -> Vec<(String, String)> {
    let schema = schemars::schema_for!(ScenarioFile).to_value();
    let steps = schema.pointer("/$defs/Step/properties").and_then(Value::as_object);
    let operations = steps.into_iter().flatten().filter(|(key, _)| !NARRATION.contains(&key.as_str()));
    operations
        .map(|(key, schema)| {
            let about = schema.get("description").and_then(Value::as_str).unwrap_or_default();
            (key.clone(), about.replace('\n', " ").replace('|', "\\|"))
        })
        .collect()
}

/// What a step has beside its operation.
const NARRATION: [&str; 7] = ["chapter", "expect", "explain", "on-aks", "say", "title", "within"];

const VOCABULARY_HEAD: &str = "
## What a step can do

A step is one operation. It must succeed, or end as `expect` says; a step that reads can be repeated `within` a time until
it does. `title`, `say`, `explain`, `on-aks` and `chapter` are for people.

| operation | what it does |
|---|---|
";

const HEAD: &str = "\
<!-- Generated from the scenario files by a test of `harness`; do not edit. -->

# Stories

One file is one story is one test. Each is replayed on a stack of its own, over a real etcd:

    kyanite run scenarios                  all of them
    kyanite run scenarios/rotate.yaml      one
    kyanite run --step scenarios           pause before each step
    kyanite check scenarios                is every file well formed?

The format is `schemas/scenario.json`, which an editor with a YAML language server follows while you type; how to add
a story is in `CONTRIBUTING.md`.
";
