//! Keeping one part running by itself.

use std::future::Future;

use harness::alone::RunningPart;
use harness::stack::StackError;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::signals::interrupt;

/// Waits for the start of a part, tells where it is, and keeps it running until Ctrl-C or SIGTERM.
pub(super) async fn serve(
    start: impl Future<Output = Result<RunningPart, StackError>>,
    printer: Printer,
    name: &str,
) -> Result<Exit, Failure> {
    let interrupted = interrupt()?;
    let Some(started) = interrupted.run_until_cancelled(start).await else { return Ok(Exit::Passed) };
    let mut part = started?;
    let ready = part.ready();
    let place = ready.kms_sockets.first().cloned();
    let place =
        place.or_else(|| ready.kubeconfig.as_ref().map(|path| format!("kubectl --kubeconfig {}", path.display())));
    printer.say(format_args!("The {name} is ready: {}. Ctrl-C ends it.", place.unwrap_or_default()));
    let outcome = tokio::select! {
        () = interrupted.cancelled() => Ok(Exit::Passed),
        ended = part.failed() => Err(ended.into()),
    };
    part.stop().await;
    outcome
}
