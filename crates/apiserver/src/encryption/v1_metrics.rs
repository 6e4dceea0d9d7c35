//! The metrics that only KMS v1 has.
//!
//! Source: `envelope/metrics/metrics.go` of kube-apiserver. All providers of a server share them, as there.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use prometheus::core::Collector;
use prometheus::{Gauge, HistogramOpts, HistogramVec, Opts};

use super::metrics::Direction;

/// KMS v1's metrics.
#[derive(Debug)]
pub(super) struct V1Metrics {
    dek_cache_arrivals: HistogramVec,
    dek_cache_fill: Gauge,
    /// The last value from storage, and to it.
    last_arrivals: Mutex<[Option<Timestamp>; 2]>,
}

impl V1Metrics {
    pub(super) fn new() -> prometheus::Result<Self> {
        Ok(Self {
            dek_cache_arrivals: HistogramVec::new(
                HistogramOpts::new(
                    "apiserver_envelope_encryption_dek_cache_inter_arrival_time_seconds",
                    "[ALPHA] Time (in seconds) of inter arrival of transformation requests.",
                )
                .buckets(prometheus::exponential_buckets(60.0, 2.0, 10)?),
                &["transformation_type"],
            )?,
            dek_cache_fill: Gauge::with_opts(Opts::new(
                "apiserver_envelope_encryption_dek_cache_fill_percent",
                "[ALPHA] Percent of the cache slots currently occupied by cached DEKs.",
            ))?,
            last_arrivals: Mutex::default(),
        })
    }

    pub(super) fn collectors(&self) -> [Box<dyn Collector>; 2] {
        [Box::new(self.dek_cache_arrivals.clone()), Box::new(self.dek_cache_fill.clone())]
    }

    /// A KMS v1 provider was given a value.
    pub(super) fn arrived(&self, direction: Direction, now: Timestamp) {
        let last = {
            let mut arrivals = self.last_arrivals.lock().unwrap_or_else(PoisonError::into_inner);
            let [from_storage, to_storage] = &mut *arrivals;
            let last = match direction {
                Direction::FromStorage => from_storage,
                Direction::ToStorage => to_storage,
            };
            last.replace(now).unwrap_or(now)
        };
        let since = now.duration_since(last).as_secs_f64();
        self.dek_cache_arrivals.with_label_values(&[direction.label()]).observe(since);
    }

    /// So much of a KMS v1 provider's cache is taken, from 0 to 1 (upstream calls that percent).
    pub(super) fn dek_cache_fill(&self, fill: f64) {
        self.dek_cache_fill.set(fill);
    }
}
