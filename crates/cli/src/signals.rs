//! Ctrl-C and SIGTERM: the polite ways to end a command.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::{Failure, OrEnvironment as _};

/// A token that fires at the first Ctrl-C or SIGTERM. A second one ends the process at once, as if nothing caught it.
pub(crate) fn interrupt() -> Result<CancellationToken, Failure> {
    let token = CancellationToken::new();
    let mut signals = Signals::new()?;
    let fired = token.clone();
    tokio::spawn(async move {
        signals.recv().await;
        fired.cancel();
        signals.recv().await;
        end_at_once();
    });
    Ok(token)
}

/// What is left behind is cleared away by the guard of each child, and by the next start.
#[expect(clippy::exit, reason = "somebody who presses Ctrl-C twice does not want to wait for anything")]
fn end_at_once() {
    std::process::exit(INTERRUPTED);
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let interrupt = signal(SignalKind::interrupt()).or_environment()?;
        let terminate = signal(SignalKind::terminate()).or_environment()?;
        Ok(Self { interrupt, terminate })
    }

    async fn recv(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// What a shell reports for a process that SIGINT ended.
const INTERRUPTED: i32 = 130;
