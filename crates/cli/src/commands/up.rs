//! `kyanite up`.

use std::path::{Path, PathBuf};

use clap::Args;
use harness::stack::{EncryptionAtRest, Stack};

use super::serving::serve;
use super::stack_options::StackOptions;
use crate::args::Output;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::Printer;

/// Starts a stack and keeps it running until Ctrl-C
///
/// Ports are chosen freely and change from start to start, unless the configuration file names them. Everything that
/// was started is gone when the command ends; with --data-dir the data comes back at the next start.
#[derive(Args, Debug)]
pub(crate) struct Up {
    #[command(flatten)]
    options: StackOptions,
    /// Writes where everything is, once everything answers; removed at the end
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Keeps all state here from one start to the next
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Stores Secrets as they are, without a KMS
    #[arg(long)]
    no_kms: bool,
    /// `json` prints the ready file's contents once everything answers
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

pub(crate) async fn run(up: Up, printer: Printer) -> Result<Exit, Failure> {
    let mut config = up.options.config()?;
    if up.no_kms {
        config.encryption = EncryptionAtRest::None;
    }
    config.data_dir = up.data_dir.or(config.data_dir);
    config.ready_file = up.ready_file.as_deref().map(absolute).transpose()?;
    serve(config, printer, |stack, seconds| announce(stack, seconds, up.output, printer)).await
}

pub(super) fn announce(stack: &Stack, seconds: f64, output: Output, printer: Printer) -> Result<(), Failure> {
    if output == Output::Json {
        let text = serde_json::to_string_pretty(stack.ready()).map_err(Failure::environment)?;
        printer.data(text);
        return Ok(());
    }
    let ready = stack.ready();
    printer.say(format_args!("Ready in {seconds:.2} s: {}.", stack.describe()));
    let mut lines = Vec::new();
    if let Some(kubeconfig) = &ready.kubeconfig {
        lines.push(("API server", format!("kubectl --kubeconfig {}", kubeconfig.display())));
    }
    if !ready.etcd.is_empty() {
        lines.push(("etcd", ready.etcd.join(",")));
    }
    lines.extend(
        ready
            .vaults
            .iter()
            .map(|vault| ("vault", format!("https://{}.vault.azure.net (at {})", vault.name, vault.url))),
    );
    lines.extend(ready.gateway.iter().map(|door| ("gateway", door.url.clone())));
    for (name, value) in lines {
        printer.say(format_args!("  {name:<11}{value}"));
    }
    printer.say("In another shell:");
    for hint in stack.hints() {
        printer.say(format_args!("  {hint}"));
    }
    printer.say("Ctrl-C ends it.");
    Ok(())
}

/// The path as other processes, with other working directories, find it.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::usage(anyhow::Error::new(error).context(format!("use {} as a path", path.display()))))
}
