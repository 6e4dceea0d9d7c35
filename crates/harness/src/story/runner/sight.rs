//! What a step saw, ready to be compared with what its story expects.

use std::collections::BTreeMap;

use envelope::{EncryptedObject, ProviderName};

use crate::story::scenario::LookName;
use crate::story::wire::{Ciphertext, Refusal, StoredValue};

/// What became of an operation.
pub(super) type Outcome = Result<Sight, Refusal>;

/// What a successful operation saw, with lines to tell it by.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sight {
    pub(super) lines: Vec<String>,
    pub(super) seen: Seen,
}

impl Sight {
    pub(super) fn new(lines: Vec<String>, seen: Seen) -> Self {
        Self { lines, seen }
    }

    /// Of an operation that changes something and shows nothing.
    pub(super) fn done(line: impl Into<String>) -> Self {
        Self { lines: vec![line.into()], seen: Seen::Nothing }
    }
}

/// The thing seen.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Seen {
    /// A ciphertext that the vault made.
    Ciphertext(Ciphertext),
    /// Status and text of a health path.
    Health {
        status: u16,
        body: String,
    },
    /// The key version in use, by its name in the story if it has one.
    KeyVersion(String),
    /// Names of Secrets, `namespace/name`, sorted.
    Names(Vec<String>),
    /// The operation shows nothing.
    Nothing,
    /// A value of a metric.
    Metric(f64),
    /// What the vault decrypted.
    Plaintext(Vec<u8>),
    /// How many Secrets were stored anew, and how many were not.
    Rewrite {
        rewritten: usize,
        untouched: usize,
    },
    Stored(StoredSight),
    /// Data of a Secret.
    Text(BTreeMap<String, Vec<u8>>),
}

/// A stored value with what can be told of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StoredSight {
    pub(super) value: StoredValue,
    /// The key version that its key id names, by its name in the story; absent if the value is not encrypted by KMS v2.
    pub(super) key_version: Option<String>,
    /// Whether its key id differs from the plugin's; absent where there is none to compare.
    pub(super) stale: Option<bool>,
}

/// What earlier steps have seen and named.
pub(super) type Looks = BTreeMap<LookName, Seen>;

/// The record behind a KMS v2 prefix; `None` if `bytes` is no such value.
pub(crate) fn kms_v2_record(bytes: &[u8]) -> Option<EncryptedObject> {
    let (_, record) = ProviderName::of_stored(bytes)?;
    EncryptedObject::decode(record).ok()
}
