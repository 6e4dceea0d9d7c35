//! How fast a run goes: pauses before steps, looks that are repeated, and the end that Ctrl-C asks for.

use std::time::Duration;

use tokio::sync::mpsc;

/// Holds each step back until somebody lets it go on: `--step`.
#[derive(Debug)]
pub struct Gate {
    steps: mpsc::Receiver<()>,
}

/// Lets steps go on. Dropping it lets all of them.
#[derive(Clone, Debug)]
pub struct GateKey {
    steps: mpsc::Sender<()>,
}

impl Gate {
    /// A closed gate and its key.
    pub fn new() -> (Self, GateKey) {
        let (sender, receiver) = mpsc::channel(1);
        (Self { steps: receiver }, GateKey { steps: sender })
    }

    /// Waits for the step to be let go on.
    pub(super) async fn pass(&mut self) {
        // `None` is a dropped key: nobody holds the steps back any more.
        let _ = self.steps.recv().await;
    }
}

impl GateKey {
    /// Lets the step go on that waits, or the next one to come.
    pub async fn open(&self) {
        // A run that has ended needs no key.
        let _ = self.steps.send(()).await;
    }
}

/// Waits a moment before a look is repeated.
#[expect(
    clippy::disallowed_methods,
    reason = "a state outside this process is polled with a deadline; there is nothing to wait on"
)]
pub(super) async fn between_looks() {
    tokio::time::sleep(BETWEEN_LOOKS).await;
}

/// Real time between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(25);
