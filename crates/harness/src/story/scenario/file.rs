//! The shape of a scenario file, and the story it becomes.
//!
//! In the file a step is one object: narration, `expect`, `within`, and exactly one key that names an operation. Each
//! operation is an optional key of its own and not a variant of an enum, because a schema made of alternatives can only
//! say "matches none of twenty", while this one names the key that is wrong. [`Step`] is what the rest of the harness
//! sees: one operation, proven.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stack::EncryptionAtRest;

use super::expect::Expect;
use super::operation::{
    HealthPath, KeyIdHolder, KeyVersion, Metric, NewKeyVersion, Nothing, Operation, Part, SecretList, SecretName,
    SecretText, StoredSecret, VaultDecrypt, VaultEncrypt, VaultFault,
};
use super::words::Span;

/// One story, ready to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The file it was read from.
    pub file: PathBuf,
    /// The story's name: the file's name without its extension.
    pub name: String,
    /// What happens, in a few words.
    pub title: String,
    /// Why anybody should care, in one sentence.
    pub why: String,
    /// The documents that state the expected outcome, or `assumed`.
    pub sources: Vec<String>,
    /// The stack that the story needs.
    pub stack: StackSpec,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// What is done at the end in any case.
    pub finally: Vec<Step>,
}

/// One operation with what is told about it and what is expected of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The heading of the part of the story that starts here.
    pub chapter: Option<String>,
    /// What is done, in a few words.
    pub title: String,
    /// What a newcomer should know before it is done.
    pub say: Option<String>,
    /// What has just happened.
    pub explain: Option<String>,
    /// What a real AKS cluster shows at this point.
    pub on_aks: Option<String>,
    /// What is done.
    pub operation: Operation,
    /// What must come of it.
    pub expect: Expect,
    /// Repeat the reading until the expectation holds, for at most this long (real time).
    pub within: Option<Duration>,
}

/// The stack that a story needs.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct StackSpec {
    /// How the API server stores Secrets.
    pub encryption: EncryptionAtRest,
}

/// A story: one YAML file, one test. Replayed by `kyanite run`, checked by `kyanite check`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(title = "Kyanite scenario")]
pub(super) struct ScenarioFile {
    /// The story's name: the file's name without its extension.
    #[schemars(regex(pattern = r"^[a-z0-9]+(-[a-z0-9]+)*$"))]
    pub(super) name: String,
    /// What happens, in a few words.
    #[schemars(length(min = 1))]
    pub(super) title: String,
    /// Why anybody should care, in one sentence.
    #[schemars(length(min = 1))]
    pub(super) why: String,
    /// The documents that state the expected outcome, or `assumed`.
    #[schemars(length(min = 1), inner(length(min = 1)))]
    pub(super) sources: Vec<String>,
    /// The stack that the story needs.
    #[serde(default)]
    pub(super) stack: StackSpec,
    /// What is done, in order.
    #[schemars(length(min = 1))]
    pub(super) steps: Vec<StepFile>,
    /// What is done at the end in any case, also after a failure.
    #[serde(default)]
    pub(super) finally: Vec<StepFile>,
}

/// One step: exactly one operation, with what is told about it and what is expected of it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Step")]
pub(super) struct StepFile {
    /// Starts a new part of the story with this heading.
    #[schemars(length(min = 1))]
    pub(super) chapter: Option<String>,
    /// What is done, in a few words. Without it, the operation itself is shown.
    #[schemars(length(min = 1))]
    pub(super) title: Option<String>,
    /// What a newcomer should know before it is done. Paragraphs are separated by an empty line.
    #[schemars(length(min = 1))]
    pub(super) say: Option<String>,
    /// What has just happened, told after it is done.
    #[schemars(length(min = 1))]
    pub(super) explain: Option<String>,
    /// What a real AKS cluster shows at this point.
    #[schemars(length(min = 1))]
    pub(super) on_aks: Option<String>,
    /// The expected outcome. Without it, the operation must succeed.
    #[serde(default)]
    pub(super) expect: Expect,
    /// Repeats a reading until the expectation holds, for at most this long. Real time, not the stack's.
    pub(super) within: Option<Span>,

