//! The file of `kyanite up --config`: a [`StackConfig`] in YAML, every key optional. Its schema is `schemas/stack.json`.

use std::num::NonZeroU8;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::config::{EncryptionAtRest, KeySize, Ports, StackConfig};
use crate::document::{self, LoadError};
use crate::etcd::EtcdSource;
use crate::runtime::RuntimeDir;

impl StackConfig {
    /// Reads a configuration file. `name` is what reports call it; `runtime` is not for a file to say.
    ///
    /// # Errors
    ///
    /// [`LoadError`] with every problem at its line and column.
    pub fn load(name: &str, text: &str, runtime: RuntimeDir) -> Result<Self, LoadError> {
        let document = document::load::<StackFile>(name, text)?;
        let source = document.value().etcd.source.as_deref().map(str::parse::<EtcdSource>);
        let problems = match &source {
            Some(Err(error)) => vec![document.problem("/etcd/source", error.to_string())],
            _ => Vec::new(),
        };
        let file = document.reject(problems)?.into_value();
        Ok(file.config(source.and_then(Result::ok), runtime))
    }
}

/// The schema of the configuration file.
pub fn schema() -> String {
    document::schema_text::<StackFile>()
}

/// A stack of Kyanite.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(title = "Kyanite stack")]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct StackFile {
    /// Directory that keeps all state from one start to the next; without it the state goes with the stack.
    data_dir: Option<PathBuf>,
    /// How the API server stores Secrets.
    encryption: EncryptionAtRest,
    /// The etcd that everything is stored in.
    etcd: EtcdSection,
    /// Ports on loopback; 0 or none is any that is free.
    ports: Ports,
    /// The Azure region that the vault's answers name.
    #[schemars(regex(pattern = r"^[a-z0-9]+$"))]
    region: Option<String>,
    /// The Entra tenant of vault and principals.
    #[schemars(regex(pattern = UUID))]
    tenant_id: Option<String>,
    /// The vault and the key in it.
    vault: VaultSection,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct EtcdSection {
    /// Whether keys that stand under the prefix of an etcd of yours are taken over.
    adopt: bool,
    /// The etcd program for processes; by default the one on the search path.
    binary: Option<PathBuf>,
    /// The image for containers.
    image: Option<String>,
    /// Members of the cluster.
    members: Option<NonZeroU8>,
    /// Everything is stored under this prefix.
    #[schemars(regex(pattern = r"^/[^/].*$"))]
    prefix: Option<String>,
    /// `auto`, `container`, `process`, or endpoints of an etcd that runs already: `http://127.0.0.1:2379,...`.
    #[schemars(regex(pattern = SOURCE))]
    source: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct VaultSection {
    /// Name of the key.
    #[schemars(regex(pattern = r"^[0-9a-zA-Z-]{1,127}$"))]
    key: Option<String>,
    /// Size of the key in bits.
    key_size: KeySize,
    /// Name of the vault, the first label of its host.
    #[schemars(regex(pattern = r"^[a-zA-Z][0-9a-zA-Z-]{1,22}[0-9a-zA-Z]$"))]
    name: Option<String>,
}

impl StackFile {
    fn config(self, source: Option<EtcdSource>, runtime: RuntimeDir) -> StackConfig {
        let mut config = StackConfig::new(runtime);
        config.etcd.source = source.unwrap_or_default();
        config.etcd.members = self.etcd.members.unwrap_or(config.etcd.members);
        config.etcd.image = self.etcd.image;
        config.etcd.binary = self.etcd.binary;
        config.etcd.prefix = self.etcd.prefix.unwrap_or(config.etcd.prefix);
        config.etcd.adopt = self.etcd.adopt;
        StackConfig {
            encryption: self.encryption,
            vault: self.vault.name.unwrap_or(config.vault),
            key: self.vault.key.unwrap_or(config.key),
            key_size: self.vault.key_size,
            // The schema has seen to it that this is one.
            tenant_id: self.tenant_id.and_then(|id| id.parse().ok()).unwrap_or(config.tenant_id),
            region: self.region.unwrap_or(config.region),
            ports: self.ports,
            data_dir: self.data_dir,
            ..config
        }
    }
}

/// What `EtcdSource` reads, as far as a pattern can say it; it reports the rest (a port too large).
const SOURCE: &str = "^(auto|container|process|http://[^,/@ ]+:[0-9]{1,5}/?(, *http://[^,/@ ]+:[0-9]{1,5}/?)*)$";
const UUID: &str = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$";

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<StackConfig, LoadError> {
        let temp = tempfile::tempdir().unwrap();
        StackConfig::load("stack.yaml", text, RuntimeDir::open(&temp.path().join("run")).unwrap())
    }

    #[test]
    fn generated_schema_is_current() {
        document::testing::assert_current("stack.json", &schema());
    }

    #[test]
    fn an_empty_mapping_is_the_default_and_everything_can_be_said() {
        let config = load("{}").unwrap();
        assert_eq!(config.vault, "kyanite");
        let text = "
etcd: {source: 'http://a:2379,http://b:2379', prefix: /other, adopt: true, members: 3}
encryption: none
vault: {name: teaching, key: k1, key-size: 4096}
tenant-id: 99999999-9999-4999-8999-999999999999
ports: {api-server: 6443}
data-dir: /var/lib/kyanite
";
        let config = load(text).unwrap();
        assert_eq!(config.etcd.source.to_string(), "http://a:2379,http://b:2379");
        assert_eq!((config.etcd.prefix.as_str(), config.etcd.adopt, config.etcd.members.get()), ("/other", true, 3));
        assert_eq!(config.encryption, EncryptionAtRest::None);
        assert_eq!(
            (config.vault.as_str(), config.key.as_str(), config.key_size),
            ("teaching", "k1", KeySize::Bits4096)
        );
        assert_eq!(config.ports, Ports { api_server: 6443, ..Ports::default() });
    }

    #[test]
    fn every_problem_is_reported() {
        let text = "
etcd: {source: docker, members: 0, sorce: auto}
encryption: rot13
vault: {name: 1st, key-size: 1024}
tenant-id: me
ports: {vault: 70000}
";
        insta::assert_snapshot!(load(text).unwrap_err().plain());
        let error = load("etcd: {source: http://a:99999}").unwrap_err();
        assert_eq!((error.problems()[0].line(), error.problems()[0].column()), (1, 16));
    }
}
