//! `kyanite plugin`.

use std::path::PathBuf;

use clap::Args;
use harness::alone::PluginAlone;

use super::alone::serve;
use super::up::absolute;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::Printer;

/// Runs the KMS plugin alone, with the options of Azure's plugin
///
/// It works with a vault of Kyanite as with a real one: `azure.json` says as whom, `HTTPS_PROXY` by which way, and
/// `SSL_CERT_FILE` whom to trust. Without --key-version it follows the newest version of the key, and it decrypts with
/// every version.
#[derive(Args, Debug)]
pub(crate) struct Plugin {
    /// The socket
    #[arg(long, value_name = "ENDPOINT", default_value = "unix:///opt/azurekms.socket")]
    listen_addr: String,
    /// Name of the vault
    #[arg(long, value_name = "NAME")]
    keyvault_name: String,
    /// Name of the key
    #[arg(long, value_name = "NAME")]
    key_name: String,
    /// Version of the key to encrypt with; without it the newest
    #[arg(long, value_name = "VERSION")]
    key_version: Option<String>,
    /// The Azure configuration
    #[arg(long, value_name = "FILE", default_value = "/etc/kubernetes/azure.json")]
    config_file_path: PathBuf,
    /// Remembers the versions seen across restarts
    #[arg(long, value_name = "FILE")]
    known_versions_file: Option<PathBuf>,
    /// Certificates to trust besides the system's
    #[arg(long, value_name = "FILE", env = "SSL_CERT_FILE", hide_env_values = true)]
    ca_file: Option<PathBuf>,
    /// Writes what was chosen, once the socket is there; removed at the end
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

pub(crate) async fn run(plugin: Plugin, printer: Printer) -> Result<Exit, Failure> {
    let alone = PluginAlone {
        listen: plugin.listen_addr,
        vault: plain(&plugin.keyvault_name),
        key: plain(&plugin.key_name),
        key_version: plugin.key_version.as_deref().map(plain).filter(|version| !version.is_empty()),
        azure_json: plugin.config_file_path,
        ca_file: plugin.ca_file,
        known_versions_file: plugin.known_versions_file,
        ready_file: plugin.ready_file.as_deref().map(absolute).transpose()?,
    };
    serve(alone.start(), printer, "KMS plugin").await
}

/// Names as Azure's plugin takes them: without spaces and double quotes around them, which YAML manifests leave there.
fn plain(name: &str) -> String {
    name.trim_matches([' ', '"']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_that_a_manifest_left_are_taken_off() {
        assert_eq!(plain(" \"kyanite\" "), "kyanite");
    }
}
