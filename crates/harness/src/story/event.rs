//! The one ordered stream of what happens in a run.
//!
//! The runner emits, readers read: the terminal transcript, `JUnit` and JSON see the same events in the same order, so
//! they cannot tell different stories. An event carries text that is ready to show and numbers that are ready to count,
//! never a secret of the stack (tokens, seeds, keys). What a story stores as a Secret is part of the story and is shown.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::mpsc;

/// Something that happened, with its place in the run.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Event {
    /// Counts from 0 without gaps.
    pub sequence: u64,
    /// Milliseconds of real time since the run began.
    pub at_ms: u64,
    /// What happened.
    pub what: Happening,
}

/// What happened. The order within one story: `StoryStarted`, `StackStarted`, for each step `StepStarted`, `Detail`s,
/// `StepFinished`; `Evidence` after a failed step; `StoryFinished`. `Progress` can stand anywhere.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Happening {
    /// What a step did or saw.
    Detail {
        /// Lines that belong together.
        lines: Vec<String>,
    },
    /// What helps to understand the failure before it.
    Evidence {
        /// What the lines show.
        title: String,
        /// The evidence.
        lines: Vec<String>,
    },
    /// Something that takes long is being done.
    Progress {
        /// What it is.
        text: String,
    },
    /// All stories are done.
    RunFinished {
        /// How many stories passed.
        passed: usize,
        /// How many stories failed.
        failed: usize,
        /// How many stories were not run, because the run was interrupted.
        not_run: usize,
        /// How long it took, in milliseconds.
        took_ms: u64,
    },
    /// The run begins.
    RunStarted {
        /// The names of its stories.
        stories: Vec<String>,
    },
    /// The stack of a failed story is kept running.
    StackKept {
        /// How to reach it: one hint a line.
        hints: Vec<String>,
    },
    /// The story's stack answers.
    StackStarted {
        /// What the stack is made of, in a few words.
        stack: String,
        /// How long the start took, in milliseconds.
        took_ms: u64,
    },
    /// A step is done.
    StepFinished {
        /// How it ended.
        outcome: StepOutcome,
        /// How long it took, in milliseconds.
        took_ms: u64,
    },
    /// A step begins.
    StepStarted(StepHead),
    /// A story is done.
    StoryFinished {
        /// How it ended.
        outcome: StoryOutcome,
        /// How long it took, in milliseconds, with its stack's start and end.
        took_ms: u64,
    },
    /// A story begins.
    StoryStarted(StoryHead),
}

/// A story as it is announced.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct StoryHead {
    /// Its name.
    pub name: String,
    /// What happens, in a few words.
    pub title: String,
    /// Why it matters.
    pub why: String,
    /// The documents that state the expected outcome.
    pub sources: Vec<String>,
    /// The file it was read from.
    pub file: PathBuf,
    /// How many steps it has, `finally` included.
    pub steps: usize,
}

/// A step as it is announced.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct StepHead {
    /// Counts from 1 through the story, `finally` included.
    pub number: usize,
    /// The heading of the chapter that starts here.
    pub chapter: Option<String>,
    /// What is done, in a few words.
    pub title: String,
    /// The operation on one line.
    pub operation: String,
    /// What a newcomer should know.
    pub say: Option<String>,
    /// What has just happened, to be told after the step.
    pub explain: Option<String>,
    /// What a real AKS cluster shows at this point.
    pub on_aks: Option<String>,
}

/// How a step ended.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum StepOutcome {
    /// Not as expected.
    Failed {
        /// Everything that was not as expected; never empty.
        mismatches: Vec<Mismatch>,
    },
    /// The run was interrupted in it.
    Interrupted,
    /// As expected.
    Passed,
}

/// How a story ended.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoryOutcome {
    /// A step did not end as expected.
    Failed,
    /// The run was interrupted in it.
    Interrupted,
    /// Every step ended as expected.
    Passed,
}

/// One thing that was not as expected.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Mismatch {
    /// What is compared, mostly a key of `expect`.
    pub what: String,
    /// What the story expects.
    pub expected: String,
    /// What was found.
    pub found: String,
}

impl Mismatch {
    /// A difference in `what`.
    pub fn new(what: impl Into<String>, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { what: what.into(), expected: expected.into(), found: found.into() }
    }
}

/// The sending end of a run's events. It numbers and dates them.
#[derive(Debug)]
pub struct Events {
    sender: mpsc::UnboundedSender<Event>,
    sequence: u64,
    started: Instant,
    /// When the step began that has not finished.
    step: Option<Instant>,
}

impl Events {
    /// A new stream, and its reading end.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { sender, sequence: 0, started: Instant::now(), step: None }, receiver)
    }

    /// Adds what happened to the stream. A reader that has gone away is no reason to stop the run.
    pub fn emit(&mut self, what: Happening) {
        match &what {
            Happening::StepStarted(_) => self.step = Some(Instant::now()),
            Happening::StepFinished { .. } => self.step = None,
            _ => {}
        }
        let event = Event { sequence: self.sequence, at_ms: millis(self.started.elapsed()), what };
        self.sequence += 1;
        // The only error is that nobody reads any more.
        let _ = self.sender.send(event);
    }

    /// Ends the step that runs, if one does, as interrupted.
    pub(crate) fn interrupt_step(&mut self) {
        if let Some(begun) = self.step {
            let took_ms = millis(begun.elapsed());
            self.emit(Happening::StepFinished { outcome: StepOutcome::Interrupted, took_ms });
        }
    }

    /// Adds a detail of the current step.
    pub(crate) fn detail(&mut self, lines: Vec<String>) {
        if !lines.is_empty() {
            self.emit(Happening::Detail { lines });
        }
    }
}

/// Whole milliseconds, at most `u64::MAX`.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
