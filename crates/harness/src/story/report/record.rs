//! A run as one tree: what the stream of events adds up to, for reports that are written at the end.

use schemars::JsonSchema;
use serde::Serialize;

use crate::story::event::{Event, Happening, StepHead, StepOutcome, StoryHead, StoryOutcome};

/// A run with its stories. The JSON report is this, as `schemas/report.json` describes it.
#[derive(Clone, Debug, Default, JsonSchema, PartialEq, Serialize)]
#[schemars(title = "Kyanite run report")]
pub struct RunRecord {
    /// How many stories passed.
    pub passed: usize,
    /// How many stories failed.
    pub failed: usize,
    /// How many stories were not run to their end, because the run was interrupted.
    pub not_run: usize,
    /// How long the run took, in milliseconds.
    pub took_ms: u64,
    /// The stories that were begun, in order.
    pub stories: Vec<StoryRecord>,
}

/// A story with its steps.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct StoryRecord {
    /// What was announced.
    pub story: StoryHead,
    /// What its stack was made of; absent if the stack did not start.
    pub stack: Option<String>,
    /// How it ended; absent if the run broke off.
    pub outcome: Option<StoryOutcome>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The steps that were begun, in order.
    pub steps: Vec<StepRecord>,
    /// What was collected after a failure.
    pub evidence: Vec<EvidenceRecord>,
}

/// A step.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct StepRecord {
    /// What was announced.
    pub step: StepHead,
    /// How it ended; absent if the run broke off.
    pub outcome: Option<StepOutcome>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What it did or saw, line by line.
    pub details: Vec<String>,
}

/// What helps to understand a failure.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct EvidenceRecord {
    /// What the lines show.
    pub title: String,
    /// The evidence.
    pub lines: Vec<String>,
}

impl RunRecord {
    /// Takes the next event of the stream.
    pub fn read(&mut self, event: &Event) {
        match &event.what {
            Happening::StoryStarted(story) => self.stories.push(StoryRecord {
                story: story.clone(),
                stack: None,
                outcome: None,
                took_ms: 0,
                steps: Vec::new(),
                evidence: Vec::new(),
            }),
            Happening::RunFinished { passed, failed, not_run, took_ms } => {
                (self.passed, self.failed, self.not_run, self.took_ms) = (*passed, *failed, *not_run, *took_ms);
            }
            Happening::Progress { .. } | Happening::RunStarted { .. } | Happening::StackKept { .. } => {}
            what => {
                if let Some(story) = self.stories.last_mut() {
                    story.read(what);
                }
            }
        }
    }
}

impl StoryRecord {
    fn read(&mut self, what: &Happening) {
        match what {
            Happening::StackStarted { stack, .. } => self.stack = Some(stack.clone()),
            Happening::StepStarted(step) => {
                self.steps.push(StepRecord { step: step.clone(), outcome: None, took_ms: 0, details: Vec::new() });
            }
            Happening::Detail { lines } => {
                if let Some(step) = self.steps.last_mut() {
                    step.details.extend(lines.iter().cloned());
                }
            }
            Happening::StepFinished { outcome, took_ms } => {
                if let Some(step) = self.steps.last_mut() {
                    (step.outcome, step.took_ms) = (Some(outcome.clone()), *took_ms);
                }
            }
            Happening::Evidence { title, lines } => {
                self.evidence.push(EvidenceRecord { title: title.clone(), lines: lines.clone() });
            }
            Happening::StoryFinished { outcome, took_ms } => {
                (self.outcome, self.took_ms) = (Some(*outcome), *took_ms);
            }
            Happening::Progress { .. }
            | Happening::RunFinished { .. }
            | Happening::RunStarted { .. }
            | Happening::StackKept { .. }
            | Happening::StoryStarted(_) => {}
        }
    }
}
