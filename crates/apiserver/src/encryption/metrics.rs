//! The encryption metrics, named, labelled and explained as kube-apiserver's.
//!
//! Sources: `envelope/metrics/metrics.go`, `storage/value/metrics.go` and `encryptionconfig/metrics/metrics.go`. All are ALPHA
//! there.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use aws_lc_rs::digest;
use envelope::{KeyId, KeyIdError, KmsV1Error, OpenError, ProviderName, RpcCode, SealError};
use jiff::Timestamp;
use prometheus::core::Collector;
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
};

use super::config_metrics::ConfigMetrics;
use super::recent::RecentLabels;
use super::transform::TransformError;
use super::v1_metrics::V1Metrics;

/// The encryption metrics of one server.
#[derive(Debug)]
pub(super) struct Metrics {
    /// Those of the configuration as a whole.
    pub(super) config: ConfigMetrics,
    /// Those of KMS v1.
    pub(super) v1: V1Metrics,
    cache_misses: IntCounter,
    cache_size: IntGaugeVec,
    data_key_duration: Histogram,
    data_key_failures: IntCounter,
    invalid_key_ids: IntCounterVec,
    key_id_last: GaugeVec,
    key_id_total: IntCounterVec,
    key_ids: Mutex<RecentLabels>,
    kms_latency: HistogramVec,
    operations: IntCounterVec,
    operation_duration: HistogramVec,
    server_hash: String,
    status_key_id_last: GaugeVec,
    status_key_ids: Mutex<RecentLabels>,
}

/// Which way a value goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Direction {
    FromStorage,
    ToStorage,
}

impl Direction {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::FromStorage => "from_storage",
            Self::ToStorage => "to_storage",
        }
    }
}

/// How a transformation ended, as the label `status` tells it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome {
    Ok,
    /// The plugin failed, with this code.
    Rpc(RpcCode),
    /// Anything else failed.
    UnknownNonGrpc,
}

impl Outcome {
    pub(super) fn of(error: Option<&TransformError>) -> Self {
        match error {
            None => Self::Ok,
            Some(TransformError::Open(error)) => Self::of_open(Some(error)),
            Some(TransformError::Seal(SealError::KmsV1(KmsV1Error::Rpc(error)))) => Self::Rpc(error.code),
            Some(TransformError::Seal(_)) => Self::UnknownNonGrpc,
        }
    }

    pub(super) fn of_open(error: Option<&OpenError>) -> Self {
        match error {
            None => Self::Ok,
            Some(OpenError::Decrypt(error) | OpenError::KmsV1(KmsV1Error::Rpc(error))) => Self::Rpc(error.code),
            Some(_) => Self::UnknownNonGrpc,
        }
    }

    fn label(self) -> String {
        match self {
            Self::Ok => "OK".to_owned(),
            Self::Rpc(code) => code.to_string(),
            Self::UnknownNonGrpc => "unknown-non-grpc".to_owned(),
        }
    }
}

impl Metrics {
    /// Makes the metrics and adds them to `registry`, which must not have them yet.
    #[expect(clippy::expect_used, reason = "names, labels and buckets are constants, and every test registers them")]
    pub(super) fn register(registry: &Registry) -> Self {
        let metrics = Self::new().expect("constant names, labels and buckets");
        for collector in metrics.collectors() {
            if let Err(error) = registry.register(collector) {
                tracing::error!(%error, "an encryption metric will be missing: another part of the server has its name");
            }
        }
        metrics
    }

