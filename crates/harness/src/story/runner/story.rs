//! One story on its stack: start, steps, evidence, `finally`, stop.

use std::time::Instant;

use clock::Clock;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::etcd::EtcdSource;
use crate::stack::{Progress, Stack, StackConfig, StackError};
use crate::story::event::{Events, Happening, Mismatch, StepHead, StepOutcome, StoryHead, StoryOutcome, millis};
use crate::story::scenario::{Scenario, Step};
use crate::story::wire::Etcd;

use super::judge::mismatches;
use super::lab::Lab;
use super::pace::between_looks;
use super::run::{Kept, Options, RunError};
use super::sight::{Outcome, Sight};

/// How a story ended.
pub(super) struct Ended {
    pub(super) outcome: StoryOutcome,
    pub(super) kept: Option<Kept>,
}

/// Runs one story.
pub(super) async fn run(story: &Scenario, options: &mut Options, events: &mut Events) -> Result<Ended, RunError> {
    let started = Instant::now();
    events.emit(Happening::StoryStarted(head(story)));
    let stack = match start(story, options, events).await {
        Ok(stack) => stack,
        Err(StackError::Cancelled) => return Ok(finish(StoryOutcome::Interrupted, None, started, events)),
        Err(error) => return Err(error.into()),
    };
    let interrupt = options.interrupt.clone();
    let outcome = tokio::select! {
        biased;
        () = interrupt.cancelled() => Ok(StoryOutcome::Interrupted),
        error = stack.failed() => Err(match error {
            StackError::EtcdLost { last } => RunError::EtcdLost { story: story.name.clone(), reason: last },
            other => other.into(),
        }),
        outcome = live(story, stack.clone(), started, options, events) => outcome,
    };
    if matches!(outcome, Ok(StoryOutcome::Interrupted)) {
        events.interrupt_step();
    }
    if matches!(outcome, Ok(StoryOutcome::Failed)) && options.keep {
        events.emit(Happening::StackKept { hints: stack.hints() });
        return Ok(finish(StoryOutcome::Failed, Some(Kept { stack }), started, events));
    }
    clear_away(&stack).await;
    stack.shutdown().await;
    Ok(finish(outcome?, None, started, events))
}

/// Starts the stack that the story asks for.
async fn start(story: &Scenario, options: &Options, events: &mut Events) -> Result<Stack, StackError> {
    let config = config(story, &options.stack);
    let (report, mut steps) = mpsc::unbounded_channel();
    let progress = Progress::new(move |step| {
        // The receiver lives as long as the start.
        let _ = report.send(step);
    });
    let start = Stack::start(config, &progress, &options.interrupt);
    tokio::pin!(start);
    loop {
        tokio::select! {
            stack = &mut start => return stack,
            Some(step) = steps.recv() => events.emit(Happening::Progress { text: step.to_string() }),
        }
    }
}

/// What the story's stack is made of. No story sees anything of another: it has a clock of its own, keeps no state, and
/// on the user's own etcd stores everything under a prefix that nobody else has.
fn config(story: &Scenario, common: &StackConfig) -> StackConfig {
    let mut config = StackConfig {
        encryption: story.stack.encryption,
        clock: Clock::new(),
        data_dir: None,
        ready_file: None,
        vault_alone: false,
        ..common.clone()
    };
    if let EtcdSource::Endpoints(_) = config.etcd.source {
        config.etcd.prefix = format!("{}/{}-{}", common.etcd.prefix.trim_end_matches('/'), story.name, Uuid::new_v4());
        config.etcd.adopt = false;
    }
    config
}

