//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands;
use crate::exit::TABLE;

/// A local emulator of the AKS secret-at-rest stack: a real etcd, an API server that encrypts what it stores, the
/// Kubernetes KMS plugin, and an Azure Key Vault.
///
/// It protects nothing real: keys, tokens and secrets are on this machine for everybody who can use your account.
#[derive(Debug, Parser)]
#[command(name = "kyanite", version, max_term_width = 100, after_help = TABLE, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Args, Debug)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// Says only what was asked for, and what is wrong
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Logs more of what happens: twice for every request
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// What to log, as `tracing` has it: `warn,keyvault=debug`
    #[arg(long, global = true, env = "KYANITE_LOG", hide_env_values = true, value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// Logs in JSON, a line for each event
    #[arg(long, global = true)]
    pub(crate) log_format_json: bool,
}

/// What each does is told by its own arguments' documentation.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Up(Box<commands::up::Up>),
    Run(Box<commands::run::Run>),
    Tour(Box<commands::tour::Tour>),
    Inspect(commands::inspect::Inspect),
    Keys(commands::keys::Keys),
    Check(commands::check::Check),
    Env(commands::env::Env),
    Status(commands::status::Status),
    Clock(commands::clock::Clock),
    Fault(commands::fault::Fault),
    Audit(commands::audit::Audit),
    Doctor(commands::doctor::Doctor),
    Vault(Box<commands::vault::Vault>),
    Plugin(Box<commands::plugin::Plugin>),
    Apiserver(commands::apiserver::Apiserver),
}

impl Command {
    /// Whether things are made to fail as part of what is shown.
    pub(crate) fn fails_on_purpose(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Tour(_))
    }
}

/// Which running stack is meant.
#[derive(Args, Debug)]
pub(crate) struct Locate {
    /// The ready file of the stack; by default the last one that this user started
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
}

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}
