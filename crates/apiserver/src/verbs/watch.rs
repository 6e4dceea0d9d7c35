//! Watch: the present objects if they are wanted, then every change, until somebody ends it.
//!
//! Imitates `endpoints/handlers/watch.go` over `storage/etcd3/watcher.go`: which event a change is depends on whether
//! the object was selected before and after it. A value that cannot be opened is an ERROR event and the end.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, stream};
use serde_json::{Value, json};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::http::{Answer, ApiRequest, Form, Reply, Target, list_query, watch_options};
use crate::metrics::Running;
use crate::object::Object;
use crate::status::ApiError;
use crate::store::{At, Change, ListQuery, Record, Store, StoreWatch, WatchEnd};
use crate::table::is_table;

/// A watch that has begun.
pub(crate) struct WatchEvents {
    store: Arc<Store>,
    query: ListQuery,
    watch: StoreWatch,
    pending: VecDeque<Event>,
    /// Whether the client asked for bookmarks.
    bookmarks: bool,
    /// The newest revision that a bookmark may tell.
    seen: i64,
    ticks: Interval,
    deadline: Instant,
    shutdown: CancellationToken,
    is_over: bool,
    _running: Running,
}

#[derive(Debug)]
enum Event {
    Bookmark { revision: i64, initial_events_end: bool },
    Error(ApiError),
    Object(&'static str, Box<Object>),
}

/// Begins to watch.
pub(crate) async fn watch(core: &Core, target: &Target, request: &ApiRequest) -> Result<Reply, ApiError> {
    let options = watch_options(&request.query)?;
    let mut query = list_query(target, &request.query)?;
    query.limit = 0;
    let asked = match query.at {
        At::NotOlderThan(revision) | At::Exactly(revision) => revision,
        At::Continue(_) => return Err(ApiError::bad_request("continue is not allowed for watch")),
    };
    query.at = At::NotOlderThan(if options.send_initial_events { asked } else { 0 });
    let mut pending = VecDeque::new();
    let seen = if let Some(revision) = options.after {
        revision
    } else {
        let page = core.store.list(&query).await.map_err(|error| error.for_client(target.resource, ""))?;
        pending.extend(page.items.into_iter().map(|object| Event::Object(ADDED, Box::new(object))));
        if options.send_initial_events && options.bookmarks {
            pending.push_back(Event::Bookmark { revision: page.revision, initial_events_end: true });
        }
        page.revision
    };
    let started = Instant::now();
    let scope = if target.namespace.is_some() { "namespace" } else { "cluster" };
    let mut ticks = interval_at(started + BOOKMARK_EVERY, BOOKMARK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let events = WatchEvents {
        store: Arc::clone(&core.store),
        watch: core.store.watch(&query, seen),
        query,
        pending,
        bookmarks: options.bookmarks,
        seen,
        ticks,
        deadline: started + options.timeout.unwrap_or_else(default_timeout),
        shutdown: core.shutdown.clone(),
        is_over: false,
        _running: core.metrics.watch_started(target.resource, scope),
    };
    Ok(Answer::Watch(Box::new(events)).into())
}

impl WatchEvents {
    /// The lines of the response.
    pub(crate) fn into_stream(self, form: Form) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold((self, form), move |(mut events, mut form)| async move {
            let event = events.next().await?;
            let line = line(form, &events.query, &event);
            // Columns are named in the first event only.
            form.table.headers = false;
            Some((Ok(line), (events, form)))
        })
    }

    /// The next event; `None` when the watch is over.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Some(event);
            }
            if self.is_over {
                return None;
            }
            let change = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return None,
                () = sleep_until(self.deadline) => {
                    self.is_over = true;
                    // So that the client goes on where this watch ended.
                    self.bookmark();
                    continue;
                }
                _ = self.ticks.tick() => {
                    self.bookmark();
                    continue;
                }
                change = self.watch.next() => change,
            };
            match change {
                Ok(change) => self.take(change).await,
                Err(WatchEnd::Expired) => self.fail(ApiError::expired(WATCH_IS_TOO_OLD)),
                Err(WatchEnd::Lost) => self.is_over = true,
            }
        }
    }

    async fn take(&mut self, change: Change) {
        match change {
            Change::Progress(revision) => self.seen = self.seen.max(revision),
            Change::Written { record, previous } => {
                let revision = record.revision;
                self.seen = self.seen.max(revision);
                let Some(new) = self.open(&record, revision).await else { return };
                let old = match previous {
                    Some(previous) => match self.open(&previous, revision).await {
                        Some(old) => Some(old),
                        None => return,
                    },
                    None => None,
                };
                let was_selected = old.as_ref().is_some_and(|old| self.query.matches(old));
                match (was_selected, self.query.matches(&new), old) {
                    (true, true, _) => self.pending.push_back(Event::Object(MODIFIED, Box::new(new))),
                    (false, true, _) => self.pending.push_back(Event::Object(ADDED, Box::new(new))),
                    (true, false, Some(old)) => self.pending.push_back(Event::Object(DELETED, Box::new(old))),
                    (_, false, _) => {}
                }
            }
            Change::Removed { previous: None, .. } => self.fail(ApiError::expired(WATCH_IS_TOO_OLD)),
            Change::Removed { previous: Some(previous), revision } => {
                self.seen = self.seen.max(revision);
                let Some(old) = self.open(&previous, revision).await else { return };
                if self.query.matches(&old) {
                    self.pending.push_back(Event::Object(DELETED, Box::new(old)));
                }
            }
        }
    }

    /// Opens a value, or ends the watch with an ERROR event.
    async fn open(&mut self, record: &Record, revision: i64) -> Option<Object> {
        match self.store.open_watched(self.query.resource, record, revision).await {
            Ok(object) => Some(object),
            Err(error) => {
                self.fail(error.for_client(self.query.resource, ""));
                None
            }
        }
    }

    fn fail(&mut self, error: ApiError) {
        self.pending.push_back(Event::Error(error));
        self.is_over = true;
    }

    fn bookmark(&mut self) {
        if self.bookmarks {
            self.pending.push_back(Event::Bookmark { revision: self.seen, initial_events_end: false });
        }
    }
}

