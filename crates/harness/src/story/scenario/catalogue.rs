//! The list of all stories for people: `scenarios/README.md`, generated from each file's `title`, `why` and `sources`.

use std::fmt::Write as _;
use std::path::Path;

use super::file::Scenario;

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
    text
}

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
