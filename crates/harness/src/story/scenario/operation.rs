//! The vocabulary of a story: what one step can do, in the words of the domain.
//!
//! Operations reach the stack through its public wires: Secrets through the Kubernetes API, stored values through etcd,
//! the key through Key Vault's REST API (by way of the gateway, with a token), the plugin through its KMS socket, health
//! and metrics through the API server's HTTP paths. Only the clock, faults and restarts go through the control door, as
//! no real system offers them.
//!
//! An operation either changes something or reads something. What reads may be repeated: a step with `within` polls
//! until its expectation holds.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::expect::Expectation;
use super::words::{LookName, Span, VersionName};

/// What one step does. The variant's documentation is the documentation of the step's key in the file.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// `advance-clock`: moves the stack's clock.
    AdvanceClock(Span),
    /// `check-health`: asks one health path of the API server.
    CheckHealth(HealthPath),
    /// `clear-faults`: ends every fault of the vault.
    ClearFaults(Nothing),
    /// `create-key`: makes a key of the stack's name where there is none.
    CreateKey(NewKeyVersion),
    /// `create-secret`: creates a Secret.
    CreateSecret(SecretText),
    /// `delete-key`: soft-deletes the key with all its versions.
    DeleteKey(Nothing),
    /// `delete-secret`: deletes a Secret.
    DeleteSecret(SecretName),
    /// `disable-key-version`: sets `enabled` of one version to false.
    DisableKeyVersion(KeyVersion),
    /// `enable-key-version`: sets `enabled` of one version to true.
    EnableKeyVersion(KeyVersion),
    /// `get-secret`: reads one Secret.
    GetSecret(SecretName),
    /// `inject-fault`: makes the vault misbehave.
    InjectFault(VaultFault),
    /// `list-secrets`: lists the Secrets of one namespace or of all.
    ListSecrets(SecretList),
    /// `purge-key`: destroys the soft-deleted key for good.
    PurgeKey(Nothing),
    /// `read-key-id`: asks which key version the plugin or the API server works with.
    ReadKeyId(KeyIdHolder),
    /// `read-metric`: reads one sample of the API server's metrics.
    ReadMetric(Metric),
    /// `read-stored`: reads the bytes that etcd holds for a Secret.
    ReadStored(StoredSecret),
    /// `recover-key`: takes the soft-deleted key back.
    RecoverKey(Nothing),
    /// `replace-secret`: replaces the data of a Secret.
    ReplaceSecret(SecretText),
    /// `restart`: stops a part and starts it again.
    Restart(Part),
    /// `rewrite-secrets`: replaces every Secret by itself.
    RewriteSecrets(Nothing),
    /// `rotate-key`: makes a new version of the key.
    RotateKey(NewKeyVersion),
    /// `vault-decrypt`: asks the vault directly to decrypt.
    VaultDecrypt(VaultDecrypt),
    /// `vault-encrypt`: asks the vault directly to encrypt.
    VaultEncrypt(VaultEncrypt),
}