impl std::fmt::Debug for WatchEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WatchEvents").field("query", &self.query).field("seen", &self.seen).finish_non_exhaustive()
    }
}

fn line(form: Form, query: &ListQuery, event: &Event) -> Bytes {
    let (kind, object) = match event {
        Event::Bookmark { revision, initial_events_end } => {
            ("BOOKMARK", Ok(bookmark(form, query, *revision, *initial_events_end)))
        }
        Event::Error(error) => ("ERROR", serde_json::to_value(error.status())),
        Event::Object(kind, object) => (*kind, form.object(object)),
    };
    let (kind, object) = match object {
        Ok(object) => (kind, object),
        Err(error) => {
            let status = serde_json::to_value(ApiError::internal(error.to_string()).status());
            ("ERROR", status.unwrap_or_default())
        }
    };
    let mut line = json!({"type": kind, "object": object}).to_string();
    line.push('\n');
    line.into()
}

fn bookmark(form: Form, query: &ListQuery, revision: i64, initial_events_end: bool) -> Value {
    let mut metadata = json!({"resourceVersion": revision.to_string()});
    if let (true, Value::Object(members)) = (initial_events_end, &mut metadata) {
        members.insert("annotations".into(), json!({"k8s.io/initial-events-end": "true"}));
    }
    if is_table(form.shape) {
        json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": [], "rows": []})
    } else {
        json!({"kind": query.resource.kind(), "apiVersion": "v1", "metadata": metadata})
    }
}

/// Between `--min-request-timeout` and twice it, spread so that clients do not all come back at once.
fn default_timeout() -> Duration {
    let spread = u64::from(uuid::Uuid::new_v4().as_bytes().first().copied().unwrap_or_default());
    MIN_TIMEOUT + MIN_TIMEOUT.mul_f64(f64::from(u32::try_from(spread).unwrap_or_default()) / 256.0)
}

const ADDED: &str = "ADDED";
const DELETED: &str = "DELETED";
const MODIFIED: &str = "MODIFIED";
/// About as often as upstream's watch cache sends them.
const BOOKMARK_EVERY: Duration = Duration::from_mins(1);
/// Upstream's `--min-request-timeout`.
const MIN_TIMEOUT: Duration = Duration::from_mins(30);
/// `storage/etcd3/errors.go: interpretWatchError`.
const WATCH_IS_TOO_OLD: &str = "The resourceVersion for the provided watch is too old.";
