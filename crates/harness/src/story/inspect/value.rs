//! One stored value, as far as it can be known.

use envelope::ProviderName;
use schemars::JsonSchema;
use serde::Serialize;

use crate::ready::ReadyFile;
use crate::story::runner::kms_v2_record;
use crate::story::wire::{Ciphertext, KeyIds, StoredValue, VersionState, Wires};

use super::error::InspectError;
use super::open::open;
use super::part::PartView;

/// A stored value with every byte named. The JSON output is this, as `schemas/inspect.json` describes it.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(title = "Kyanite inspection")]
pub struct Inspection {
    /// The key in etcd; absent for bytes from a file.
    pub key: Option<String>,
    /// The revision that wrote it: Kubernetes' `resourceVersion`. Absent for bytes from a file.
    pub revision: Option<i64>,
    /// How many bytes are stored.
    pub size_bytes: usize,
    /// How it is sealed.
    pub sealing: Sealing,
    /// Every byte, in order.
    pub parts: Vec<PartView>,
    /// What is inside, if it could be opened; absent for a value that is not sealed.
    pub opened: Option<Opened>,
}

/// How a value is sealed.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum Sealing {
    /// By a KMS v2 provider.
    KmsV2 {
        /// The provider's name.
        provider: String,
        /// The stored key id.
        key_id: String,
        /// Where the key id comes from; absent without a stack.
        trace: Option<KeyTrace>,
    },
    /// Not at all.
    None,
    /// By another provider, or damaged so that nothing can be said.
    Unknown,
}

/// Where a key id comes from.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct KeyTrace {
    /// URL of the key version that it stands for; absent if it is none that the vault shows.
    pub version: Option<String>,
    /// Its place among the versions of its key, from 1.
    pub number: Option<usize>,
    /// How many versions its key has; if it is of none, how many versions the vault shows in all.
    pub versions: usize,
    /// Whether the version is enabled.
    pub enabled: Option<bool>,
    /// Whether the plugin names another key id now; absent if the plugin does not say.
    pub stale: Option<bool>,
}

/// The result of opening a sealed value.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum Opened {
    /// It cannot be opened.
    No {
        /// Why not.
        reason: String,
    },
    /// It has been opened.
    Yes {
        /// How many bytes are inside.
        size_bytes: usize,
        /// Every byte, in order.
        parts: Vec<PartView>,
    },
}

impl Inspection {
    /// Bytes on their own, without a stack.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self {
            key: None,
            revision: None,
            size_bytes: bytes.len(),
            sealing: Sealing::of(bytes),
            parts: PartView::all(bytes),
            opened: None,
        }
    }

    /// Bytes from a file, without a stack. `etcdctl` ends what it prints with a line break; where the value is whole
    /// without it, the line break is not taken for a byte of the value.
    pub fn of_printed(bytes: &[u8]) -> Self {
        match bytes.strip_suffix(b"\n") {
            Some(value) if is_whole(value) && !is_whole(bytes) => Self::of_bytes(value),
            _ => Self::of_bytes(bytes),
        }
    }

    /// A Secret of a running stack, whose API server stores everything under `etcd_prefix`: read from etcd, traced in the vault, and opened with the seed that the vault
    /// decrypts.
    ///
    /// # Errors
    ///
    /// [`InspectError`] if the stack cannot be reached or has no such Secret. A value that cannot be opened is no error.
    pub async fn of_secret(
        ready: &ReadyFile,
        etcd_prefix: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Self, InspectError> {
        let wires = Wires::new(ready, etcd_prefix).await?;
        let read = wires.etcd.read(&wires.etcd.secret_key(namespace, name)).await;
        let value = read.map_err(|refusal| InspectError::of_read(namespace, name, &refusal))?;
        let mut inspection = Self::of_bytes(&value.bytes);
        (inspection.key, inspection.revision) = (Some(value.key.clone()), Some(value.mod_revision));
        if let Sealing::KmsV2 { key_id, trace, .. } = &mut inspection.sealing {
            let versions = wires.vault.all_versions().await.unwrap_or_default();
            let found = trace_of(key_id, &wires, &versions).await;
            inspection.opened = Some(opened(&value, found.version.as_deref(), &wires).await);
            *trace = Some(found);
        }
        Ok(inspection)
    }
}

impl Sealing {
    fn of(bytes: &[u8]) -> Self {
        match (kms_v2_record(bytes), ProviderName::of_stored(bytes)) {
            (Some(record), Some((provider, _))) => {
                Self::KmsV2 { provider: provider.to_string(), key_id: record.key_id().as_str().to_owned(), trace: None }
            }
            _ if bytes.starts_with(b"k8s:enc:") => Self::Unknown,
            _ => Self::None,
        }
    }
}

async fn trace_of(key_id: &str, wires: &Wires, shown: &[VersionState]) -> KeyTrace {
    let ids = KeyIds::new(shown.iter().map(|version| version.url.as_str()));
    let found = ids.url(key_id).and_then(|url| shown.iter().find(|version| version.url == url));
    let siblings: Vec<_> = match found {
        Some(found) => shown.iter().filter(|version| version.key_url() == found.key_url()).collect(),
        None => shown.iter().collect(),
    };
    let status = match &wires.plugin {
        Some(plugin) => plugin.status().await.ok(),
        None => None,
    };
    KeyTrace {
        version: found.map(|version| version.url.clone()),
        number: siblings.iter().position(|version| Some(*version) == found).map(|at| at + 1),
        versions: siblings.len(),
        enabled: found.map(|version| version.enabled),
        stale: status.map(|status| status.key_id != key_id),
    }
}

async fn opened(value: &StoredValue, version: Option<&str>, wires: &Wires) -> Opened {
    let no = |reason: String| Opened::No { reason };
    let Some(record) = kms_v2_record(&value.bytes) else { return no("it is no KMS v2 record".to_owned()) };
    let Some(version) = version else {
        return no("the vault has no key version of this key id".to_owned());
    };
    let ciphertext = Ciphertext {
        version_url: version.to_owned(),
        value: String::from_utf8_lossy(record.encrypted_dek_source().as_bytes()).into_owned(),
    };
    let seed = match wires.vault.decrypt(&ciphertext).await {
        Ok(seed) => seed,
        Err(refusal) => return no(format!("the vault does not decrypt the seed: {refusal}")),
    };
    match open(&record, &seed, &value.key) {
        Some(plain) => Opened::Yes { size_bytes: plain.len(), parts: PartView::all(&plain) },
        None => no("the seed does not open it: bytes were changed, or moved from another key".to_owned()),
    }
}

/// Whether nothing is missing at the end and nothing is there too much. kube-apiserver ends every object in protobuf
/// with an empty `contentEncoding` and an empty `contentType`.
fn is_whole(bytes: &[u8]) -> bool {
    kms_v2_record(bytes).is_some() || (bytes.starts_with(b"k8s\0") && bytes.ends_with(&[0x1a, 0, 0x22, 0]))
}
