//! `kyanite plugin`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use harness::alone::{Difference, PluginAlone};

use super::alone::serve;
use super::up::absolute;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::Printer;

/// Runs the KMS plugin alone, with the options of Azure's plugin
///
/// It works with a vault of Kyanite as with a real one: `azure.json` says as whom, `HTTPS_PROXY` by which way, and
/// `SSL_CERT_FILE` whom to trust. Without --key-version it follows the newest version of the key, and it decrypts with
/// every version. Options may have one dash or two, as in Go.
#[derive(Args, Debug)]
pub(crate) struct Plugin {
    /// The socket; `unix:///@name` is an abstract one
    #[arg(long, value_name = "ENDPOINT", default_value = "unix:///opt/azurekms.socket")]
    listen_addr: String,
    /// Name of the vault
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    keyvault_name: String,
    /// Name of the key
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    key_name: String,
    /// Version of the key to encrypt with; without it the newest
    #[arg(long, value_name = "VERSION")]
    key_version: Option<String>,
    /// AKS's two-key rule: decrypts with the current version and this one, and with no other
    #[arg(long, value_name = "VERSION")]
    previous_key: Option<String>,
    /// The vault is a managed HSM
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set)]
    managed_hsm: bool,
    /// The Azure configuration
    #[arg(long, value_name = "FILE", default_value = "/etc/kubernetes/azure.json")]
    config_file_path: PathBuf,
    /// Ignored, as by Azure's plugin
    #[arg(long = "configFilePath", value_name = "FILE", hide = true)]
    old_config_file_path: Option<PathBuf>,
    /// What the cloud `AzureStackCloud` is
    #[arg(long, value_name = "FILE", env = "AZURE_ENVIRONMENT_FILEPATH", hide_env_values = true)]
    cloud_environment: Option<PathBuf>,
    /// Port of the health endpoint; 0 is any that is free
    #[arg(long, value_name = "PORT", default_value_t = 8787)]
    healthz_port: u16,
    /// Path of the health endpoint; /livez and /readyz are beside it
    #[arg(long, value_name = "PATH", default_value = "/healthz", value_parser = url_path)]
    healthz_path: String,
    /// How long a probe may take
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = go_duration)]
    healthz_timeout: Duration,
    /// What metrics are for; there is only prometheus
    #[arg(long, value_name = "NAME", default_value = "prometheus")]
    metrics_backend: String,
    /// Port of the metrics endpoint; 0 is any that is free
    #[arg(long, value_name = "PORT", default_value_t = 8095)]
    metrics_addr: u16,
    /// Reaches the vault and the token endpoint in plain HTTP through a helper
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set)]
    proxy_mode: bool,
    /// Address of the helper
    #[arg(long, value_name = "HOST", default_value = "", hide_default_value = true)]
    proxy_address: String,
    /// Port of the helper
    #[arg(long, value_name = "PORT", default_value_t = 7788)]
    proxy_port: u16,
    /// Calls to the vault at once; 0 is no limit
    #[arg(long, value_name = "COUNT", default_value_t = 16)]
    max_vault_calls: usize,
    /// Does as Azure's plugin does, where this one does better on purpose: all, or some of checks, codes, decrypt,
    /// health, joining, key-ids, limit, metrics, retries, versions
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    like_azure: Vec<String>,
    /// Remembers the versions seen across restarts
    #[arg(long, value_name = "FILE")]
    known_versions_file: Option<PathBuf>,
    /// Certificates to trust besides the system's
    #[arg(long, value_name = "FILE", env = "SSL_CERT_FILE", hide_env_values = true)]
    ca_file: Option<PathBuf>,
    /// Writes what was chosen, once the socket is there; removed at the end
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Verbosity as of Azure's plugin: 0 warnings and errors, 2 info, 4 debug, 6 all
    #[arg(long = "v", value_name = "LEVEL", default_value_t = 0)]
    pub(crate) level: u8,
    /// Prints the version as JSON
    #[arg(long = "version")]
    version: bool,
}

pub(crate) async fn run(plugin: Plugin, printer: Printer) -> Result<Exit, Failure> {
    if plugin.version {
        printer.data(build());
        return Ok(Exit::Passed);
    }
    serve(plugin.alone()?.start(), printer, "KMS plugin").await
}

