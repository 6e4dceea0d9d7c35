//! Replays one story for a test and fails with its transcript.

use std::path::{Path, PathBuf};

use harness::etcd::{EtcdError, EtcdSource};
use harness::runtime::RuntimeDir;
use harness::stack::{StackConfig, StackError};
use harness::story::event::Events;
use harness::story::report::{Depth, Terminal};
use harness::story::runner::{Options, RunError, run};
use harness::story::scenario::load;
use tokio_util::sync::CancellationToken;

/// Folder of the stories, relative to this crate.
pub(crate) const SCENARIOS: &str = "../../scenarios";

/// Why a story has not passed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was to run in containers, and no Docker engine answers.
    NoEngine(String),
    /// It failed; the text is its transcript.
    Story(String),
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Story(format!("{error:?}"))
    }
}

/// Runs the story in `file` on an etcd from `source`.
pub(crate) fn replay(file: &Path, source: EtcdSource) -> Result<(), Failure> {
    let stories = load(&[PathBuf::from(file)]).map_err(|errors| Failure::Story(format!("{errors:?}")))?;
    let place = tempfile::tempdir()?;
    let mut config = StackConfig::new(RuntimeDir::open(&place.path().join("run"))?);
    config.etcd.source = source;
    let options = Options { stack: config, gate: None, keep: false, interrupt: CancellationToken::new() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (outcome, transcript) = runtime.block_on(async {
        let (events, mut stream) = Events::new();
        let outcome = run(&stories, options, events).await;
        let mut terminal = Terminal::new(Depth::Detailed, false);
        let mut transcript = String::new();
        while let Some(event) = stream.recv().await {
            transcript.push_str(&terminal.read(&event));
        }
        (outcome, transcript)
    });
    match outcome {
        Ok(summary) if summary.passed == stories.len() => Ok(()),
        Ok(_) => Err(Failure::Story(transcript)),
        Err(RunError::Stack(StackError::Etcd(EtcdError::Engine { source }))) => {
            Err(Failure::NoEngine(source.to_string()))
        }
        Err(error) => Err(Failure::Story(format!("{error:?}\n{transcript}"))),
    }
}
