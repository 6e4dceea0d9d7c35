//! What the emulator was asked and how it answered: counters, and the latest requests.
//!
//! Read through [`Control`](crate::Control). Holds no bodies, no tokens and no key material.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::operation::Operation;

/// One request and its outcome.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RequestRecord {
    /// When it arrived, on the stack's clock.
    pub at: Timestamp,
    /// What it asked for.
    pub operation: Operation,
    /// The HTTP method.
    pub method: String,
    /// The host that the caller named, and the path, without the query.
    pub url: String,
    /// The id of the key it used, if it got that far.
    pub key_id: Option<String>,
    /// The caller's application id, if its token was accepted.
    pub client_id: Option<String>,
    /// The HTTP status; `None` if there was no answer: dropped by a fault, or given up by the client.
    pub status: Option<u16>,
    /// `error.code` or Entra's `error`.
    pub error_code: Option<String>,
    /// `error.innererror.code`.
    pub inner_code: Option<String>,
    /// The caller's `x-ms-client-request-id`.
    pub client_request_id: Option<String>,
    /// The answer's `x-ms-request-id`.
    pub request_id: String,
    /// The caller's `User-Agent`.
    pub user_agent: Option<String>,
    /// Real time from the arrival of the request's head to its answer, in microseconds.
    pub duration_micros: u64,
}

/// How often an operation had one outcome.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RequestCount {
    /// The operation.
    pub operation: Operation,
    /// The HTTP status; `None`: no answer.
    pub status: Option<u16>,
    /// How many requests.
    pub count: u64,
}

/// Counters since the start, and the last [`Journal::TAIL`] requests.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    counts: BTreeMap<(Operation, Option<u16>), u64>,
    tail: VecDeque<RequestRecord>,
}

impl Journal {
    /// How many requests the log keeps.
    pub(crate) const TAIL: usize = 1_000;

    pub(crate) fn record(&self, record: RequestRecord) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let count = entries.counts.entry((record.operation, record.status)).or_default();
        *count = count.saturating_add(1);
        if entries.tail.len() >= Self::TAIL {
            entries.tail.pop_front();
        }
        entries.tail.push_back(record);
    }

    pub(crate) fn counts(&self) -> Vec<RequestCount> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = entries.counts.iter();
        counts.map(|(&(operation, status), &count)| RequestCount { operation, status, count }).collect()
    }

    /// The last `limit` requests, oldest first.
    pub(crate) fn tail(&self, limit: usize) -> Vec<RequestRecord> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let skip = entries.tail.len().saturating_sub(limit);
        entries.tail.iter().skip(skip).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_bounded_and_the_counts_are_not() {
        let journal = Journal::default();
        let record = |number: usize| RequestRecord {
            at: Timestamp::UNIX_EPOCH,
            operation: Operation::KeyEncrypt,
            method: "POST".to_owned(),
            url: String::new(),
            key_id: None,
            client_id: None,
            status: Some(200),
            error_code: None,
            inner_code: None,
            client_request_id: None,
            request_id: number.to_string(),
            user_agent: None,
            duration_micros: 0,
        };
        (0..Journal::TAIL + 5).for_each(|number| journal.record(record(number)));
        let tail = journal.tail(usize::MAX);
        assert_eq!(tail.len(), Journal::TAIL);
        assert_eq!(tail[0].request_id, "5");
        assert_eq!(journal.tail(1)[0].request_id, "1004");
        assert_eq!(
            journal.counts(),
            [RequestCount { operation: Operation::KeyEncrypt, status: Some(200), count: 1_005 }]
        );
    }
}
