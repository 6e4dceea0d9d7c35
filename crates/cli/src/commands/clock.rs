//! `kyanite clock`.

use std::time::Duration;

use clap::{Args, Subcommand};
use harness::story::scenario::Span;

use crate::args::Locate;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::locate::control;
use crate::printer::Printer;

/// Shows or moves the clock of a running stack
///
/// Key expiry, soft-delete retention, the API server's three minutes and 24 hours follow it. It only goes forward.
#[derive(Args, Debug)]
pub(crate) struct Clock {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    locate: Locate,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Moves the clock forward and prints what it shows then
    Advance {
        /// How far: a whole number and a unit, 30s, 3m, 6h, 90d
        #[arg(value_parser = span, value_name = "SPAN")]
        by: Duration,
        #[command(flatten)]
        locate: Locate,
    },
}

pub(crate) async fn run(clock: Clock, printer: Printer) -> Result<Exit, Failure> {
    let now = match clock.action {
        None => control(&clock.locate)?.status().await?.clock.now,
        Some(Action::Advance { by, locate }) => {
            let locate = Locate { ready_file: locate.ready_file.or(clock.locate.ready_file) };
            control(&locate)?.advance(by).await?
        }
    };
    printer.data(now);
    Ok(Exit::Passed)
}

/// A span as scenario files write it, in whole seconds.
fn span(text: &str) -> Result<Duration, String> {
    let unreadable = || format!("`{text}` is not a span of time such as 30s, 3m, 6h or 90d");
    let span: Span = serde_json::from_value(text.into()).map_err(|_| unreadable())?;
    let span = span.duration();
    if span.subsec_nanos() != 0 {
        return Err(format!("`{text}`: the clock moves in whole seconds"));
    }
    Ok(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_scenarios_write_them() {
        assert_eq!(span("90d"), Ok(Duration::from_hours(90 * 24)));
        for bad in ["", "90", "d", "-1d", "1.5h", "1w", "500ms", "99999999999999999999d"] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }
}
