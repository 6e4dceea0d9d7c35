//! Keeping a stack running until somebody or something ends it.

use std::time::Instant;

use harness::stack::{Stack, StackConfig, StackError};
use tokio_util::sync::CancellationToken;

use super::progress::Shown;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::signals::interrupt;

/// Starts a stack, lets `announce` tell about it, and keeps it running until Ctrl-C, SIGTERM, the control door's
/// shutdown, or a loss that it cannot go on without.
pub(super) async fn serve(
    config: StackConfig,
    printer: Printer,
    announce: impl FnOnce(&Stack, f64) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    let interrupted = interrupt()?;
    let started = Instant::now();
    let stack = {
        let (_shown, progress) = Shown::new(printer);
        match Stack::start(config, &progress, &interrupted).await {
            // Whoever pressed Ctrl-C knows why there is no stack.
            Err(error) if interrupted.is_cancelled() => {
                return if matches!(error, StackError::Cancelled | StackError::Etcd(_)) {
                    Ok(Exit::Passed)
                } else {
                    Err(error.into())
                };
            }
            outcome => outcome?,
        }
    };
    for warning in stack.warnings() {
        printer.warn(warning);
    }
    let outcome = match announce(&stack, started.elapsed().as_secs_f64()) {
        Ok(()) => wait(&stack, &interrupted).await,
        Err(failure) => Err(failure),
    };
    stack.shutdown().await;
    outcome
}

async fn wait(stack: &Stack, interrupted: &CancellationToken) -> Result<Exit, Failure> {
    tokio::select! {
        () = interrupted.cancelled() => Ok(Exit::Passed),
        () = stack.end_requested() => Ok(Exit::Passed),
        lost = stack.failed() => Err(lost.into()),
    }
}