    fn new() -> prometheus::Result<Self> {
        Ok(Self {
            config: ConfigMetrics::new(sha256_label(SERVER_ID))?,
            v1: V1Metrics::new()?,
            cache_misses: IntCounter::with_opts(Opts::new(
                "apiserver_storage_envelope_transformation_cache_misses_total",
                "[ALPHA] Total number of cache misses while accessing key decryption key(KEK).",
            ))?,
            cache_size: IntGaugeVec::new(
                Opts::new("apiserver_envelope_encryption_dek_source_cache_size", CACHE_SIZE_HELP),
                &["provider_name"],
            )?,
            data_key_duration: Histogram::with_opts(
                HistogramOpts::new(
                    "apiserver_storage_data_key_generation_duration_seconds",
                    "[ALPHA] Latencies in seconds of data encryption key(DEK) generation operations.",
                )
                .buckets(prometheus::exponential_buckets(5e-6, 2.0, 14)?),
            )?,
            data_key_failures: IntCounter::with_opts(Opts::new(
                "apiserver_storage_data_key_generation_failures_total",
                "[ALPHA] Total number of failed data encryption key(DEK) generation operations.",
            ))?,
            invalid_key_ids: IntCounterVec::new(
                Opts::new(
                    "apiserver_envelope_encryption_invalid_key_id_from_status_total",
                    "[ALPHA] Number of times an invalid keyID is returned by the Status RPC call split by error.",
                ),
                &["error", "provider_name"],
            )?,
            key_id_last: GaugeVec::new(
                Opts::new(
                    "apiserver_envelope_encryption_key_id_hash_last_timestamp_seconds",
                    "[ALPHA] The last time in seconds when a keyID was used.",
                ),
                &KEY_ID_LABELS,
            )?,
            key_id_total: IntCounterVec::new(
                Opts::new(
                    "apiserver_envelope_encryption_key_id_hash_total",
                    "[ALPHA] Number of times a keyID is used split by transformation type, provider, and apiserver identity.",
                ),
                &KEY_ID_LABELS,
            )?,
            key_ids: Mutex::default(),
            kms_latency: HistogramVec::new(
                HistogramOpts::new(
                    "apiserver_envelope_encryption_kms_operations_latency_seconds",
                    "[ALPHA] KMS operation duration with gRPC error code status total.",
                )
                .buckets(prometheus::exponential_buckets(1e-4, 2.0, 20)?),
                &["grpc_status_code", "method_name", "provider_name"],
            )?,
            operations: IntCounterVec::new(
                Opts::new("apiserver_storage_transformation_operations_total", OPERATIONS_HELP),
                &["resource", "status", "transformation_type", "transformer_prefix"],
            )?,
            operation_duration: HistogramVec::new(
                HistogramOpts::new(
                    "apiserver_storage_transformation_duration_seconds",
                    "[ALPHA] Latencies in seconds of value transformation operations.",
                )
                .buckets(prometheus::exponential_buckets(5e-6, 2.0, 25)?),
                &["transformation_type", "transformer_prefix"],
            )?,
            server_hash: sha256_label(SERVER_ID),
            status_key_id_last: GaugeVec::new(
                Opts::new(
                    "apiserver_envelope_encryption_key_id_hash_status_last_timestamp_seconds",
                    "[ALPHA] The last time in seconds when a keyID was returned by the Status RPC call.",
                ),
                &STATUS_KEY_ID_LABELS,
            )?,
            status_key_ids: Mutex::default(),
        })
    }

    fn collectors(&self) -> Vec<Box<dyn Collector>> {
        let own: [Box<dyn Collector>; 11] = [
            Box::new(self.cache_misses.clone()),
            Box::new(self.cache_size.clone()),
            Box::new(self.data_key_duration.clone()),
            Box::new(self.data_key_failures.clone()),
            Box::new(self.invalid_key_ids.clone()),
            Box::new(self.key_id_last.clone()),
            Box::new(self.key_id_total.clone()),
            Box::new(self.kms_latency.clone()),
            Box::new(self.operations.clone()),
            Box::new(self.operation_duration.clone()),
            Box::new(self.status_key_id_last.clone()),
        ];
        own.into_iter().chain(self.config.collectors()).chain(self.v1.collectors()).collect()
    }

    /// A call to a plugin has ended.
    pub(super) fn kms_called(&self, provider: &ProviderName, method: &str, code: RpcCode, started: Instant) {
        let labels = [code.to_string(), method.to_owned(), provider.as_str().to_owned()];
        self.kms_latency.with_label_values(&labels).observe(started.elapsed().as_secs_f64());
    }

    /// A plugin's Status named a valid key id.
    pub(super) fn status_key_id(&self, provider: &ProviderName, key_id: &KeyId, now: Timestamp) {
        let hash = key_id.hash();
        let labels = [self.server_hash.as_str(), hash.as_str(), provider.as_str()];
        let gone = self.status_key_ids.lock().unwrap_or_else(PoisonError::into_inner).touch(&labels);
        if let Some(gone) = gone {
            // It is there: it was set when it was touched.
            let _ = self.status_key_id_last.remove_label_values(&gone);
        }
        self.status_key_id_last.with_label_values(&labels).set(seconds(now));
    }

    /// A plugin's Status named a key id outside its limits.
    pub(super) fn invalid_key_id(&self, provider: &ProviderName, error: KeyIdError) {
        let error = match error {
            KeyIdError::Empty => "empty",
            _ => "too_long",
        };
        self.invalid_key_ids.with_label_values(&[error, provider.as_str()]).inc();
    }

    /// A key id has served a value.
    pub(super) fn key_id_used(&self, direction: Direction, provider: &ProviderName, key_id: &KeyId, now: Timestamp) {
        let hash = key_id.hash();
        let labels = [self.server_hash.as_str(), hash.as_str(), provider.as_str(), direction.label()];
        let gone = self.key_ids.lock().unwrap_or_else(PoisonError::into_inner).touch(&labels);
        if let Some(gone) = gone {
            // They are there: they were set when they were touched.
            let _ = self.key_id_total.remove_label_values(&gone);
            let _ = self.key_id_last.remove_label_values(&gone);
        }
        self.key_id_total.with_label_values(&labels).inc();
        self.key_id_last.with_label_values(&labels).set(seconds(now));
    }

