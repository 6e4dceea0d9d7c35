//! Consistent, chunked lists.
//!
//! Imitates `GetList` of `apiserver/pkg/storage/etcd3/store.go`. Differs: no watch cache is kept, so that every list
//! reads etcd. One unreadable object therefore fails every list that meets it with the 500 that upstream gives to lists
//! with a limit; upstream's 429 `storage is (re)initializing` is the answer of its cache.

use super::continuation::Continuation;
use super::error::StoreError;
use super::etcd::{EtcdError, Range, key_end, prefix_end};
use super::objects::Store;
use crate::object::Object;
use crate::resource::Resource;
use crate::selector::{FieldSelector, LabelSelector};

/// What to list.
#[derive(Clone, Debug)]
pub(crate) struct ListQuery {
    pub(crate) resource: Resource,
    /// `None` for all namespaces.
    pub(crate) namespace: Option<String>,
    pub(crate) labels: LabelSelector,
    pub(crate) fields: FieldSelector,
    /// The most objects to return; 0 for all.
    pub(crate) limit: i64,
    pub(crate) at: At,
}

/// Which revision to list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum At {
    /// Goes on with an earlier list.
    Continue(Continuation),
    /// Exactly this one.
    Exactly(i64),
    /// Any that is not older. This server reads the newest.
    NotOlderThan(i64),
}

/// One chunk of a list.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) items: Vec<Object>,
    /// The revision that all chunks share.
    pub(crate) revision: i64,
    /// The token of the next chunk.
    pub(crate) continuation: Option<String>,
    /// How many objects are left, where it is known.
    pub(crate) remaining: Option<i64>,
}

impl ListQuery {
    /// Whether `object` is selected.
    pub(crate) fn matches(&self, object: &Object) -> bool {
        self.labels.matches(object.metadata().labels.as_ref()) && self.fields.matches(object)
    }
}

impl Store {
    /// Lists objects in the order of their keys.
    ///
    /// # Errors
    ///
    /// [`StoreError::TransformKey`] for the first object that cannot be opened; [`StoreError::TooLargeRevision`];
    /// [`StoreError::Etcd`], with [`EtcdError::Compacted`] for a revision that is gone.
    pub(crate) async fn list(&self, query: &ListQuery) -> Result<Page, StoreError> {
        let (prefix, start, end) = self.bounds(query);
        let mut range = Range { start: start.into_bytes(), end, limit: query.limit, revision: 0 };
        match &query.at {
            At::Continue(Continuation { revision, start }) => {
                range.start = format!("{prefix}{start}").into_bytes();
                range.revision = (*revision).max(0);
            }
            At::Exactly(revision) => range.revision = *revision,
            At::NotOlderThan(_) => {}
        }
        let mut items = Vec::new();
        let mut pinned = range.revision;
        let (last_key, left) = loop {
            let chunk = match self.etcd.range(&range).await {
                Err(EtcdError::FutureRevision) => {
                    let current = self.etcd.revision(&prefix).await?;
                    return Err(StoreError::TooLargeRevision { asked: range.revision, current });
                }
                other => other?,
            };
            if let At::NotOlderThan(asked) = query.at
                && asked > chunk.revision
            {
                return Err(StoreError::TooLargeRevision { asked, current: chunk.revision });
            }
            if pinned == 0 {
                pinned = chunk.revision;
                range.revision = pinned;
            }
            let read = i64::try_from(chunk.records.len()).unwrap_or(i64::MAX);
            let mut taken = 0_i64;
            let mut last_key = None;
            for record in &chunk.records {
                if query.limit > 0 && is_full(items.len(), query.limit) {
                    break;
                }
                taken = taken.saturating_add(1);
                last_key = Some(record.key.clone());
                let object = self.open(query.resource, record).await?;
                if query.matches(&object) {
                    items.push(object);
                }
            }
            let left = chunk.count.saturating_sub(taken);
            let has_more = chunk.more || taken < read;
            match last_key {
                Some(key) if has_more && query.limit > 0 && !is_full(items.len(), query.limit) => {
                    range.start = key_end(&key);
                    // Sparse selections would otherwise need a round trip per object.
                    range.limit = range.limit.saturating_mul(2).min(MAX_CHUNK);
                }
                key if has_more => break (key, left),
                _ => break (None, 0),
            }
        };
        let continuation = last_key
            .as_deref()
            .and_then(|key| key.strip_prefix(&prefix))
            .map(|start| Continuation { revision: pinned, start: format!("{start}\0") }.encode());
        let counted = query.labels.is_everything() && query.fields.is_everything();
        let remaining = continuation.as_ref().filter(|_| counted).map(|_| left);
        Ok(Page { items, revision: pinned, continuation, remaining })
    }

    /// The prefix of the listed keys, and the range to read: one key if the selector allows only one.
    pub(super) fn bounds(&self, query: &ListQuery) -> (String, String, Vec<u8>) {
        let prefix = self.range_prefix(query.resource, query.namespace.as_deref());
        let single = query.namespace.is_some() || !query.resource.is_namespaced();
        if let Some(name) = query.fields.name().filter(|name| single && !name.is_empty() && !name.contains('/')) {
            let key = format!("{prefix}{name}");
            let end = key_end(&key);
            return (prefix, key, end);
        }
        let end = prefix_end(&prefix);
        (prefix.clone(), prefix, end)
    }
}

fn is_full(length: usize, limit: i64) -> bool {
    i64::try_from(length).unwrap_or(i64::MAX) >= limit
}

/// `maxLimit` of upstream's store: the most keys that one read of a selective list asks for.
const MAX_CHUNK: i64 = 10_000;