impl Plugin {
    fn alone(self) -> Result<PluginAlone, Failure> {
        let version = |text: Option<String>| text.as_deref().map(plain).filter(|version| !version.is_empty());
        let (vault, key, key_version) = (plain(&self.keyvault_name), plain(&self.key_name), version(self.key_version));
        let like_azure = differences(&self.like_azure)?;
        let needs_version = like_azure.contains(&Difference::Versions);
        if vault.is_empty() || key.is_empty() || (needs_version && key_version.is_none()) {
            let what =
                if needs_version { "key vault name, key name and key version" } else { "key vault name and key name" };
            return Err(refusal(anyhow!("{what} are required")));
        }
        if !self.metrics_backend.eq_ignore_ascii_case("prometheus") {
            return Err(refusal(anyhow!("unsupported metrics backend {}", self.metrics_backend)));
        }
        if self.proxy_mode && self.proxy_address.is_empty() {
            return Err(refusal(anyhow!("--proxy-mode needs --proxy-address, the helper's host")));
        }
        Ok(PluginAlone {
            listen: self.listen_addr,
            vault,
            key,
            key_version,
            previous_key: version(self.previous_key),
            managed_hsm: self.managed_hsm,
            azure_json: self.config_file_path,
            cloud_environment: self.cloud_environment.filter(|path| !path.as_os_str().is_empty()),
            proxy_mode: self.proxy_mode.then(|| format!("http://{}:{}", self.proxy_address, self.proxy_port)),
            healthz_port: self.healthz_port,
            healthz_path: self.healthz_path,
            healthz_timeout: self.healthz_timeout,
            metrics_port: self.metrics_addr,
            max_vault_calls: self.max_vault_calls,
            like_azure,
            ca_file: self.ca_file,
            known_versions_file: self.known_versions_file,
            ready_file: self.ready_file.as_deref().map(absolute).transpose()?,
        })
    }
}

fn refusal(cause: anyhow::Error) -> Failure {
    Failure::usage(cause.context("start the plugin"))
}

/// As Azure's plugin prints it.
fn build() -> String {
    serde_json::json!({
        "BuildVersion": env!("CARGO_PKG_VERSION"),
        "GitCommit": option_env!("KYANITE_GIT_COMMIT").unwrap_or_default(),
        "BuildDate": option_env!("KYANITE_BUILD_DATE").unwrap_or_default(),
    })
    .to_string()
}

/// Names as Azure's plugin takes them: without spaces and double quotes around them, which YAML manifests leave there.
fn plain(name: &str) -> String {
    name.trim().trim_matches('"').trim().to_owned()
}

fn differences(names: &[String]) -> Result<BTreeSet<Difference>, Failure> {
    if names.iter().any(|name| name == "all") {
        return Ok(BTreeSet::from(Difference::ALL));
    }
    let parsed = names.iter().map(|name| name.parse::<Difference>());
    parsed.collect::<Result<_, _>>().map_err(|error| Failure::usage(anyhow!("use --like-azure: {error}")))
}

fn url_path(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    if text.starts_with('/') && text.bytes().all(is_plain) {
        Ok(text.to_owned())
    } else {
        Err("it must begin with / and consist of letters, digits and /-._~".to_owned())
    }
}

