//! `kyanite inspect`.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;
use harness::story::inspect::{InspectError, Inspection};

use super::replay::colour;
use crate::args::{Locate, Output};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::locate::ready_file;
use crate::printer::Printer;

/// Shows a stored value with every byte named.
///
/// A Secret of a running stack is read from etcd, traced to its key version, and opened with the seed that the vault
/// decrypts. A file (`etcdctl get KEY --print-value-only`) needs no stack, and is not opened.
#[derive(Args, Debug)]
#[group(id = "what", required = true, multiple = false, args = ["secret", "raw"])]
pub(crate) struct Inspect {
    /// The Secret, as NAME or NAMESPACE/NAME
    #[arg(value_name = "SECRET")]
    secret: Option<String>,
    /// A file with a stored value; `-` is standard input
    #[arg(long, value_name = "FILE")]
    raw: Option<PathBuf>,
    /// The Secret's namespace, unless SECRET names it
    #[arg(long, short, default_value = "default")]
    namespace: String,
    /// Where in etcd everything is stored
    #[arg(long, default_value = "/registry", value_name = "PREFIX")]
    etcd_prefix: String,
    #[command(flatten)]
    locate: Locate,
    /// `json` prints what schemas/inspect.json describes
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

pub(crate) async fn run(inspect: Inspect, printer: Printer) -> Result<Exit, Failure> {
    let inspection = match (&inspect.secret, &inspect.raw) {
        (Some(secret), _) => {
            let (namespace, name) = secret.split_once('/').unwrap_or((&inspect.namespace, secret));
            Inspection::of_secret(&ready_file(&inspect.locate)?, &inspect.etcd_prefix, namespace, name)
                .await
                .map_err(failure)?
        }
        (None, raw) => Inspection::of_printed(&read(raw.as_deref().unwrap_or(Path::new(STDIN)))?),
    };
    printer.data(match inspect.output {
        Output::Json => serde_json::to_string_pretty(&inspection).map_err(Failure::environment)?,
        Output::Text => inspection.text(colour()).trim_end().to_owned(),
    });
    Ok(Exit::Passed)
}

pub(super) fn failure(error: InspectError) -> Failure {
    match error {
        InspectError::NoSecret { .. } | InspectError::UnknownVersion { .. } => Failure::usage(error),
        other => Failure::environment(other),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let outcome = if path == Path::new(STDIN) {
        io::stdin().lock().read_to_end(&mut bytes).map(|_| ())
    } else {
        std::fs::read(path).map(|read| bytes = read)
    };
    outcome.map_err(|error| {
        Failure::usage(anyhow::Error::new(error).context(format!("read the stored value {}", path.display())))
    })?;
    Ok(bytes)
}

const STDIN: &str = "-";
