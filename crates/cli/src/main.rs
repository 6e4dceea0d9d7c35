//! The `kyanite` command: arguments in, text out. Everything else is in `harness`.

mod args;
mod commands;
mod exit;
mod failure;
mod go_flags;
mod locate;
mod logs;
mod printer;
mod signals;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Cli;
use crate::exit::Exit;
use crate::printer::Printer;

fn main() -> ExitCode {
    let cli = match Cli::try_parse_from(go_flags::rewritten(std::env::args_os())) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output, what is wrong to standard error; clap knows which it is.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Passed };
            let _ = error.print();
            return exit.into();
        }
    };
    let printer = Printer::new(cli.global.quiet);
    // A panic is a bug, and has an exit code of its own; what it says has gone to standard error by then.
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(cli, printer)));
    outcome.unwrap_or(Exit::Bug).into()
}

fn run(cli: Cli, printer: Printer) -> Exit {
    logs::init(&cli);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return printer.fail(&failure::Failure::environment(error)),
    };
    match runtime.block_on(commands::run(cli, printer)) {
        Ok(exit) => exit,
        Err(failure) => printer.fail(&failure),
    }
}