    /// Moves the stack's clock forward: key expiry, retention, the API server's three minutes and 24 hours pass at once.
    pub(super) advance_clock: Option<Span>,
    /// Asks one health path of the API server.
    pub(super) check_health: Option<HealthPath>,
    /// Ends every fault of the vault.
    pub(super) clear_faults: Option<Nothing>,
    /// Makes a new key under the name of the stack's key, which must be free.
    pub(super) create_key: Option<NewKeyVersion>,
    /// Creates a Secret through the Kubernetes API.
    pub(super) create_secret: Option<SecretText>,
    /// Deletes the stack's key from the vault, with all its versions. It stays recoverable (soft delete).
    pub(super) delete_key: Option<Nothing>,
    /// Deletes a Secret through the Kubernetes API.
    pub(super) delete_secret: Option<SecretName>,
    /// Disables one version of the stack's key.
    pub(super) disable_key_version: Option<KeyVersion>,
    /// Enables one version of the stack's key.
    pub(super) enable_key_version: Option<KeyVersion>,
    /// Reads one Secret through the Kubernetes API.
    pub(super) get_secret: Option<SecretName>,
    /// Makes the vault misbehave, until `clear-faults`.
    pub(super) inject_fault: Option<VaultFault>,
    /// Lists the Secrets of one namespace, or of all, through the Kubernetes API.
    pub(super) list_secrets: Option<SecretList>,
    /// Destroys the soft-deleted key. Nothing brings it back.
    pub(super) purge_key: Option<Nothing>,
    /// Asks which key version the plugin or the API server works with.
    pub(super) read_key_id: Option<KeyIdHolder>,
    /// Reads one sample of the API server's metrics.
    pub(super) read_metric: Option<Metric>,
    /// Reads, straight from etcd, the bytes stored for a Secret.
    pub(super) read_stored: Option<StoredSecret>,
    /// Takes the soft-deleted key back, with all its versions.
    pub(super) recover_key: Option<Nothing>,
    /// Replaces the data of a Secret through the Kubernetes API.
    pub(super) replace_secret: Option<SecretText>,
    /// Stops a part of the stack and starts it again. What it held in memory is gone.
    pub(super) restart: Option<Part>,
    /// Replaces every Secret by itself, as `kubectl get secrets -A -o json | kubectl replace -f -` does.
    pub(super) rewrite_secrets: Option<Nothing>,
    /// Makes a new version of the stack's key.
    pub(super) rotate_key: Option<NewKeyVersion>,
    /// Asks the vault directly to decrypt something seen earlier.
    pub(super) vault_decrypt: Option<VaultDecrypt>,
    /// Asks the vault directly to encrypt a text.
    pub(super) vault_encrypt: Option<VaultEncrypt>,
}

impl StepFile {
    /// The operations that the step names, and the rest of it. A good step names exactly one.
    pub(super) fn split(self) -> (Vec<Operation>, Told) {
        let Self {
            chapter,
            title,
            say,
            explain,
            on_aks,
            expect,
            within,
            advance_clock,
            check_health,
            clear_faults,
            create_key,
            create_secret,
            delete_key,
            delete_secret,
            disable_key_version,
            enable_key_version,
            get_secret,
            inject_fault,
            list_secrets,
            purge_key,
            read_key_id,
            read_metric,
            read_stored,
            recover_key,
            replace_secret,
            restart,
            rewrite_secrets,
            rotate_key,
            vault_decrypt,
            vault_encrypt,
        } = self;
        let operations = [
            advance_clock.map(Operation::AdvanceClock),
            check_health.map(Operation::CheckHealth),
            clear_faults.map(Operation::ClearFaults),
            create_key.map(Operation::CreateKey),
            create_secret.map(Operation::CreateSecret),
            delete_key.map(Operation::DeleteKey),
            delete_secret.map(Operation::DeleteSecret),
            disable_key_version.map(Operation::DisableKeyVersion),
            enable_key_version.map(Operation::EnableKeyVersion),
            get_secret.map(Operation::GetSecret),
            inject_fault.map(Operation::InjectFault),
            list_secrets.map(Operation::ListSecrets),
            purge_key.map(Operation::PurgeKey),
            read_key_id.map(Operation::ReadKeyId),
            read_metric.map(Operation::ReadMetric),
            read_stored.map(Operation::ReadStored),
            recover_key.map(Operation::RecoverKey),
            replace_secret.map(Operation::ReplaceSecret),
            restart.map(Operation::Restart),
            rewrite_secrets.map(Operation::RewriteSecrets),
            rotate_key.map(Operation::RotateKey),
            vault_decrypt.map(Operation::VaultDecrypt),
            vault_encrypt.map(Operation::VaultEncrypt),
        ];
        (operations.into_iter().flatten().collect(), Told { chapter, title, say, explain, on_aks, expect, within })
    }
}

/// A step without its operation.
pub(super) struct Told {
    chapter: Option<String>,
    title: Option<String>,
    say: Option<String>,
    explain: Option<String>,
    on_aks: Option<String>,
    expect: Expect,
    within: Option<Span>,
}

impl Told {
    /// The step that does `operation`.
    pub(super) fn step(self, operation: Operation) -> Step {
        Step {
            chapter: self.chapter,
            title: self.title.unwrap_or_else(|| operation.summary()),
            say: self.say,
            explain: self.explain,
            on_aks: self.on_aks,
            operation,
            expect: self.expect,
            within: self.within.map(Span::duration),
        }
    }
}
