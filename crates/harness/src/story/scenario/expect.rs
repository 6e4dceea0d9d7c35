//! What a step expects of its operation.
//!
//! A step without `expect` must succeed. Every key that is given must hold; which keys an operation can meet at all is
//! [`Operation::outcome`](super::Operation), and asking for another is a mistake in the file.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::words::{LookName, VersionName};

/// The expected outcome of one step.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Expect {
    /// The operation is refused, in this way. Excludes every other key.
    pub failure: Option<Failure>,
    /// `get-secret`: the Secret's data, key to text, exactly.
    pub text: Option<BTreeMap<String, String>>,
    /// `list-secrets`: the Secrets listed, as `namespace/name`, in any order, and no others.
    pub names: Option<Vec<String>>,
    /// `rewrite-secrets`: how many Secrets were stored anew.
    pub rewritten: Option<u32>,
    /// `rewrite-secrets`: how many Secrets were left as they were.
    pub untouched: Option<u32>,
    /// `read-stored`: the text that the stored bytes start with.
    #[schemars(length(min = 1))]
    pub prefix: Option<String>,
    /// `read-stored`: texts whose bytes occur in the stored bytes.
    #[schemars(inner(length(min = 1)))]
    pub holds: Vec<String>,
    /// `read-stored`: texts whose bytes occur nowhere in the stored bytes, neither as they are nor as base64.
    #[schemars(inner(length(min = 1)))]
    pub lacks: Vec<String>,
    /// `read-stored`: the key version that the stored key id names. `read-key-id`: the key version in use.
    pub key_version: Option<VersionName>,
    /// `read-stored`: whether the stored key id differs from the plugin's, so that a rewrite would move the value.
    pub stale: Option<bool>,
    /// `read-stored`, `read-metric`: what is seen is the same as an earlier look, to the byte.
    pub same_as: Option<LookName>,
    /// `read-stored`, `read-metric`: what is seen differs from an earlier look.
    pub differs_from: Option<LookName>,
    /// `check-health`: the HTTP status. Without it, 200.
    #[schemars(range(min = 100, max = 599))]
    pub status: Option<u16>,
    /// `check-health`: fragments that the answer contains, in this order.
    #[schemars(inner(length(min = 1)))]
    pub body: Vec<String>,
    /// `read-metric`: the value.
    pub value: Option<f64>,
    /// `vault-decrypt`: the decrypted text.
    pub plaintext: Option<String>,
}

impl Expect {
    /// The keys that are given, without `failure`.
    pub(crate) fn given(&self) -> Vec<Expectation> {
        use Expectation as Key;
        let Self {
            failure: _,
            text,
            names,
            rewritten,
            untouched,
            prefix,
            holds,
            lacks,
            key_version,
            stale,
            same_as,
            differs_from,
            status,
            body,
            value,
            plaintext,
        } = self;
        [
            (text.is_some(), Key::Text),
            (names.is_some(), Key::Names),
            (rewritten.is_some(), Key::Rewritten),
            (untouched.is_some(), Key::Untouched),
            (prefix.is_some(), Key::Prefix),
            (!holds.is_empty(), Key::Holds),
            (!lacks.is_empty(), Key::Lacks),
            (key_version.is_some(), Key::KeyVersion),
            (stale.is_some(), Key::Stale),
            (same_as.is_some(), Key::SameAs),
            (differs_from.is_some(), Key::DiffersFrom),
            (status.is_some(), Key::Status),
            (!body.is_empty(), Key::Body),
            (value.is_some(), Key::Value),
            (plaintext.is_some(), Key::Plaintext),
        ]
        .into_iter()
        .filter_map(|(given, key)| given.then_some(key))
        .collect()
    }
}

/// One key of `expect`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Expectation {
    Body,
    DiffersFrom,
    Holds,
    KeyVersion,
    Lacks,
    Names,
    Plaintext,
    Prefix,
    Rewritten,
    SameAs,
    Stale,
    Status,
    Text,
    Untouched,
    Value,
}

impl Expectation {
    /// The key as the file writes it.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::DiffersFrom => "differs-from",
            Self::Holds => "holds",
            Self::KeyVersion => "key-version",
            Self::Lacks => "lacks",
            Self::Names => "names",
            Self::Plaintext => "plaintext",
            Self::Prefix => "prefix",
            Self::Rewritten => "rewritten",
            Self::SameAs => "same-as",
            Self::Stale => "stale",
            Self::Status => "status",
            Self::Text => "text",
            Self::Untouched => "untouched",
            Self::Value => "value",
        }
    }

    /// Whether only a value that a KMS encrypted can meet it.
    pub(crate) fn needs_kms(self) -> bool {
        matches!(self, Self::KeyVersion | Self::Stale)
    }
}

/// A refusal that a step expects: by class, and where the real text is known, by code and text.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Failure {
    /// The kind of failure.
    pub class: FailureClass,
    /// The peer's own code: the `reason` of a Kubernetes Status, or Key Vault's innermost error code.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub code: Option<String>,
    /// Fragments that the peer's text contains, in this order.
    #[serde(default)]
    #[schemars(inner(length(min = 1)))]
    pub message: Vec<String>,
}

/// What kind of failure it is, whoever reports it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureClass {
    /// The object exists in a state that forbids the operation: HTTP 409.
    Conflict,
    /// The caller, or the state of the key, does not permit it: HTTP 401 and 403.
    Denied,
    /// The server failed while serving the request: HTTP 500.
    Internal,
    /// The request itself is wrong: HTTP 400, 405, 413, 415 and 422.
    Invalid,
    /// The object does not exist, or not any more: HTTP 404.
    NotFound,
    /// The server asks to come back later: HTTP 429.
    Throttled,
    /// Nothing answers, or a part behind the server does not: no connection, HTTP 502, 503 and 504.
    Unavailable,
}

impl FailureClass {
    /// The class of an HTTP status that is not a success. What has no class of its own is the server's failure.
    pub fn of_status(status: u16) -> Self {
        match status {
            401 | 403 => Self::Denied,
            404 => Self::NotFound,
            409 => Self::Conflict,
            429 => Self::Throttled,
            502..=504 => Self::Unavailable,
            400..=499 => Self::Invalid,
            _ => Self::Internal,
        }
    }
}

impl std::fmt::Display for FailureClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Conflict => "conflict",
            Self::Denied => "denied",
            Self::Internal => "internal",
            Self::Invalid => "invalid",
            Self::NotFound => "not-found",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
        })
    }
}
