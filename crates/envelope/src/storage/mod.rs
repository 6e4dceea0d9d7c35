//! Objects as kube-apiserver stores them: `k8s\0` and protobuf.
//!
//! The structs are plain data with one field per protobuf field, so that a caller can go from and to the JSON shapes of
//! `k8s-openapi`. Scalars that gogo-protobuf writes even when they are empty are proto2 `required` here; pointers are
//! `Option`. Maps are lists of entries sorted by key, because the value of an entry may be there and empty (`12 00`).
//!
//! k8s-pb has these types too, but as proto2 `optional` throughout with hash maps: it cannot tell a scalar that upstream
//! always writes from one it leaves out, so it cannot give back the same bytes.
//!
//! Sources: `generated.proto` of `k8s.io/api/core/v1` and of `k8s.io/apimachinery`, and `generated.pb.go` beside them for
//! what is written when.

mod config_map;
mod entry;
mod meta;
mod namespace;
mod secret;
mod time;
mod unknown;

pub use config_map::ConfigMap;
pub use entry::{BytesEntry, StringEntry, bytes_entries, string_entries};
pub use meta::{FieldsV1, ManagedFieldsEntry, ObjectMeta, OwnerReference};
pub use namespace::{Namespace, NamespaceCondition, NamespaceSpec, NamespaceStatus};
pub use secret::Secret;
pub use time::Time;
pub use unknown::{Kind, StorageError, StoredObject, TypeMeta, Unknown, decode, decode_any, encode};

pub(crate) use unknown::{MAGIC, kind_of};
