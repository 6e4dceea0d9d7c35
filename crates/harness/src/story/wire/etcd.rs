//! etcd, past the API server: the stored bytes as they are.

use std::time::Duration;

use etcd_client::{Client, ConnectOptions, DeleteOptions, GetOptions, KeyValue, SortOrder, SortTarget};

use crate::ready::ReadyFile;

use super::{Refusal, WireError};

/// A client of a stack's etcd.
#[derive(Clone)]
pub(crate) struct Etcd {
    client: Client,
    prefix: String,
}

impl std::fmt::Debug for Etcd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Etcd").finish_non_exhaustive()
    }
}

/// One key with its value, as etcd holds it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct StoredValue {
    /// The full key, `/registry/secrets/{namespace}/{name}`.
    pub(crate) key: String,
    /// The bytes.
    pub(crate) bytes: Vec<u8>,
    /// The revision that wrote them: what Kubernetes shows as `resourceVersion`.
    pub(crate) mod_revision: i64,
}

impl Etcd {
    /// A client for the endpoints of the ready file, on which the API server stores everything under `prefix`.
    pub(crate) async fn new(ready: &ReadyFile, prefix: &str) -> Result<Self, WireError> {
        if ready.etcd.is_empty() {
            return Err(WireError::Missing { part: "etcd", field: "etcd" });
        }
        let options = ConnectOptions::new().with_timeout(TIMEOUT).with_connect_timeout(TIMEOUT);
        match Client::connect(&ready.etcd, Some(options)).await {
            Ok(client) => Ok(Self { client, prefix: prefix.trim_end_matches('/').to_owned() }),
            Err(source) => {
                Err(WireError::Address { part: "etcd", address: ready.etcd.join(","), source: source.into() })
            }
        }
    }

    /// The key under which the API server stores a Secret.
    pub(crate) fn secret_key(&self, namespace: &str, name: &str) -> String {
        format!("{}/secrets/{namespace}/{name}", self.prefix)
    }

    /// Whether the API server stores a Secret under this key.
    pub(crate) fn is_secret_key(&self, key: &str) -> bool {
        key.strip_prefix(&self.prefix).is_some_and(|rest| rest.starts_with("/secrets/"))
    }

    /// The value of a key.
    pub(crate) async fn read(&self, key: &str) -> Result<StoredValue, Refusal> {
        let mut response =
            self.client.kv_client().get(key, None).await.map_err(|error| Refusal::unavailable(&error))?;
        let value = response.take_kvs().into_iter().next();
        value.as_ref().map(stored).ok_or_else(|| Refusal::not_found(format!("etcd has no key {key}")))
    }

    /// Everything that the API server stores, in the order of the keys.
    pub(crate) async fn all(&self) -> Result<Vec<StoredValue>, Refusal> {
        let options = GetOptions::new().with_prefix().with_sort(SortTarget::Key, SortOrder::Ascend);
        let response = self.client.kv_client().get(format!("{}/", self.prefix), Some(options)).await;
        let response = response.map_err(|error| Refusal::unavailable(&error))?;
        Ok(response.kvs().iter().map(stored).collect())
    }

    /// Deletes everything under the prefix.
    pub(crate) async fn remove_all(&self) -> Result<(), Refusal> {
        let options = DeleteOptions::new().with_prefix();
        let removed = self.client.kv_client().delete(format!("{}/", self.prefix), Some(options)).await;
        removed.map(|_| ()).map_err(|error| Refusal::unavailable(&error))
    }

    /// Whether etcd still serves: a linearizable read, which needs a quorum.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] that says why not.
    pub(crate) async fn probe(&self) -> Result<(), Refusal> {
        let answer = tokio::time::timeout(TIMEOUT, self.client.kv_client().get("\0", None)).await;
        match answer {
            Ok(answer) => answer.map(|_| ()).map_err(|error| Refusal::unavailable(&error)),
            Err(elapsed) => Err(Refusal::unavailable(&elapsed)),
        }
    }
}

fn stored(value: &KeyValue) -> StoredValue {
    StoredValue {
        key: String::from_utf8_lossy(value.key()).into_owned(),
        mod_revision: value.mod_revision(),
        bytes: value.value().to_vec(),
    }
}

/// Real time; an etcd on this machine answers in milliseconds.
const TIMEOUT: Duration = Duration::from_secs(5);
