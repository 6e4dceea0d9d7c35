//! What a stack is made of: plain values with defaults that need no file.

use std::path::PathBuf;

use clock::Clock;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::{Uuid, uuid};

use crate::etcd::EtcdConfig;
use crate::runtime::RuntimeDir;

/// What a stack is made of.
#[derive(Clone, Debug)]
pub struct StackConfig {
    /// Its etcd. The data directory in here is set by [`data_dir`](Self::data_dir).
    pub etcd: EtcdConfig,
    /// How the API server stores Secrets.
    pub encryption: EncryptionAtRest,
    /// Name of the vault, the first label of its host.
    pub vault: String,
    /// Name of the key in the vault.
    pub key: String,
    /// Size of the key.
    pub key_size: KeySize,
    /// The Entra tenant of vault and principals.
    pub tenant_id: Uuid,
    /// The Azure region that the vault's answers name.
    pub region: String,
    /// Ports on loopback.
    pub ports: Ports,
    /// Directory that keeps all state from one start to the next; without it the state goes with the stack.
    pub data_dir: Option<PathBuf>,
    /// A seed for the vault (YAML or JSON): vaults, keys, secrets, principals, roles, network rules, places. It is read each
    /// time that the vault starts.
    pub seed: Option<PathBuf>,
    /// A ready file beside the one in the stack's own directory.
    pub ready_file: Option<PathBuf>,
    /// Only Azure's side: the vault, the token endpoints and the gateway.
    pub vault_alone: bool,
    /// The stack's clock.
    pub clock: Clock,
    /// Where stacks of this user live while they run.
    pub runtime: RuntimeDir,
}

impl StackConfig {
    /// The stack that somebody gets who says nothing.
    pub fn new(runtime: RuntimeDir) -> Self {
        Self {
            etcd: EtcdConfig::default(),
            encryption: EncryptionAtRest::default(),
            vault: VAULT.to_owned(),
            key: KEY.to_owned(),
            key_size: KeySize::default(),
            tenant_id: TENANT_ID,
            region: REGION.to_owned(),
            ports: Ports::default(),
            data_dir: None,
            seed: None,
            ready_file: None,
            vault_alone: false,
            clock: Clock::new(),
            runtime,
        }
    }
}

/// How the API server stores Secrets.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EncryptionAtRest {
    /// KMS v2 through the plugin; values that were written without encryption stay readable, as on AKS.
    #[default]
    Kms,
    /// Not encrypted: what a cluster without a key service stores.
    None,
}

/// Size of an RSA key in bits.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(try_from = "u16", into = "u16")]
#[schemars(with = "u16", extend("enum" = [2048, 3072, 4096]))]
pub enum KeySize {
    /// 2048 bits, what AKS's own instructions make.
    #[default]
    Bits2048,
    /// 3072 bits.
    Bits3072,
    /// 4096 bits.
    Bits4096,
}

impl TryFrom<u16> for KeySize {
    type Error = String;

    fn try_from(bits: u16) -> Result<Self, String> {
        match bits {
            2048 => Ok(Self::Bits2048),
            3072 => Ok(Self::Bits3072),
            4096 => Ok(Self::Bits4096),
            _ => Err(format!("{bits} is no key size: 2048, 3072 or 4096")),
        }
    }
}

impl From<KeySize> for u16 {
    fn from(size: KeySize) -> Self {
        match size {
            KeySize::Bits2048 => 2048,
            KeySize::Bits3072 => 3072,
            KeySize::Bits4096 => 4096,
        }
    }
}

/// Ports on loopback; 0 is any that is free.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Ports {
    /// The API server.
    pub api_server: u16,
    /// The control door.
    pub control: u16,
    /// The gateway.
    pub gateway: u16,
    /// The managed-identity endpoint.
    pub identity: u16,
    /// The vault and the Entra ID token endpoint.
    pub vault: u16,
}

/// The tenant of every stack that says nothing else.
pub const TENANT_ID: Uuid = uuid!("11111111-1111-4111-8111-111111111111");
/// The service principal that may use the vaults: its application id.
pub const CLIENT_ID: Uuid = uuid!("22222222-2222-4222-8222-222222222222");
/// The same service principal's object id.
pub(crate) const OBJECT_ID: Uuid = uuid!("33333333-3333-4333-8333-333333333333");
/// The machine's own (system-assigned) identity.
pub(crate) const MACHINE_CLIENT_ID: Uuid = uuid!("44444444-4444-4444-8444-444444444444");
pub(crate) const MACHINE_OBJECT_ID: Uuid = uuid!("55555555-5555-4555-8555-555555555555");
/// Name of the KMS provider in the `EncryptionConfiguration`, as AKS has it.
pub(crate) const PROVIDER: &str = "azurekmsprovider";
/// The region where the AKS team lives, and any other would do.
const REGION: &str = "westeurope";
const VAULT: &str = "kyanite";
const KEY: &str = "kms";