impl Operation {
    /// The step's key in the file.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::AdvanceClock(_) => "advance-clock",
            Self::CheckHealth(_) => "check-health",
            Self::ClearFaults(_) => "clear-faults",
            Self::CreateKey(_) => "create-key",
            Self::CreateSecret(_) => "create-secret",
            Self::DeleteKey(_) => "delete-key",
            Self::DeleteSecret(_) => "delete-secret",
            Self::DisableKeyVersion(_) => "disable-key-version",
            Self::EnableKeyVersion(_) => "enable-key-version",
            Self::GetSecret(_) => "get-secret",
            Self::InjectFault(_) => "inject-fault",
            Self::ListSecrets(_) => "list-secrets",
            Self::PurgeKey(_) => "purge-key",
            Self::ReadKeyId(_) => "read-key-id",
            Self::ReadMetric(_) => "read-metric",
            Self::ReadStored(_) => "read-stored",
            Self::RecoverKey(_) => "recover-key",
            Self::ReplaceSecret(_) => "replace-secret",
            Self::Restart(_) => "restart",
            Self::RewriteSecrets(_) => "rewrite-secrets",
            Self::RotateKey(_) => "rotate-key",
            Self::VaultDecrypt(_) => "vault-decrypt",
            Self::VaultEncrypt(_) => "vault-encrypt",
        }
    }

    /// The operation on one line, for a step without a title.
    pub fn summary(&self) -> String {
        let object = match self {
            Self::AdvanceClock(by) => by.to_string(),
            Self::CheckHealth(path) => path.path.clone(),
            Self::CreateSecret(secret) | Self::ReplaceSecret(secret) => format!("{}/{}", secret.namespace, secret.name),
            Self::DeleteSecret(secret) | Self::GetSecret(secret) => format!("{}/{}", secret.namespace, secret.name),
            Self::ReadStored(secret) => format!("{}/{}", secret.namespace, secret.name),
            Self::DisableKeyVersion(key) | Self::EnableKeyVersion(key) => key.version.to_string(),
            Self::ListSecrets(list) => list.namespace.clone().unwrap_or_else(|| "all namespaces".to_owned()),
            Self::ReadKeyId(holder) => format!("of the {}", holder.of),
            Self::ReadMetric(metric) => metric.name.clone(),
            Self::Restart(part) => part.to_string(),
            Self::CreateKey(key) | Self::RotateKey(key) => key.version.to_string(),
            Self::VaultDecrypt(decrypt) => decrypt.of.to_string(),
            Self::VaultEncrypt(encrypt) => format!("with {}", encrypt.version),
            Self::InjectFault(fault) => fault.to_string(),
            Self::ClearFaults(_)
            | Self::DeleteKey(_)
            | Self::PurgeKey(_)
            | Self::RecoverKey(_)
            | Self::RewriteSecrets(_) => String::new(),
        };
        format!("{} {object}", self.verb()).trim_end().to_owned()
    }

    /// Whether the operation only reads, so that a step may repeat it with `within`.
    pub(crate) fn reads(&self) -> bool {
        matches!(
            self,
            Self::CheckHealth(_)
                | Self::GetSecret(_)
                | Self::ListSecrets(_)
                | Self::ReadKeyId(_)
                | Self::ReadMetric(_)
                | Self::ReadStored(_)
                | Self::VaultDecrypt(_)
        )
    }

    /// Whether the operation needs a stack that encrypts with a KMS.
    pub(crate) fn needs_kms(&self) -> bool {
        matches!(self, Self::ReadKeyId(_) | Self::Restart(Part::Plugin))
    }

    /// What this operation's outcome has, apart from a failure: the keys of `expect` that can be met.
    pub(crate) fn outcome(&self) -> &'static [Expectation] {
        use Expectation::{
            Body, DiffersFrom, Holds, KeyVersion, Lacks, Names, Plaintext, Prefix, Rewritten, SameAs, Stale, Status,
            Text, Untouched, Value,
        };
        match self {
            Self::AdvanceClock(_)
            | Self::ClearFaults(_)
            | Self::CreateKey(_)
            | Self::CreateSecret(_)
            | Self::DeleteKey(_)
            | Self::DeleteSecret(_)
            | Self::DisableKeyVersion(_)
            | Self::EnableKeyVersion(_)
            | Self::InjectFault(_)
            | Self::PurgeKey(_)
            | Self::RecoverKey(_)
            | Self::ReplaceSecret(_)
            | Self::Restart(_)
            | Self::RotateKey(_)
            | Self::VaultEncrypt(_) => &[],
            Self::CheckHealth(_) => &[Status, Body],
            Self::GetSecret(_) => &[Text],
            Self::ListSecrets(_) => &[Names],
            Self::ReadKeyId(_) => &[KeyVersion],
            Self::ReadMetric(_) => &[Value, SameAs, DiffersFrom],
            Self::ReadStored(_) => &[Prefix, Holds, Lacks, KeyVersion, Stale, SameAs, DiffersFrom],
            Self::RewriteSecrets(_) => &[Rewritten, Untouched],
            Self::VaultDecrypt(_) => &[Plaintext],
        }
    }
}

/// An operation without arguments, written `{}`.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Names one Secret.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SecretName {
    /// The Secret's name.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"), length(max = 253))]
    pub name: String,
    /// The Secret's namespace.
    #[serde(default = "default_namespace")]
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(max = 63))]
    pub namespace: String,
}

/// A Secret with its data as text. The text is what a client sees, not its base64.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SecretText {
    /// The Secret's name.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"), length(max = 253))]
    pub name: String,
    /// The Secret's namespace.
    #[serde(default = "default_namespace")]
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(max = 63))]
    pub namespace: String,
    /// The Secret's data: key to text.
    #[schemars(extend("propertyNames" = {"pattern": "^[-._a-zA-Z0-9]+$", "maxLength": 253}))]
    pub text: BTreeMap<String, String>,
}

