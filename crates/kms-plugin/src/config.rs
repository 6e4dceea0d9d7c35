//! What a plugin is started with. `cli` fills it from flags and `azure.json`; nothing here reads anything.

use std::path::PathBuf;
use std::time::Duration;

use clock::Clock;

use crate::key::{Key, KeyName, KeyVersion, VaultName};
use crate::secret::ClientSecret;

/// What a plugin is started with.
#[derive(Debug)]
pub struct Config {
    /// The vault that holds the key.
    pub vault: VaultName,
    /// The key.
    pub key: KeyName,
    /// The version to encrypt with. `None` follows the newest.
    ///
    /// Differs: Azure's plugin demands a version.
    pub key_version: Option<KeyVersion>,
    /// Whose names the vault and the token endpoint have.
    pub cloud: Cloud,
    /// Who the plugin is to the vault.
    pub credential: Credential,
    /// How the vault is reached.
    pub http: HttpConfig,
    /// How often a key without a version is looked at for a new one, by the stack's clock.
    pub poll_interval: Duration,
    /// How long a real success counts as proof of health, by the stack's clock.
    pub status_freshness: Duration,
    /// Where the versions seen are remembered across restarts; the folder must exist.
    pub known_versions_file: Option<PathBuf>,
    /// The stack's clock.
    pub clock: Clock,
}

impl Config {
    /// The newest version of a key in Azure's public cloud, polled every minute, healthy for 30 s after a success.
    pub fn new(vault: VaultName, key: KeyName, credential: Credential, clock: Clock) -> Self {
        Self {
            vault,
            key,
            key_version: None,
            cloud: Cloud::default(),
            credential,
            http: HttpConfig::default(),
            poll_interval: Duration::from_mins(1),
            status_freshness: Duration::from_secs(30),
            known_versions_file: None,
            clock,
        }
    }

    pub(crate) fn full_key(&self) -> Key {
        Key::new(&self.vault, self.cloud.vault_dns_suffix(), self.key.clone())
    }
}

/// A cloud of Azure. Names and suffixes as in go-autorest's `azure.Environment`, which Azure's plugin uses.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Cloud {
    /// `AzureChinaCloud`.
    China,
    /// `AzureGermanCloud`, closed in 2021; kept because configuration files still name it.
    German,
    /// `AzurePublicCloud`.
    #[default]
    Public,
    /// `AzureUSGovernmentCloud`.
    UsGovernment,
}

impl Cloud {
    /// The cloud that `azure.json` names; the empty name is the public cloud and case does not matter.
    pub fn by_name(name: &str) -> Option<Self> {
        match name.to_ascii_uppercase().as_str() {
            "" | "AZUREPUBLICCLOUD" => Some(Self::Public),
            "AZURECHINACLOUD" => Some(Self::China),
            "AZUREGERMANCLOUD" => Some(Self::German),
            "AZUREUSGOVERNMENTCLOUD" => Some(Self::UsGovernment),
            _ => None,
        }
    }

    /// What follows a vault's name in its host name.
    pub fn vault_dns_suffix(self) -> &'static str {
        match self {
            Self::China => "vault.azure.cn",
            Self::German => "vault.microsoftazure.de",
            Self::Public => "vault.azure.net",
            Self::UsGovernment => "vault.usgovcloudapi.net",
        }
    }

    /// The token endpoint's origin.
    pub(crate) fn authority(self) -> &'static str {
        match self {
            Self::China => "https://login.chinacloudapi.cn",
            Self::German => "https://login.microsoftonline.de",
            Self::Public => "https://login.microsoftonline.com",
            Self::UsGovernment => "https://login.microsoftonline.us",
        }
    }
}

/// Who the plugin is to the vault.
#[derive(Debug)]
#[non_exhaustive]
pub enum Credential {
    /// A service principal with a secret.
    ClientSecret {
        /// The directory (tenant) id.
        tenant: String,
        /// The application (client) id.
        client: String,
        /// The secret.
        secret: ClientSecret,
    },
    /// The identity of the machine.
    ManagedIdentity {
        /// The client id of a user-assigned identity; `None` is the system-assigned one.
        client: Option<String>,
    },
}

/// How the vault and the token endpoint are reached.
#[derive(Clone, Debug, Default)]
pub struct HttpConfig {
    /// The forward proxy.
    pub proxy: Proxy,
    /// Certificates (PEM) trusted besides the system's.
    pub ca_pem: Option<Vec<u8>>,
}

/// Which forward proxy to use.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Proxy {
    /// None, whatever the environment says.
    Direct,
    /// What `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say, as Azure's plugin does.
    #[default]
    Environment,
    /// This one for every host, as in `http://127.0.0.1:3128`.
    Url(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clouds_have_azures_names_and_suffixes() {
        let suffix = |name| Cloud::by_name(name).map(Cloud::vault_dns_suffix);
        assert_eq!(suffix(""), Some("vault.azure.net"));
        assert_eq!(suffix("AzurePublicCloud"), Some("vault.azure.net"));
        assert_eq!(suffix("AZURECHINACLOUD"), Some("vault.azure.cn"));
        assert_eq!(suffix("azureusgovernmentcloud"), Some("vault.usgovcloudapi.net"));
        assert_eq!(suffix("AzureGermanCloud"), Some("vault.microsoftazure.de"));
        assert_eq!(suffix("AzureMoonCloud"), None);
    }
}
