//! `kyanite apiserver`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use harness::alone::ApiServerAlone;

use super::alone::serve;
use super::up::absolute;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::locate::runtime_path;
use crate::printer::Printer;

/// Runs the API server alone, with the names of kube-apiserver for the options that it has
///
/// Nothing but its certificates, its token and a kubeconfig is its own: what it acknowledged is in etcd.
#[derive(Args, Debug)]
pub(crate) struct Apiserver {
    /// Endpoints of etcd, separated by commas
    #[arg(long, value_name = "ENDPOINTS")]
    etcd_servers: String,
    /// Where in etcd everything is stored
    #[arg(long, value_name = "PREFIX", default_value = "/registry")]
    etcd_prefix: String,
    /// The `EncryptionConfiguration`; without it nothing is encrypted
    #[arg(long, value_name = "FILE")]
    encryption_provider_config: Option<PathBuf>,
    /// Follows changes of that file while the server runs
    #[arg(
        long,
        requires = "encryption_provider_config",
        num_args = 0..=1,
        require_equals = true,
        value_name = "BOOL",
        default_missing_value = "true",
        default_value = "false",
        hide_default_value = true,
        hide_possible_values = true
    )]
    encryption_provider_config_automatic_reload: bool,
    /// `KMSv1=true` allows KMS v1 providers, which kube-apiserver refuses by default since 1.29
    #[arg(long, value_name = "GATES", value_delimiter = ',', value_parser = feature_gate)]
    feature_gates: Vec<bool>,
    /// Address to listen on (kube-apiserver's default is every address of the machine)
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    bind_address: IpAddr,
    /// Port to listen on; 0 is any that is free
    #[arg(long, value_name = "PORT", default_value_t = 6443)]
    secure_port: u16,
    /// Directory of the certificates, the token and the kubeconfig; made if there is none
    #[arg(long, value_name = "DIR")]
    cert_dir: Option<PathBuf>,
    /// A static token file: token,user,uid,"groups"; without it one token is made
    #[arg(long, value_name = "FILE")]
    token_auth_file: Option<PathBuf>,
    /// Writes what was chosen, once the server answers; removed at the end
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

pub(crate) async fn run(apiserver: Apiserver, printer: Printer) -> Result<Exit, Failure> {
    let alone = ApiServerAlone {
        etcd_servers: apiserver.etcd_servers,
        etcd_prefix: apiserver.etcd_prefix,
        encryption_provider_config: apiserver.encryption_provider_config,
        encryption_provider_config_automatic_reload: apiserver.encryption_provider_config_automatic_reload,
        kms_v1: apiserver.feature_gates.last().copied().unwrap_or_default(),
        bind_address: apiserver.bind_address,
        secure_port: apiserver.secure_port,
        cert_dir: apiserver.cert_dir.unwrap_or_else(|| runtime_path().join("apiserver")),
        token_auth_file: apiserver.token_auth_file,
        ready_file: apiserver.ready_file.as_deref().map(absolute).transpose()?,
    };
    serve(Box::pin(alone.start()), printer, "API server").await
}

/// The one feature gate that changes what Kyanite's API server does; the texts are upstream's.
fn feature_gate(text: &str) -> Result<bool, String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("missing bool value for {text}"))?;
    if name != "KMSv1" {
        return Err(format!("unrecognized feature gate: {name} (here is KMSv1)"));
    }
    value.parse().map_err(|_| format!("invalid value of {name}={value}, err: it is neither true nor false"))
}
