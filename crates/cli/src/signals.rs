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
        // What a child's guard and the next start clear away.
        std::process::abort();
    });
    Ok(token)
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
