//! The etcd client: every call has a time-out, every failure a class.
//!
//! Nothing here knows of objects. Values are bytes, keys are full etcd keys.

use std::fmt;
use std::time::Duration;

use etcd_client::{
    Client, Compare, CompareOp, ConnectOptions, GetOptions, GetResponse, KeyValue, KvClient, Txn, TxnOp, TxnOpResponse,
    WatchClient, WatchOptions, WatchStream,
};
use thiserror::Error;
use tokio::time::interval;

/// A handle on an etcd cluster. Clones share the connection.
#[derive(Clone)]
pub(crate) struct Etcd {
    kv: KvClient,
    watch: WatchClient,
    timeout: Duration,
}

/// A key with its value, which is not shown: without encryption it is plain.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Record {
    pub(crate) key: String,
    pub(crate) value: Vec<u8>,
    /// The revision of its last write.
    pub(crate) revision: i64,
}

/// A range read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Range {
    pub(crate) start: Vec<u8>,
    /// Exclusive.
    pub(crate) end: Vec<u8>,
    /// The most records to return; 0 for all.
    pub(crate) limit: i64,
    /// The revision to read at; 0 for the newest.
    pub(crate) revision: i64,
}

/// What a range read gave.
#[derive(Debug)]
pub(crate) struct RangeResult {
    pub(crate) records: Vec<Record>,
    /// The revision of the store when it answered.
    pub(crate) revision: i64,
    /// Whether the limit cut it short.
    pub(crate) more: bool,
    /// How many keys the whole range has.
    pub(crate) count: i64,
}

/// What has to be true for a write to happen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Guard {
    pub(crate) key: String,
    /// The revision of its last write; 0 for a key that must not be there.
    pub(crate) revision: i64,
}

/// The outcome of a guarded write.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Guarded {
    /// A guard was broken; these are the keys of the guards with their present revisions (0: absent), in order.
    Broken(Vec<i64>),
    /// Written, as this revision.
    Done(i64),
}

impl Etcd {
    /// Makes a client. Does not wait for a connection.
    ///
    /// # Errors
    ///
    /// [`EtcdError::Client`] for endpoints that are no addresses.
    pub(crate) async fn connect(endpoints: &[String], timeout: Duration) -> Result<Self, EtcdError> {
        // A stream on a member without a leader would see nothing and not end.
        let options =
            ConnectOptions::new().with_keep_alive(KEEP_ALIVE_EVERY, KEEP_ALIVE_WITHIN).with_require_leader(true);
        let client = Client::connect(endpoints, Some(options)).await.map_err(EtcdError::from)?;
        Ok(Self {
            // A list of a thousand Secrets is larger than the 4 MiB that tonic allows by default.
            kv: client.kv_client().max_decoding_message_size(MAX_MESSAGE_BYTES),
            watch: client.watch_client().max_decoding_message_size(MAX_MESSAGE_BYTES),
            timeout,
        })
    }

