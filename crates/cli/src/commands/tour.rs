//! `kyanite tour`.

use clap::Args;
use harness::story::report::Depth;
use harness::story::tour;

use super::replay::{Replay, bug};
use super::stack_options::StackOptions;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::Printer;

/// Shows, on a real stack, how a Secret is created, read, moved to a new key, and lost with its key.
#[derive(Args, Debug)]
pub(crate) struct Tour {
    #[command(flatten)]
    options: StackOptions,
    /// Waits for Enter before each step
    #[arg(long)]
    step: bool,
}

pub(crate) async fn run(tour: Tour, printer: Printer) -> Result<Exit, Failure> {
    let story = tour::scenario().map_err(|error| bug(&error.plain()))?;
    let stack = tour.options.config()?;
    let replay =
        Replay { stories: vec![story], stack, depth: Depth::Told, step: tour.step, keep: false, reports: Vec::new() };
    replay.run(printer).await
}
