//! A run: stories one after the other, each on a fresh stack.

use std::time::Instant;

use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::ready::ReadyFile;
use crate::stack::{Stack, StackConfig, StackError};
use crate::story::event::{Events, Happening, StoryOutcome, millis};
use crate::story::scenario::Scenario;
use crate::story::wire::WireError;

use super::pace::Gate;
use super::story;

/// How stories are run.
#[derive(Debug)]
pub struct Options {
    /// What each story's stack is made of, apart from what the story itself asks for.
    pub stack: StackConfig,
    /// Holds each step back until somebody lets it go on.
    pub gate: Option<Gate>,
    /// Leave the stack of a failed story running, and stop the run there.
    pub keep: bool,
    /// Ends the run when it is cancelled: Ctrl-C.
    pub interrupt: CancellationToken,
}

/// How a run ended.
#[derive(Debug)]
pub struct Summary {
    /// How many stories passed.
    pub passed: usize,
    /// How many stories failed.
    pub failed: usize,
    /// How many stories were not run to their end.
    pub not_run: usize,
    /// Whether the run was interrupted.
    pub interrupted: bool,
    /// The stack of a failed story that was to be kept.
    pub kept: Option<Kept>,
}

/// A stack that is kept running after its story has failed.
#[derive(Debug)]
pub struct Kept {
    pub(super) stack: Stack,
}

impl Kept {
    /// Where the stack is.
    pub fn ready(&self) -> &ReadyFile {
        self.stack.ready()
    }

    /// Waits until the stack is lost, or somebody asks for its end over the control door.
    pub async fn ended(&self) {
        tokio::select! {
            error = self.stack.failed() => tracing::warn!(%error, "the stack is lost"),
            () = self.stack.end_requested() => {}
        }
    }

    /// Stops the stack.
    pub async fn stop(self) {
        self.stack.shutdown().await;
    }
}

/// Why a run could not go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// The clock cannot be moved that far.
    #[error("go on with the story")]
    Clock(#[source] clock::AdvanceError),
    /// etcd went away under a story.
    #[error("go on with the story `{story}`: etcd does not answer any more ({reason})")]
    EtcdLost {
        /// The story.
        story: String,
        /// What etcd's client says.
        reason: String,
    },
    /// The stack failed.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// The vault does not know the stack's key.
    #[error("find the stack's key in the vault: {refusal}")]
    Vault {
        /// What it says.
        refusal: String,
    },
    /// A part of the stack cannot be reached.
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl RunError {
    /// What to do next, where there is something to do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Stack(error) => error.help(),
            Self::EtcdLost { .. } => Some("start the run again; nothing of it is left behind".to_owned()),
            Self::Clock(_) | Self::Vault { .. } | Self::Wire(_) => None,
        }
    }
}

/// Runs the stories in order and emits what happens.
///
/// # Errors
///
/// [`RunError`] if a stack does not start or its etcd is lost; whatever was started has been stopped.
pub async fn run(stories: &[Scenario], mut options: Options, mut events: Events) -> Result<Summary, RunError> {
    let started = Instant::now();
    let mut summary = Summary { passed: 0, failed: 0, not_run: 0, interrupted: false, kept: None };
    events.emit(Happening::RunStarted { stories: stories.iter().map(|story| story.name.clone()).collect() });
    for story in stories {
        let ended = Box::pin(story::run(story, &mut options, &mut events)).await?;
        match ended.outcome {
            StoryOutcome::Failed => summary.failed += 1,
            StoryOutcome::Interrupted => summary.interrupted = true,
            StoryOutcome::Passed => summary.passed += 1,
        }
        summary.kept = ended.kept;
        if summary.interrupted || summary.kept.is_some() {
            break;
        }
    }
    summary.not_run = stories.len() - summary.passed - summary.failed;
    events.emit(Happening::RunFinished {
        passed: summary.passed,
        failed: summary.failed,
        not_run: summary.not_run,
        took_ms: millis(started.elapsed()),
    });
    Ok(summary)
}
