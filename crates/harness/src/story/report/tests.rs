//! Snapshots of every reader over one run that has everything.

use std::path::PathBuf;

use super::*;
use crate::story::event::{Event, Happening, Mismatch, StepHead, StepOutcome, StoryHead, StoryOutcome};

fn story(name: &str, title: &str, steps: usize) -> StoryHead {
    StoryHead {
        name: name.to_owned(),
        title: title.to_owned(),
        why: "Because a story without a reason is only a script.".to_owned(),
        sources: vec!["a document, its section".to_owned(), "assumed".to_owned()],
        file: PathBuf::from(format!("scenarios/{name}.yaml")),
        steps,
    }
}

fn step(number: usize, chapter: Option<&str>, title: &str, operation: &str) -> Happening {
    Happening::StepStarted(StepHead {
        number,
        chapter: chapter.map(str::to_owned),
        title: title.to_owned(),
        operation: operation.to_owned(),
        say: (number == 1).then(|| "A client speaks to the API server. It knows nothing of keys.".to_owned()),
        explain: (number == 1).then(|| "The Secret has been sealed on its way.".to_owned()),
        on_aks: (number == 2).then(|| "nobody can look into etcd.".to_owned()),
    })
}

fn detail(lines: &[&str]) -> Happening {
    Happening::Detail { lines: lines.iter().map(|&line| line.to_owned()).collect() }
}

fn finished(outcome: StepOutcome, took_ms: u64) -> Happening {
    Happening::StepFinished { outcome, took_ms }
}

/// A run of three stories: one passes, one fails, one is interrupted.
fn run() -> Vec<Event> {
    let stack = || Happening::StackStarted { stack: "etcd 3.4.23 as a child process".to_owned(), took_ms: 612 };
    let happenings = vec![
        Happening::RunStarted { stories: vec!["good".to_owned(), "bad".to_owned(), "cut".to_owned()] },
        Happening::StoryStarted(story("good", "Everything goes well", 2)),
        Happening::Progress { text: "starting the stack".to_owned() },
        stack(),
        step(1, Some("First things"), "A client creates a Secret", "create-secret default/a"),
        detail(&["created default/a with resourceVersion 3"]),
        finished(StepOutcome::Passed, 4),
        step(2, None, "read-stored default/a", "read-stored default/a"),
        detail(&["1160 bytes", "", "  0..32  prefix"]),
        detail(&["sealed by key version first"]),
        finished(StepOutcome::Passed, 1_250),
        Happening::StoryFinished { outcome: StoryOutcome::Passed, took_ms: 1_900 },
        Happening::StoryStarted(story("bad", "Something <goes> \"wrong\"", 4)),
        stack(),
        step(
            1,
            None,
            "A title that is so long that it does not fit into the hundred columns of a terminal line at all",
            "get-secret default/a",
        ),
        detail(&["k = v\u{1b}[0m"]),
        finished(
            StepOutcome::Failed {
                mismatches: vec![
                    Mismatch::new("text", "{k: v}", "{k: w}"),
                    Mismatch::new("outcome", "a failure of class denied", "success"),
                ],
            },
            7,
        ),
        Happening::Evidence {
            title: "stored value of default/a".to_owned(),
            lines: vec!["6b 38 73".to_owned(), String::new(), "k8s".to_owned()],
        },
        step(2, None, "A step of finally", "advance-clock 3m"),
        finished(StepOutcome::Passed, 0),
        Happening::StackKept { hints: vec!["export KUBECONFIG=/tmp/kubeconfig".to_owned()] },
        Happening::StoryFinished { outcome: StoryOutcome::Failed, took_ms: 900 },
        Happening::StoryStarted(story("cut", "Somebody presses Ctrl-C", 1)),
        step(1, None, "A step", "purge-key"),
        finished(StepOutcome::Interrupted, 60_000),
        Happening::StoryFinished { outcome: StoryOutcome::Interrupted, took_ms: 60_100 },
        Happening::RunFinished { passed: 1, failed: 1, not_run: 1, took_ms: 62_900 },
    ];
    happenings.into_iter().zip(0..).map(|(what, sequence)| Event { sequence, at_ms: sequence * 10, what }).collect()
}

fn transcript(depth: Depth, colour: bool) -> String {
    let mut terminal = Terminal::new(depth, colour);
    run().iter().map(|event| terminal.read(event)).collect()
}

fn record() -> RunRecord {
    let mut record = RunRecord::default();
    for event in &run() {
        record.read(event);
    }
    record
}

#[test]
fn the_brief_transcript() {
    insta::assert_snapshot!(transcript(Depth::Brief, false));
}

#[test]
fn the_detailed_transcript() {
    insta::assert_snapshot!(transcript(Depth::Detailed, false));
}

#[test]
fn the_told_transcript() {
    insta::assert_snapshot!(transcript(Depth::Told, false));
}

#[test]
fn colour_adds_nothing_but_colour() {
    for depth in [Depth::Brief, Depth::Detailed, Depth::Told] {
        let mut coloured = transcript(depth, true);
        assert_ne!(coloured, transcript(depth, false));
        for code in ["1", "2", "32", "1;31", "0"] {
            coloured = coloured.replace(&format!("\u{1b}[{code}m"), "");
        }
        assert_eq!(coloured, transcript(depth, false));
    }
}

#[test]
fn the_json_report() {
    let text = json(&record()).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let schema = schemars::schema_for!(RunRecord).to_value();
    jsonschema::validate(&schema, &value).unwrap();
    insta::assert_snapshot!(text);
}

#[test]
fn the_junit_report() {
    insta::assert_snapshot!(junit(&record()).unwrap());
}

#[test]
fn the_checked_in_schema_of_the_json_report_is_current() {
    crate::document::testing::assert_current("report.json", &crate::document::schema_text::<RunRecord>());
}
