//! `kyanite vault`.

use std::path::PathBuf;

use clap::Args;
use harness::stack::{Ports, StackConfig};

use super::serving::serve;
use super::up::absolute;
use crate::args::Output;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::locate::runtime_dir;
use crate::printer::Printer;

/// Runs the vault alone, with its token endpoints and the gateway
///
/// For use beside kind, a real kube-apiserver or the real KMS plugin: `eval "$(kyanite env)"` points clients here.
#[derive(Args, Debug)]
pub(crate) struct Vault {
    /// Name of the vault, the first label of its host
    #[arg(long, value_name = "NAME", default_value = "kyanite")]
    name: String,
    /// A key to make if there is none
    #[arg(long, value_name = "NAME", default_value = "kms")]
    key: String,
    /// Port of the vault and the token endpoints; 0 is any that is free
    #[arg(long, value_name = "PORT", default_value_t)]
    port: u16,
    /// Port of the managed-identity endpoint
    #[arg(long, value_name = "PORT", default_value_t)]
    identity_port: u16,
    /// Port of the gateway
    #[arg(long, value_name = "PORT", default_value_t)]
    gateway_port: u16,
    /// Writes where everything is, once everything answers; removed at the end
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Keeps keys and secrets here from one start to the next
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Seeds the vault with what this file declares (YAML or JSON, see docs/keyvault.md)
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,
    /// `json` prints the ready file's contents once everything answers
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

pub(crate) async fn run(vault: Vault, printer: Printer) -> Result<Exit, Failure> {
    let config = StackConfig {
        vault: vault.name,
        key: vault.key,
        ports: Ports {
            vault: vault.port,
            identity: vault.identity_port,
            gateway: vault.gateway_port,
            ..Ports::default()
        },
        data_dir: vault.data_dir,
        seed: vault.seed,
        ready_file: vault.ready_file.as_deref().map(absolute).transpose()?,
        vault_alone: true,
        ..StackConfig::new(runtime_dir()?)
    };
    serve(config, printer, |stack, seconds| super::up::announce(stack, seconds, vault.output, printer)).await
}
