//! `v1.Namespace`.

use super::meta::ObjectMeta;
use super::time::Time;
use super::unknown::Kind;

/// A Namespace.
#[derive(Clone, Eq, PartialEq, prost::Message)]
pub struct Namespace {
    /// Metadata; always written.
    #[prost(message, required, tag = "1")]
    pub metadata: ObjectMeta,
    /// What is wanted; always written.
    #[prost(message, required, tag = "2")]
    pub spec: NamespaceSpec,
    /// What is; always written.
    #[prost(message, required, tag = "3")]
    pub status: NamespaceStatus,
}

impl Kind for Namespace {
    const KIND: &'static str = "Namespace";
}

/// What is wanted of a Namespace.
#[derive(Clone, Eq, PartialEq, prost::Message)]
pub struct NamespaceSpec {
    /// Who must agree before it is gone; `kubernetes` for all that the server creates.
    #[prost(string, repeated, tag = "1")]
    pub finalizers: Vec<String>,
}

/// The state of a Namespace.
#[derive(Clone, Eq, PartialEq, prost::Message)]
pub struct NamespaceStatus {
    /// `Active` or `Terminating`; always written.
    #[prost(string, required, tag = "1")]
    pub phase: String,
    /// What holds up its deletion.
    #[prost(message, repeated, tag = "2")]
    pub conditions: Vec<NamespaceCondition>,
}

/// One condition of a Namespace.
#[derive(Clone, Eq, PartialEq, prost::Message)]
pub struct NamespaceCondition {
    /// Its type.
    #[prost(string, required, tag = "1")]
    pub r#type: String,
    /// `True`, `False` or `Unknown`.
    #[prost(string, required, tag = "2")]
    pub status: String,
    /// When it last changed; always written.
    #[prost(message, required, tag = "4")]
    pub last_transition_time: Time,
    /// Why, as one word.
    #[prost(string, required, tag = "5")]
    pub reason: String,
    /// Why, as a sentence.
    #[prost(string, required, tag = "6")]
    pub message: String,
}
