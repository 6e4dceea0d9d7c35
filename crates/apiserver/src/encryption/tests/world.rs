//! A plugin, a server's encryption, and their clock.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use envelope::{EncryptionConfiguration, ParseOptions};
use kms_api::Endpoint;
use prometheus::{Encoder as _, TextEncoder};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::plugin::{Behaviour, Plugin, Running};
use crate::encryption::{Encryption, EncryptionReload};

pub(super) const KEY: &str = "/registry/secrets/default/a";

pub(super) struct World {
    pub(super) clock: Clock,
    pub(super) endpoint: Endpoint,
    pub(super) plugin: Plugin,
    pub(super) registry: prometheus::Registry,
    timeout: &'static str,
    folder: TempDir,
}

impl World {
    /// One whose calls end, if need be, after a time no healthy machine takes.
    pub(super) fn new() -> Self {
        Self::with_timeout("30s")
    }

    /// One for calls that are meant to run into their deadline.
    pub(super) fn impatient() -> Self {
        Self::with_timeout("2s")
    }

    fn with_timeout(timeout: &'static str) -> Self {
        let folder = TempDir::new().unwrap();
        Self {
            clock: Clock::new(),
            endpoint: Endpoint::of_path(folder.path().join("kms.sock")).unwrap(),
            plugin: Plugin::new(),
            registry: prometheus::Registry::new(),
            timeout,
            folder,
        }
    }

    /// A listening plugin.
    pub(super) async fn plugin_up(&self) -> Running {
        Running::start(&self.endpoint, &self.plugin).await
    }

    /// A server whose only checks are the one at its start and those a test asks for.
    pub(super) async fn server(&mut self) -> Arc<Encryption> {
        let stop = CancellationToken::new();
        let server = self.server_until(&stop).await;
        stop.cancel();
        server
    }

    /// A server with its background checks.
    pub(super) async fn server_until(&mut self, shutdown: &CancellationToken) -> Arc<Encryption> {
        let config = self.config("[{kms: KMS}, {identity: {}}]");
        self.server_with(config, shutdown).await
    }

    pub(super) async fn server_with(
        &mut self,
        config: EncryptionConfiguration,
        shutdown: &CancellationToken,
    ) -> Arc<Encryption> {
        // Each server has its own registry, as each process has.
        self.registry = prometheus::Registry::new();
        Encryption::start(Some(config), None, self.clock.clone(), &self.registry, shutdown.clone()).await
    }

    /// A configuration for secrets with these providers, as [`Self::file`] has them.
    pub(super) fn config(&self, providers: &str) -> EncryptionConfiguration {
        let options = ParseOptions { kms_v1: true, reload: false };
        EncryptionConfiguration::parse_with(self.file(providers).as_bytes(), options).unwrap()
    }

    /// A file for secrets with these providers, where `KMS` stands for the world's plugin, and `SOCKET` for its socket.
    pub(super) fn file(&self, providers: &str) -> String {
        let Self { endpoint, timeout, .. } = self;
        let kms = format!("{{apiVersion: v2, name: azurekmsprovider, endpoint: '{endpoint}', timeout: {timeout}}}");
        let socket = format!("'{endpoint}', timeout: {timeout}");
        format!(
            "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  \
             providers: {}\n",
            providers.replace("KMS", &kms).replace("SOCKET", &socket)
        )
    }

    /// A server that follows a file with these providers of secrets; the file's path.
    pub(super) async fn following(&mut self, providers: &str, stop: &CancellationToken) -> (Arc<Encryption>, PathBuf) {
        let file = self.folder.path().join("encryption.yaml");
        let options = ParseOptions { kms_v1: true, reload: true };
        std::fs::write(&file, self.file(providers)).unwrap();
        let config = EncryptionConfiguration::parse_with(self.file(providers).as_bytes(), options).unwrap();
        self.registry = prometheus::Registry::new();
        let reload = EncryptionReload { file: file.clone(), options };
        let server =
            Encryption::start(Some(config), Some(reload), self.clock.clone(), &self.registry, stop.clone()).await;
        (server, file)
    }

    /// The scrape's lines that start like one of `names`, without `apiserver_`, ids and hashes.
    pub(super) fn metrics(&self, names: &[&str]) -> Vec<String> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let lines = text.lines().map(|line| line.trim_start_matches("apiserver_"));
        lines.filter(|line| names.iter().any(|name| line.starts_with(name))).map(masked).collect()
    }

    /// Lets the plugin behave so from now on, and all remembered checks grow old.
    pub(super) fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        self.plugin.behave(change);
        self.advance(21);
    }

    pub(super) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds)).unwrap();
    }

    /// A recorded text with this world's socket in it.
    pub(super) fn localised(&self, recorded: &str) -> String {
        recorded.replace("/run/kms.sock", &self.endpoint.path().unwrap().display().to_string())
    }
}

/// Polls until `state` gives something, and fails after ten seconds with the last thing it complained of.
pub(super) async fn wait_until<T, F>(mut state: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    let mut poll = tokio::time::interval(Duration::from_millis(10));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        match state().await {
            Ok(found) => return found,
            Err(last) => assert!(tokio::time::Instant::now() < deadline, "gave up; the last thing seen: {last}"),
        }
        poll.tick().await;
    }
}

/// The recorded answers of a file, by what was done.
pub(super) fn recorded(file: &str, what: &str) -> serde_json::Value {
    let entries: Vec<serde_json::Value> = serde_json::from_str(file).unwrap();
    entries.into_iter().find(|entry| entry["what"] == what).unwrap_or_else(|| panic!("{what} is not recorded"))
}

/// What follows `Internal error occurred: ` in a recorded Status.
pub(super) fn recorded_cause(file: &str, what: &str) -> String {
    let message = recorded(file, what)["message"].as_str().unwrap().to_owned();
    message.strip_prefix("Internal error occurred: ").unwrap().to_owned()
}

/// A text without the ids, hashes and times of its run, which must have their shapes.
pub(super) fn masked(text: &str) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let (shape, length) = [
            ("<hash>", shape_length(rest, "sha256:################################################################")),
            ("<uid>", shape_length(rest, "########-####-####-####-############")),
            ("<time>", shape_length(rest, "####-##-##T##:##:##Z")),
        ]
        .into_iter()
        .find_map(|(name, length)| Some((name.to_owned(), length?)))
        .unwrap_or_else(|| (next.to_string(), next.len_utf8()));
        masked.push_str(&shape);
        rest = &rest[length..];
    }
    masked
}

/// The length of `shape`, in which `#` is a hexadecimal digit, if `text` starts with it.
fn shape_length(text: &str, shape: &str) -> Option<usize> {
    let head = text.get(..shape.len())?;
    let fits = |(found, wanted): (char, char)| if wanted == '#' { found.is_ascii_hexdigit() } else { found == wanted };
    head.chars().zip(shape.chars()).all(fits).then_some(shape.len())
}
