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
        bind_address: apiserver.bind_address,
        secure_port: apiserver.secure_port,
        cert_dir: apiserver.cert_dir.unwrap_or_else(|| runtime_path().join("apiserver")),
        token_auth_file: apiserver.token_auth_file,
        ready_file: apiserver.ready_file.as_deref().map(absolute).transpose()?,
    };
    serve(Box::pin(alone.start()), printer, "API server").await
}
