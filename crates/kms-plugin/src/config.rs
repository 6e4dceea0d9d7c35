//! What a plugin is started with. `cli` fills it from flags and `azure.json`; nothing here reads anything.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clock::Clock;

use crate::cloud::Cloud;
use crate::difference::Difference;
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
    /// The key version before, for AKS's two-key rule: with it the plugin decrypts with these two and no other.
    ///
    /// AKS keeps the current and the previous key, so that rotating twice without writing all Secrets again loses
    /// what hangs on the first: Azure/kubernetes-kms issue 291.
    pub previous_key: Option<KeyVersion>,
    /// Whether the vault is a managed HSM, `{name}.managedhsm.azure.net`.
    pub managed_hsm: bool,
    /// Whose names the vault and the token endpoint have.
    pub cloud: Cloud,
    /// Who the plugin is to the vault.
    pub credential: Credential,
    /// How the vault is reached.
    pub http: HttpConfig,
    /// The helper of Azure's proxy mode, `http://{address}:{port}`: it has the vault's host in the path of a URL.
    pub proxy_mode: Option<String>,
    /// How often a key without a version is looked at for a new one, by the stack's clock.
    pub poll_interval: Duration,
    /// How long a real success counts as proof of health, by the stack's clock.
    pub status_freshness: Duration,
    /// How many calls to the vault are made at once; the others wait. 0 is no limit.
    ///
    /// Differs: Azure's plugin has no limit.
    pub max_vault_calls: usize,
    /// What to do as Azure's plugin does it.
    pub like_azure: BTreeSet<Difference>,
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
            previous_key: None,
            managed_hsm: false,
            cloud: Cloud::default(),
            credential,
            http: HttpConfig::default(),
            proxy_mode: None,
            poll_interval: Duration::from_mins(1),
            status_freshness: Duration::from_secs(30),
            max_vault_calls: 16,
            like_azure: BTreeSet::new(),
            known_versions_file: None,
            clock,
        }
    }

    /// `None` if the cloud has no managed HSMs.
    pub(crate) fn full_key(&self) -> Option<Key> {
        let suffix =
            if self.managed_hsm { self.cloud.managed_hsm_dns_suffix()? } else { self.cloud.vault_dns_suffix() };
        Some(Key::new(&self.vault, suffix, self.key.clone()))
    }
}

/// Who the plugin is to the vault.
#[derive(Debug)]
#[non_exhaustive]
pub enum Credential {
    /// A service principal with a certificate.
    ClientCertificate {
        /// The directory (tenant) id.
        tenant: String,
        /// The application (client) id.
        client: String,
        /// The PKCS#12 file with the certificate and its RSA key.
        path: PathBuf,
        /// The file's password.
        password: ClientSecret,
    },
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