/// Which Secrets to list.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SecretList {
    /// The namespace; without it, all of them.
    #[serde(default)]
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(max = 63))]
    pub namespace: Option<String>,
}

/// The stored bytes of one Secret.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StoredSecret {
    /// The Secret's name.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"), length(max = 253))]
    pub name: String,
    /// The Secret's namespace.
    #[serde(default = "default_namespace")]
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(max = 63))]
    pub namespace: String,
    /// A name for what is seen, for `same-as`, `differs-from` and `vault-decrypt` in later steps.
    #[serde(default, rename = "as")]
    pub look: Option<LookName>,
}

/// The new version that a rotation or a new key makes.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NewKeyVersion {
    /// What the story calls the new version.
    pub version: VersionName,
}

/// Names one version of the stack's key.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct KeyVersion {
    /// `first`, or a name that an earlier `rotate-key` gave.
    pub version: VersionName,
}

/// Text to encrypt in the vault.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct VaultEncrypt {
    /// The key version to encrypt with.
    pub version: VersionName,
    /// The text. RSA-OAEP-256 with a key of 2048 bits takes at most 190 bytes.
    #[schemars(length(min = 1, max = 190))]
    pub text: String,
    /// A name for the ciphertext, for a later `vault-decrypt`.
    #[serde(default, rename = "as")]
    pub look: Option<LookName>,
}

/// Something seen earlier to decrypt in the vault, with the key version that it was encrypted with.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct VaultDecrypt {
    /// The name of a `vault-encrypt`, or of a `read-stored`: then the encrypted DEK source of the stored value.
    pub of: LookName,
}

/// Who is asked for the key in use.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct KeyIdHolder {
    /// `plugin`: the key id of its Status. `api-server`: the key id it last took over, from its metrics, once its
    /// health check has confirmed it.
    pub of: Part,
}

/// One health path of the API server.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HealthPath {
    /// The path with its query, such as `/readyz?verbose` or `/healthz/kms-providers`.
    #[schemars(regex(pattern = r"^/(healthz|livez|readyz)([/?][-/?=&_a-z0-9]*)?$"))]
    pub path: String,
}

/// One sample of the API server's `/metrics`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Metric {
    /// The metric's full name, such as `apiserver_storage_transformation_operations_total`.
    #[schemars(regex(pattern = r"^[a-zA-Z_:][a-zA-Z0-9_:]*$"))]
    pub name: String,
    /// Labels that the samples must carry; their values are summed. A sample that is not there counts as 0.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// A name for the value, for `same-as` and `differs-from` in later steps.
    #[serde(default, rename = "as")]
    pub look: Option<LookName>,
}

/// A way in which the vault misbehaves until `clear-faults`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct VaultFault {
    /// Which requests it strikes.
    #[serde(default)]
    pub on: FaultTarget,
    /// What it does to them.
    pub effect: FaultEffect,
    /// How many requests it strikes; without it, all of them.
    #[serde(default)]
    pub times: Option<NonZeroU32>,
}

/// Which requests a fault strikes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultTarget {
    /// Decryptions.
    Decrypt,
    /// Encryptions.
    Encrypt,
    /// Every request, those for tokens among them.
    #[default]
    Everything,
    /// Requests for tokens.
    Identity,
}

/// What a fault does to a request.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultEffect {
    /// Answers late, by this much real time.
    Delay(Span),
    /// Closes the connection without an answer.
    Drop,
    /// Does not answer.
    Hang,
    /// Refuses with this HTTP status.
    Refuse(#[schemars(range(min = 400, max = 599))] u16),
}

impl fmt::Display for VaultFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = match self.on {
            FaultTarget::Decrypt => "decrypt",
            FaultTarget::Encrypt => "encrypt",
            FaultTarget::Everything => "everything",
            FaultTarget::Identity => "identity",
        };
        match &self.effect {
            FaultEffect::Delay(by) => write!(f, "on {target}: delay by {by}"),
            FaultEffect::Drop => write!(f, "on {target}: drop the connection"),
            FaultEffect::Hang => write!(f, "on {target}: hang"),
            FaultEffect::Refuse(status) => write!(f, "on {target}: refuse with {status}"),
        }
    }
}

/// A part of the stack that can be restarted alone.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The API server. What it held in memory, the decrypted seeds above all, is gone.
    ApiServer,
    /// The KMS plugin.
    Plugin,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ApiServer => "API server",
            Self::Plugin => "plugin",
        })
    }
}

fn default_namespace() -> String {
    "default".to_owned()
}
