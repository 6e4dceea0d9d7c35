//! Changes from etcd, across short interruptions of it.
//!
//! Imitates `apiserver/pkg/storage/etcd3/watcher.go`. What a change means to a client is decided by its reader.

use std::collections::VecDeque;
use std::time::Duration;

use etcd_client::{EventType, WatchResponse, WatchStream};
use tokio::time::timeout;

use super::error::StoreError;
use super::etcd::{Etcd, EtcdError, Record};
use super::list::ListQuery;
use super::objects::{Store, decoded};
use crate::object::Object;
use crate::resource::Resource;

/// A watch on a range of keys.
#[derive(Debug)]
pub(crate) struct StoreWatch {
    etcd: Etcd,
    start: Vec<u8>,
    end: Vec<u8>,
    /// The revision after the last that was seen: where a reconnected stream goes on.
    next: i64,
    stream: Option<WatchStream>,
    pending: VecDeque<Change>,
}

/// One write, or the news that there was none.
#[derive(Debug)]
pub(crate) enum Change {
    /// Everything up to this revision has been seen.
    Progress(i64),
    /// A key was deleted in `revision`; `previous` was its value.
    Removed { previous: Option<Record>, revision: i64 },
    /// A key was written; `previous` was its value.
    Written { record: Record, previous: Option<Record> },
}

/// Why a watch is over.
#[derive(Debug)]
pub(crate) enum WatchEnd {
    /// The revision to go on at has been compacted.
    Expired,
    /// etcd does not answer, or ended the watch.
    Lost,
}

impl Store {
    /// Watches the range of `query` for changes after `revision`.
    pub(crate) fn watch(&self, query: &ListQuery, revision: i64) -> StoreWatch {
        let (_, start, end) = self.bounds(query);
        StoreWatch {
            etcd: self.etcd.clone(),
            start: start.into_bytes(),
            end,
            next: revision.saturating_add(1),
            stream: None,
            pending: VecDeque::new(),
        }
    }

    /// Opens a value of a watched key. `revision` becomes the object's resourceVersion.
    pub(crate) async fn open_watched(
        &self,
        resource: Resource,
        record: &Record,
        revision: i64,
    ) -> Result<Object, StoreError> {
        let opened =
            self.encryption.open(resource.plural(), &record.key, &record.value).await.map_err(StoreError::Transform)?;
        decoded(resource, &opened.plain, revision)
    }
}

impl StoreWatch {
    /// The next change. May be dropped and called again without losing one.
    ///
    /// # Errors
    ///
    /// [`WatchEnd`]; the watch is then over.
    pub(crate) async fn next(&mut self) -> Result<Change, WatchEnd> {
        let mut failures = 0_u32;
        loop {
            if let Some(change) = self.pending.pop_front() {
                return Ok(change);
            }
            if self.stream.is_none() {
                let opening = self.etcd.watch(self.start.clone(), self.end.clone(), self.next);
                match timeout(RECONNECT_WITHIN, opening).await {
                    Ok(Ok(stream)) => self.stream = Some(stream),
                    Ok(Err(EtcdError::Compacted)) => return Err(WatchEnd::Expired),
                    Ok(Err(_)) | Err(_) => return Err(WatchEnd::Lost),
                }
            }
            let Some(stream) = &mut self.stream else { continue };
            if let Ok(Some(response)) = stream.message().await {
                if response.canceled() {
                    let expired = response.compact_revision() > 0;
                    return Err(if expired { WatchEnd::Expired } else { WatchEnd::Lost });
                }
                failures = 0;
                self.take(&response);
            } else {
                self.stream = None;
                failures = failures.saturating_add(1);
                if failures > MAX_RECONNECTS {
                    return Err(WatchEnd::Lost);
                }
            }
        }
    }

    fn take(&mut self, response: &WatchResponse) {
        for event in response.events() {
            let Some(kv) = event.kv() else { continue };
            let record = |kv: &etcd_client::KeyValue| Record {
                key: String::from_utf8_lossy(kv.key()).into_owned(),
                value: kv.value().to_vec(),
                revision: kv.mod_revision(),
            };
            let revision = kv.mod_revision();
            let previous = event.prev_kv().map(record);
            self.pending.push_back(match event.event_type() {
                EventType::Delete => Change::Removed { previous, revision },
                EventType::Put => Change::Written { record: record(kv), previous },
            });
            self.next = self.next.max(revision.saturating_add(1));
        }
        if response.events().is_empty()
            && !response.created()
            && let Some(revision) = response.header().map(etcd_client::ResponseHeader::revision)
        {
            self.next = self.next.max(revision.saturating_add(1));
            self.pending.push_back(Change::Progress(revision));
        }
    }
}

/// How long a watch waits for an etcd that went away before it ends.
const RECONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How often in a row a new stream may break before its first message.
const MAX_RECONNECTS: u32 = 3;