/// Removes what the story has stored on the user's own etcd, where its prefix is its own. An etcd of the stack goes with
/// the stack.
async fn clear_away(stack: &Stack) {
    let etcd = &stack.config().etcd;
    if let EtcdSource::Endpoints(_) = etcd.source {
        let removed = match Etcd::new(stack.ready(), &etcd.prefix).await {
            Ok(client) => client.remove_all().await.map_err(|refusal| refusal.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(reason) = removed {
            tracing::warn!(prefix = etcd.prefix, reason, "what the story stored is left in etcd");
        }
    }
}

/// The story on its stack.
async fn live(
    story: &Scenario,
    stack: Stack,
    started: Instant,
    options: &mut Options,
    events: &mut Events,
) -> Result<StoryOutcome, RunError> {
    let described = stack.describe();
    let mut lab = Lab::new(stack).await?;
    events.emit(Happening::StackStarted { stack: described, took_ms: millis(started.elapsed()) });
    tell(story, &mut lab, options, events).await
}

/// Does the steps; after a failure, shows evidence. `finally` is done in any case, unless the stack is to be kept as it
/// is at the failure.
async fn tell(
    story: &Scenario,
    lab: &mut Lab,
    options: &mut Options,
    events: &mut Events,
) -> Result<StoryOutcome, RunError> {
    let mut outcome = StoryOutcome::Passed;
    let mut number = 0;
    for step in &story.steps {
        number += 1;
        if !one_step(story, number, step, lab, options, events).await? {
            outcome = StoryOutcome::Failed;
            lab.collect_evidence(events).await;
            break;
        }
    }
    if outcome == StoryOutcome::Failed && options.keep {
        return Ok(outcome);
    }
    for (number, step) in (story.steps.len() + 1..).zip(&story.finally) {
        // Evidence is of the first failure; what follows is mostly its consequence.
        let first = outcome == StoryOutcome::Passed;
        if !one_step(story, number, step, lab, options, events).await? {
            outcome = StoryOutcome::Failed;
            if first {
                lab.collect_evidence(events).await;
            }
        }
    }
    Ok(outcome)
}

/// Does one step; whether it ended as expected.
async fn one_step(
    story: &Scenario,
    number: usize,
    step: &Step,
    lab: &mut Lab,
    options: &mut Options,
    events: &mut Events,
) -> Result<bool, RunError> {
    events.emit(Happening::StepStarted(step_head(number, step)));
    if let Some(gate) = &mut options.gate {
        gate.pass().await;
    }
    let started = Instant::now();
    let (outcome, wrong) = attempt(step, lab).await?;
    if !wrong.is_empty()
        && let Err(refusal) = lab.wires.etcd.probe().await
    {
        return Err(RunError::EtcdLost { story: story.name.clone(), reason: refusal.message });
    }
    events.detail(match &outcome {
        Ok(Sight { lines, .. }) => lines.clone(),
        Err(refusal) => vec![format!("refused: {refusal}")],
    });
    let passed = wrong.is_empty();
    let result = if passed { StepOutcome::Passed } else { StepOutcome::Failed { mismatches: wrong } };
    events.emit(Happening::StepFinished { outcome: result, took_ms: millis(started.elapsed()) });
    Ok(passed)
}

/// Does the operation, once or until its expectation holds.
async fn attempt(step: &Step, lab: &mut Lab) -> Result<(Outcome, Vec<Mismatch>), RunError> {
    let deadline = step.within.map(|within| Instant::now() + within);
    loop {
        let outcome = lab.act(&step.operation).await?;
        let wrong = mismatches(&step.expect, &outcome, &lab.looks);
        if wrong.is_empty() || deadline.is_none_or(|deadline| Instant::now() >= deadline) {
            return Ok((outcome, wrong));
        }
        between_looks().await;
    }
}

fn finish(outcome: StoryOutcome, kept: Option<Kept>, started: Instant, events: &mut Events) -> Ended {
    events.emit(Happening::StoryFinished { outcome, took_ms: millis(started.elapsed()) });
    Ended { outcome, kept }
}

fn head(story: &Scenario) -> StoryHead {
    StoryHead {
        name: story.name.clone(),
        title: story.title.clone(),
        why: story.why.clone(),
        sources: story.sources.clone(),
        file: story.file.clone(),
        steps: story.steps.len() + story.finally.len(),
    }
}

fn step_head(number: usize, step: &Step) -> StepHead {
    StepHead {
        number,
        chapter: step.chapter.clone(),
        title: step.title.clone(),
        operation: step.operation.summary(),
        say: step.say.clone(),
        explain: step.explain.clone(),
        on_aks: step.on_aks.clone(),
    }
}