    /// Reads one key.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Record>, EtcdError> {
        let answer = self.read(key.as_bytes(), &GetOptions::new()).await?;
        Ok(answer.kvs().first().map(record))
    }

    /// Reads a range of keys at one revision.
    pub(crate) async fn range(&self, range: &Range) -> Result<RangeResult, EtcdError> {
        let options =
            GetOptions::new().with_range(range.end.clone()).with_limit(range.limit).with_revision(range.revision);
        let mut answer = self.read(&range.start, &options).await?;
        let revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
        let (more, count) = (answer.more(), answer.count());
        let records = answer.take_kvs().into_iter().map(into_record).collect();
        Ok(RangeResult { records, revision, more, count })
    }

    /// The newest revision of the store.
    pub(crate) async fn revision(&self, key: &str) -> Result<i64, EtcdError> {
        let answer = self.read(key.as_bytes(), &GetOptions::new().with_count_only()).await?;
        Ok(answer.header().map_or(0, etcd_client::ResponseHeader::revision))
    }

    /// Writes `value` if every guard holds.
    pub(crate) async fn put(&self, key: &str, value: Vec<u8>, guards: &[Guard]) -> Result<Guarded, EtcdError> {
        self.guarded(TxnOp::put(key, value, None), guards).await
    }

    /// Deletes `key` if every guard holds.
    pub(crate) async fn delete(&self, key: &str, guards: &[Guard]) -> Result<Guarded, EtcdError> {
        self.guarded(TxnOp::delete(key, None), guards).await
    }

    /// Watches keys from `revision` on.
    pub(crate) async fn watch(&self, start: Vec<u8>, end: Vec<u8>, revision: i64) -> Result<WatchStream, EtcdError> {
        let mut watch = self.watch.clone();
        let options =
            WatchOptions::new().with_range(end).with_start_revision(revision).with_prev_key().with_progress_notify();
        self.within(watch.watch(start, Some(options))).await
    }

    /// A read, which is sent again while a member that is going away or has no leader refuses it. Writes are not: one
    /// that was done and not acknowledged would come back as a conflict with itself.
    async fn read(&self, key: &[u8], options: &GetOptions) -> Result<GetResponse, EtcdError> {
        let mut kv = self.kv.clone();
        let mut ticks = interval(RETRY_EVERY);
        let attempts = async {
            loop {
                ticks.tick().await;
                match kv.get(key, Some(options.clone())).await {
                    Err(etcd_client::Error::GRpcStatus(status)) if status.code() == tonic::Code::Unavailable => {}
                    other => return other,
                }
            }
        };
        self.within(attempts).await
    }

    async fn guarded(&self, write: TxnOp, guards: &[Guard]) -> Result<Guarded, EtcdError> {
        let compares: Vec<_> = guards
            .iter()
            .map(|guard| Compare::mod_revision(guard.key.as_str(), CompareOp::Equal, guard.revision))
            .collect();
        let reads: Vec<_> = guards
            .iter()
            .map(|guard| TxnOp::get(guard.key.as_str(), Some(GetOptions::new().with_keys_only())))
            .collect();
        let mut kv = self.kv.clone();
        let txn = Txn::new().when(compares).and_then(vec![write]).or_else(reads);
        let answer = self.within(kv.txn(txn)).await?;
        if answer.succeeded() {
            return Ok(Guarded::Done(answer.header().map_or(0, etcd_client::ResponseHeader::revision)));
        }
        let revisions = answer.op_responses().into_iter().map(|response| match response {
            TxnOpResponse::Get(read) => read.kvs().first().map_or(0, KeyValue::mod_revision),
            TxnOpResponse::Delete(_) | TxnOpResponse::Put(_) | TxnOpResponse::Txn(_) => 0,
        });
        Ok(Guarded::Broken(revisions.collect()))
    }

    async fn within<T>(&self, call: impl Future<Output = Result<T, etcd_client::Error>>) -> Result<T, EtcdError> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(answer) => answer.map_err(EtcdError::from),
            Err(_) => Err(EtcdError::TimedOut),
        }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("key", &self.key).field("revision", &self.revision).finish_non_exhaustive()
    }
}

impl fmt::Debug for Etcd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Etcd").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// The first key after all that start with `prefix`, as etcd's clients compute a range of a prefix.
pub(crate) fn prefix_end(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return end;
        }
    }
    vec![0]
}

/// The first key after `key`.
pub(crate) fn key_end(key: &str) -> Vec<u8> {
    let mut end = key.as_bytes().to_vec();
    end.push(0);
    end
}

fn record(kv: &KeyValue) -> Record {
    Record {
        key: String::from_utf8_lossy(kv.key()).into_owned(),
        value: kv.value().to_vec(),
        revision: kv.mod_revision(),
    }
}

fn into_record(kv: KeyValue) -> Record {
    let revision = kv.mod_revision();
    let (key, value) = kv.into_key_value();
    Record { key: String::from_utf8_lossy(&key).into_owned(), value, revision }
}

impl From<etcd_client::Error> for EtcdError {
    fn from(error: etcd_client::Error) -> Self {
        match error {
            etcd_client::Error::GRpcStatus(status) => match status.message() {
                "etcdserver: mvcc: required revision has been compacted" => Self::Compacted,
                "etcdserver: mvcc: required revision is a future revision" => Self::FutureRevision,
                _ => Self::Rpc { code: status.code(), text: status.message().to_owned() },
            },
            other => Self::Client(Box::new(other)),
        }
    }
}

/// An etcd call failed. The text is what upstream's client would have shown.
#[derive(Debug, Error)]
pub(crate) enum EtcdError {
    #[error("{0}")]
    Client(Box<etcd_client::Error>),
    #[error("etcdserver: mvcc: required revision has been compacted")]
    Compacted,
    #[error("etcdserver: mvcc: required revision is a future revision")]
    FutureRevision,
    #[error("{}", rpc_text(*code, text))]
    Rpc { code: tonic::Code, text: String },
    #[error("context deadline exceeded")]
    TimedOut,
}

fn rpc_text(code: tonic::Code, text: &str) -> String {
    if text.starts_with("etcdserver:") { text.to_owned() } else { format!("rpc error: code = {code:?} desc = {text}") }
}

/// Upstream's keep-alive, which etcd tolerates.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(30);
const KEEP_ALIVE_WITHIN: Duration = Duration::from_secs(10);
/// How often a refused read is sent again.
const RETRY_EVERY: Duration = Duration::from_millis(50);
/// The Go client of upstream has no limit; this one bounds what a broken server could make us hold.
const MAX_MESSAGE_BYTES: usize = 1024 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_its_successor() {
        assert_eq!(prefix_end("/registry/secrets/"), b"/registry/secrets0");
        assert_eq!(prefix_end("\u{7f}"), [0x80]);
        assert_eq!(key_end("a"), b"a\0");
    }
}