    /// So many decrypted DEK sources are kept.
    pub(super) fn cache_size(&self, provider: &ProviderName, size: usize) {
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        self.cache_size.with_label_values(&[provider.as_str()]).set(size);
    }

    /// A read had to ask the plugin.
    pub(super) fn cache_missed(&self) {
        self.cache_misses.inc();
    }

    /// A new seed was made.
    pub(super) fn data_key_generated(&self, started: Instant) {
        self.data_key_duration.observe(started.elapsed().as_secs_f64());
    }

    /// A new seed was needed and not made.
    pub(super) fn data_key_failed(&self) {
        self.data_key_failures.inc();
    }

    /// A value was sealed or opened, or not.
    pub(super) fn transformed(
        &self,
        resource: &str,
        direction: Direction,
        prefix: &str,
        outcome: Outcome,
        started: Instant,
    ) {
        let status = outcome.label();
        self.operations.with_label_values(&[resource, status.as_str(), direction.label(), prefix]).inc();
        if matches!(outcome, Outcome::Ok) {
            let duration = self.operation_duration.with_label_values(&[direction.label(), prefix]);
            duration.observe(started.elapsed().as_secs_f64());
        }
    }
}

fn sha256_label(text: &str) -> String {
    format!("sha256:{}", hex::encode(digest::digest(&digest::SHA256, text.as_bytes())))
}

/// Seconds since 1970, as Prometheus counts time.
pub(super) fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

/// Differs: upstream derives the server's id from the host's name; here every stack looks the same on every machine.
const SERVER_ID: &str = "apiserver-kyanite";

const KEY_ID_LABELS: [&str; 4] = ["apiserver_id_hash", "key_id_hash", "provider_name", "transformation_type"];
const STATUS_KEY_ID_LABELS: [&str; 3] = ["apiserver_id_hash", "key_id_hash", "provider_name"];
const CACHE_SIZE_HELP: &str = "[ALPHA] Number of records in data encryption key (DEK) source cache. On a restart, this value is an \
     approximation of the number of decrypt RPC calls the server will make to the KMS plugin.";
const OPERATIONS_HELP: &str = "[ALPHA] Total number of transformations. Successful transformation will have a status 'OK' and a \
     varied status string when the transformation fails. The status, resource, and transformation_type \
     fields can be used for alerting purposes. For example, you can monitor for encryption/decryption \
     failures using the transformation_type (e.g., from_storage for decryption and to_storage for \
     encryption). Additionally, these fields can be used to ensure that the correct transformers are \
     applied to each resource.";

#[cfg(test)]
mod tests {
    use prometheus::Encoder as _;

    use super::*;

    fn series(registry: &Registry, name: &str) -> Vec<String> {
        let mut text = Vec::new();
        prometheus::TextEncoder::new().encode(&registry.gather(), &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
    }

    fn key_id(number: usize) -> KeyId {
        KeyId::new(number.to_string()).unwrap()
    }

    fn provider() -> ProviderName {
        ProviderName::new("panda").unwrap()
    }

    /// As upstream's tests `TestRecordKeyID_Serial` and `TestRecordKeyIDLRUKey`: a hundred label sets stay, those used last.
    #[test]
    fn test_record_key_id_serial() {
        let (registry, now) = (Registry::new(), Timestamp::UNIX_EPOCH);
        let metrics = Metrics::register(&registry);
        for number in 0..60 {
            for direction in [Direction::FromStorage, Direction::ToStorage] {
                metrics.key_id_used(direction, &provider(), &key_id(number), now);
            }
        }
        for name in ["total", "last_timestamp_seconds"] {
            let series = series(&registry, &format!("apiserver_envelope_encryption_key_id_hash_{name}{{"));
            assert_eq!(series.len(), 100, "{name}");
            assert!(!series.iter().any(|line| line.contains(&key_id(0).hash())), "the first are gone");
            assert!(series.iter().any(|line| line.contains(&key_id(59).hash())));
        }
        metrics.key_id_used(Direction::ToStorage, &provider(), &key_id(59), now);
        let total = series(&registry, "apiserver_envelope_encryption_key_id_hash_total{");
        assert_eq!(total.iter().filter(|line| line.ends_with(" 2")).count(), 1, "each set counts for itself");
    }

    #[test]
    fn test_record_key_id_from_status() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry);
        for number in 0..110 {
            metrics.status_key_id(&provider(), &key_id(number), Timestamp::from_second(1_700_000_000).unwrap());
        }
        let series = series(&registry, "apiserver_envelope_encryption_key_id_hash_status_last_timestamp_seconds{");
        assert_eq!(series.len(), 100);
        assert!(series.iter().all(|line| line.ends_with("} 1700000000")), "{series:?}");
    }
}
