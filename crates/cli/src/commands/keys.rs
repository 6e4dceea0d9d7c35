//! `kyanite keys`.

use clap::Args;
use harness::story::inspect::KeyUse;

use super::inspect::failure;
use super::replay::colour;
use crate::args::{Locate, Output};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::locate::ready_file;
use crate::printer::Printer;

/// Tells which stored objects stand or fall with which key version.
#[derive(Args, Debug)]
pub(crate) struct Keys {
    /// Only what falls with this key version or key id; the start of it is enough
    #[arg(long, value_name = "ID")]
    blast_radius: Option<String>,
    /// Where in etcd everything is stored
    #[arg(long, default_value = "/registry", value_name = "PREFIX")]
    etcd_prefix: String,
    #[command(flatten)]
    locate: Locate,
    /// `json` prints what schemas/keys.json describes
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

pub(crate) async fn run(keys: Keys, printer: Printer) -> Result<Exit, Failure> {
    let mut key_use = KeyUse::of_stack(&ready_file(&keys.locate)?, &keys.etcd_prefix).await.map_err(failure)?;
    if let Some(id) = &keys.blast_radius {
        key_use = key_use.blast_radius(id).map_err(failure)?;
    }
    printer.data(match keys.output {
        Output::Json => serde_json::to_string_pretty(&key_use).map_err(Failure::environment)?,
        Output::Text => key_use.text(colour()).trim_end().to_owned(),
    });
    Ok(Exit::Passed)
}
