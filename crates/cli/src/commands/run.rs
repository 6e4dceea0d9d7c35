//! `kyanite run`.

use std::path::PathBuf;

use clap::Args;
use harness::story::report::Depth;
use harness::story::scenario::{StoryError, load};

use super::replay::{Replay, ReportTo};
use super::stack_options::StackOptions;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::Printer;

/// Replays stories, each on a fresh stack of its own, and tells which of them end as expected.
#[derive(Args, Debug)]
pub(crate) struct Run {
    /// Story files, or folders with stories in them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    options: StackOptions,
    /// Writes a report, `junit=FILE` or `json=FILE`; may be given more than once
    #[arg(long, value_name = "FORMAT=FILE")]
    report: Vec<ReportTo>,
    /// Waits for Enter before each step
    #[arg(long)]
    step: bool,
    /// Ends at the first story that fails and leaves its stack running, to look into it
    #[arg(long)]
    keep: bool,
    /// Tells what each step did and saw
    #[arg(long)]
    details: bool,
}

pub(crate) async fn run(run: Run, printer: Printer) -> Result<Exit, Failure> {
    let stories = match load(&run.paths) {
        Ok(stories) => stories,
        Err(errors) => return Ok(refuse(errors, printer)),
    };
    let depth = if run.details { Depth::Detailed } else { Depth::Brief };
    let stack = run.options.config()?;
    Replay { stories, stack, depth, step: run.step, keep: run.keep, reports: run.report }.run(printer).await
}

/// Tells everything that is wrong with every file.
pub(super) fn refuse(errors: Vec<StoryError>, printer: Printer) -> Exit {
    let mut exit = Exit::Usage;
    for error in errors {
        exit = printer.fail(&failure(error));
    }
    exit
}

fn failure(error: StoryError) -> Failure {
    match error {
        StoryError::Bad(error) => error.into(),
        StoryError::None { .. } => {
            Failure::usage(error).with_hint("a story is a file that ends in .yaml; schemas/scenario.json is its format")
        }
        StoryError::Unreadable { .. } => Failure::usage(error),
    }
}
