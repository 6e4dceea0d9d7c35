//! The ready file: a JSON object, written once everything answers, from which other programs learn where a stack is.
//!
//! Paths are absolute. The file has mode 0600; the only secret in it is the client secret among the `env` values,
//! everything else secret is named by path.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::runtime::write_private;

/// What a ready file says. Its schema is `schemas/ready.json`.
///
/// Every field but `control` may be absent, since `kyanite vault`, `plugin` and `apiserver` write what they have.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ReadyFile {
    /// A kubeconfig whose current context is the API server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<PathBuf>,
    /// PEM file with the certificate of the stack's CA, which signs the API server, the vaults and the token endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Endpoints of etcd, one for each member.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub etcd: Vec<String>,
    /// The vaults.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vaults: Vec<Vault>,
    /// The Entra ID token endpoint, by loopback address; by Azure's name it is reached through the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entra: Option<String>,
    /// The managed-identity endpoint (IMDS and `IDENTITY_ENDPOINT`), by loopback address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imds: Option<String>,
    /// Sockets of the KMS plugins, as an `EncryptionConfiguration` names them (`unix:///...`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kms_sockets: Vec<String>,
    /// The `EncryptionConfiguration` that the API server was started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_config: Option<PathBuf>,
    /// The control door.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<ControlDoor>,
    /// Doors of the gateway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateway: Vec<GatewayDoor>,
    /// The principal that may use the vaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// What `kyanite env` exports.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

/// A vault and how to reach it without the gateway.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Vault {
    /// Name of the vault.
    pub name: String,
    /// Its address on loopback.
    pub url: String,
    /// The `resource` of its 401 challenge, which tokens must be for.
    pub challenge_resource: String,
}

/// Where a running stack is controlled.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ControlDoor {
    /// Base address.
    pub url: String,
    /// File (mode 0600) with the bearer token.
    pub token_file: PathBuf,
}

/// A listener of the gateway.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayDoor {
    /// The place in the network at which its callers stand.
    pub place: String,
    /// Address of the HTTP proxy.
    pub url: String,
}

/// A service principal.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// The tenant.
    pub tenant_id: String,
    /// The application.
    pub client_id: String,
    /// File (mode 0600) with the client secret.
    pub client_secret_file: PathBuf,
}

impl ReadyFile {
    /// Writes the file, whole or not at all, with mode 0600.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        write_private(path, text.as_bytes())
    }

    /// Reads a ready file.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if there is none at `path` or it is not a ready file.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let text = fs::read_to_string(path).map_err(|source| ReadError::Io { path: path.to_owned(), source })?;
        serde_json::from_str(&text).map_err(|source| ReadError::Shape { path: path.to_owned(), source })
    }
}

/// Why a ready file cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// No such file, or no right to read it.
    #[error("read the ready file {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not a ready file.
    #[error("understand {} as a ready file", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// Where it differs.
        source: serde_json::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_schema_is_current() {
        let text = crate::document::schema_text::<ReadyFile>();
        crate::document::testing::assert_current("ready.json", &text);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("ready.json");
        let ready = ReadyFile { etcd: vec!["http://127.0.0.1:2379".to_owned()], ..ReadyFile::default() };
        ready.write(&path).unwrap();
        assert_eq!(ReadyFile::read(&path).unwrap(), ready);
        fs::write(&path, "{\"etcd\": 1}").unwrap();
        assert!(matches!(ReadyFile::read(&path), Err(ReadError::Shape { .. })));
    }
}
