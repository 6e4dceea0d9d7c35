//! One module for each command: its arguments, and a function that does it.

mod alone;
pub(crate) mod apiserver;
pub(crate) mod audit;
pub(crate) mod check;
pub(crate) mod clock;
pub(crate) mod doctor;
pub(crate) mod env;
pub(crate) mod fault;
pub(crate) mod inspect;
pub(crate) mod keys;
pub(crate) mod plugin;
mod progress;
mod replay;
pub(crate) mod run;
mod serving;
mod stack_options;
pub(crate) mod status;
pub(crate) mod tour;
pub(crate) mod up;
pub(crate) mod vault;

use crate::args::{Cli, Command};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::Printer;

/// Does what the command line says.
pub(crate) async fn run(cli: Cli, printer: Printer) -> Result<Exit, Failure> {
    match cli.command {
        Command::Apiserver(apiserver) => apiserver::run(apiserver, printer).await,
        Command::Audit(audit) => audit::run(audit, printer).await,
        Command::Check(check) => check::run(&check, printer),
        Command::Clock(clock) => clock::run(clock, printer).await,
        Command::Doctor(doctor) => doctor::run(doctor, printer).await,
        Command::Env(env) => env::run(&env, printer),
        Command::Fault(fault) => fault::run(fault, printer).await,
        Command::Inspect(inspect) => inspect::run(inspect, printer).await,
        Command::Keys(keys) => keys::run(keys, printer).await,
        Command::Plugin(plugin) => plugin::run(*plugin, printer).await,
        Command::Run(run) => run::run(*run, printer).await,
        Command::Status(status) => status::run(status, printer).await,
        Command::Tour(tour) => tour::run(*tour, printer).await,
        Command::Up(up) => up::run(*up, printer).await,
        Command::Vault(vault) => vault::run(*vault, printer).await,
    }
}
