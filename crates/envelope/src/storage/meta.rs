//! `ObjectMeta` and what it is made of.

use super::entry::StringEntry;
use super::time::Time;

/// Metadata of an object. The first eight fields are always written.
#[derive(Clone, Eq, PartialEq, prost::Message)]
pub struct ObjectMeta {
    /// The name.
    #[prost(string, required, tag = "1")]
    pub name: String,
    /// The prefix from which the server made the name.
    #[prost(string, required, tag = "2")]
    pub generate_name: String,
    /// The namespace.
    #[prost(string, required, tag = "3")]
    pub namespace: String,
    /// Empty since Kubernetes 1.20.
    #[prost(string, required, tag = "4")]
    pub self_link: String,
    /// The UUID.
    #[prost(string, required, tag = "5")]
    pub uid: String,
    /// Always empty in storage: it is etcd's revision.
    #[prost(string, required, tag = "6")]
    pub resource_version: String,
    /// How often the desired state has changed; 0 where nobody counts.
    #[prost(int64, required, tag = "7")]
    pub generation: i64,
    /// When it was created.
    #[prost(message, required, tag = "8")]
    pub creation_timestamp: Time,
    /// When its deletion was asked for.
    #[prost(message, optional, tag = "9")]
    pub deletion_timestamp: Option<Time>,
    /// How long its deletion may take.
    #[prost(int64, optional, tag = "10")]
    pub deletion_grace_period_seconds: Option<i64>,
    /// Labels, sorted by key.
    #[prost(message, repeated, tag = "11")]
    pub labels: Vec<StringEntry>,
    /// Annotations, sorted by key.
    #[prost(message, repeated, tag = "12")]
    pub annotations: Vec<StringEntry>,
    /// Owners.
    #[prost(message, repeated, tag = "13")]
    pub owner_references: Vec<OwnerReference>,
    /// Finalizers.
    #[prost(string, repeated, tag = "14")]
    pub finalizers: Vec<String>,
    /// Who manages which field. (15 was `clusterName`, 16 `initializers`: skipped on read.)
    #[prost(message, repeated, tag = "17")]
    pub managed_fields: Vec<ManagedFieldsEntry>,
}

/// An owner of an object.
#[derive(Clone, Eq, PartialEq, prost::Message)]
pub struct OwnerReference {
    /// Its kind.
    #[prost(string, required, tag = "1")]
    pub kind: String,
    /// Its name.
    #[prost(string, required, tag = "3")]
    pub name: String,
    /// Its UUID.
    #[prost(string, required, tag = "4")]
    pub uid: String,
    /// Its API version.
    #[prost(string, required, tag = "5")]
    pub api_version: String,
    /// Whether it is the managing controller.
    #[prost(bool, optional, tag = "6")]
    pub controller: Option<bool>,
    /// Whether its deletion waits for this object.
    #[prost(bool, optional, tag = "7")]
    pub block_owner_deletion: Option<bool>,
}

/// The fields that one manager manages.
#[derive(Clone, Eq, PartialEq, prost::Message)]
pub struct ManagedFieldsEntry {
    /// The manager's name.
    #[prost(string, required, tag = "1")]
    pub manager: String,
    /// `Apply` or `Update`.
    #[prost(string, required, tag = "2")]
    pub operation: String,
    /// The API version it spoke.
    #[prost(string, required, tag = "3")]
    pub api_version: String,
    /// When.
    #[prost(message, optional, tag = "4")]
    pub time: Option<Time>,
    /// `FieldsV1`.
    #[prost(string, required, tag = "6")]
    pub fields_type: String,
    /// Which fields.
    #[prost(message, optional, tag = "7")]
    pub fields_v1: Option<FieldsV1>,
    /// The subresource it wrote to; empty for the object itself.
    #[prost(string, required, tag = "8")]
    pub subresource: String,
}

/// A set of fields, as JSON.
#[derive(Clone, Eq, PartialEq, prost::Message)]
pub struct FieldsV1 {
    /// The JSON text.
    #[prost(bytes = "vec", optional, tag = "1")]
    pub raw: Option<Vec<u8>>,
}