/// A duration as Go writes it: `20s`, `1m30s`, `1.5s`, `500ms`.
fn go_duration(text: &str) -> Result<Duration, String> {
    let bad = || "it must be a duration such as 20s, 1m30s or 500ms".to_owned();
    let mut rest = text;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !(character.is_ascii_digit() || character == '.')).ok_or_else(bad)?;
        let (number, after) = rest.split_at_checked(digits).ok_or_else(bad)?;
        let letters = after.find(|character: char| character.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at_checked(letters).ok_or_else(bad)?;
        let secs = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return Err(bad()),
        };
        let number: f64 = number.parse().map_err(|_| bad())?;
        sum += Duration::try_from_secs_f64(number * secs).map_err(|_| bad())?;
        rest = next;
    }
    if sum.is_zero() { Err(bad()) } else { Ok(sum) }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command};

    fn parsed(line: &str) -> Plugin {
        let arguments = crate::go_flags::rewritten(line.split(' ').map(Into::into));
        match Cli::try_parse_from(arguments).unwrap().command {
            Command::Plugin(plugin) => *plugin,
            other => panic!("{other:?}"),
        }
    }

    fn refused(line: &str) -> String {
        match parsed(line).alone().unwrap_err().cause {
            crate::failure::Cause::Error(error) => format!("{error:#}"),
            file @ crate::failure::Cause::File(_) => panic!("{file:?}"),
        }
    }

    #[test]
    fn quotes_that_a_manifest_left_are_taken_off() {
        for text in [" \"kyanite\" ", "\" kyanite \"", "kyanite"] {
            assert_eq!(plain(text), "kyanite");
        }
    }

    #[test]
    fn defaults_are_azures() {
        let alone = parsed("kyanite plugin --keyvault-name kyanite --key-name kms").alone().unwrap();
        assert_eq!(alone.listen, "unix:///opt/azurekms.socket");
        assert_eq!(alone.azure_json.to_str(), Some("/etc/kubernetes/azure.json"));
        assert_eq!((alone.healthz_port, alone.healthz_path.as_str(), alone.metrics_port), (8787, "/healthz", 8095));
        assert_eq!(
            (alone.healthz_timeout, alone.managed_hsm, alone.proxy_mode),
            (Duration::from_secs(20), false, None)
        );
    }

    #[test]
    fn a_manifest_of_azures_plugin_is_understood() {
        let plugin = parsed(
            "kyanite plugin -listen-addr=unix:///opt/azurekms.socket -keyvault-name=kv -key-name=k -key-version=v \
             -managed-hsm=false -config-file-path=/a.json -configFilePath=/b.json -healthz-timeout=1m30s \
             -proxy-mode=true -proxy-address=10.0.0.4 -metrics-backend=Prometheus -v=5 -log-format-json=true",
        );
        assert_eq!(plugin.level, 5);
        let alone = plugin.alone().unwrap();
        assert_eq!(alone.proxy_mode.as_deref(), Some("http://10.0.0.4:7788"));
        assert_eq!(alone.azure_json.to_str(), Some("/a.json"));
        assert_eq!(alone.healthz_timeout, Duration::from_secs(90));
    }

    #[test]
    fn what_cannot_work_is_refused_in_azures_words() {
        assert_eq!(
            refused("kyanite plugin --key-name k"),
            "start the plugin: key vault name and key name are required"
        );
        assert_eq!(
            refused("kyanite plugin --keyvault-name kv --key-name k --like-azure all"),
            "start the plugin: key vault name, key name and key version are required"
        );
        let named = "kyanite plugin --keyvault-name kv --key-name k";
        assert_eq!(
            refused(&format!("{named} --metrics-backend statsd")),
            "start the plugin: unsupported metrics backend statsd"
        );
        assert_eq!(
            refused(&format!("{named} --proxy-mode")),
            "start the plugin: --proxy-mode needs --proxy-address, the helper's host"
        );
        assert!(refused(&format!("{named} --like-azure x")).starts_with("use --like-azure: \"x\" is none of checks, "));
    }

    #[test]
    fn durations_are_gos() {
        for (text, millis) in [("20s", 20_000), ("1m30s", 90_000), ("1.5s", 1500), ("500ms", 500), ("1h", 3_600_000)] {
            assert_eq!(go_duration(text), Ok(Duration::from_millis(millis)));
        }
        for text in ["", "20", "s", "0s", "-1s", "1x", "1..5s", "99999999999999999999h"] {
            assert!(go_duration(text).is_err(), "{text}");
        }
        assert!(url_path("healthz").is_err() && url_path("/{x}").is_err());
    }

    #[test]
    fn the_version_is_azures_json() {
        let version: serde_json::Value = serde_json::from_str(&build()).unwrap();
        assert_eq!(version["BuildVersion"], env!("CARGO_PKG_VERSION"));
        assert_eq!(version.as_object().unwrap().len(), 3);
    }
}
