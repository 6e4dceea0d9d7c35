//! The metrics of the configuration as a whole: which one is in use, and how reloads went.
//!
//! Source: `encryptionconfig/metrics/metrics.go` of kube-apiserver.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use prometheus::core::Collector;
use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec, Opts};

use super::metrics::seconds;

/// The configuration's metrics.
#[derive(Debug)]
pub(super) struct ConfigMetrics {
    hash: Mutex<Option<String>>,
    info: IntGaugeVec,
    reload_last: GaugeVec,
    reloads: IntCounterVec,
    server_hash: String,
}

impl ConfigMetrics {
    pub(super) fn new(server_hash: String) -> prometheus::Result<Self> {
        Ok(Self {
            hash: Mutex::default(),
            info: IntGaugeVec::new(
                Opts::new(
                    "apiserver_encryption_config_controller_last_config_info",
                    "[ALPHA] Information about the last applied encryption configuration with hash as label, split by apiserver identity.",
                ),
                &["apiserver_id_hash", "hash"],
            )?,
            reload_last: GaugeVec::new(
                Opts::new(
                    "apiserver_encryption_config_controller_automatic_reload_last_timestamp_seconds",
                    "[ALPHA] Timestamp of the last successful or failed automatic reload of encryption configuration split by apiserver identity.",
                ),
                &RELOAD_LABELS,
            )?,
            reloads: IntCounterVec::new(
                Opts::new(
                    "apiserver_encryption_config_controller_automatic_reloads_total",
                    "[ALPHA] Total number of reload successes and failures of encryption configuration split by apiserver identity.",
                ),
                &RELOAD_LABELS,
            )?,
            server_hash,
        })
    }

    pub(super) fn collectors(&self) -> [Box<dyn Collector>; 3] {
        [Box::new(self.info.clone()), Box::new(self.reload_last.clone()), Box::new(self.reloads.clone())]
    }

    /// A configuration with this file hash is in use, and none with another.
    pub(super) fn applied(&self, hash: &str) {
        let before = self.hash.lock().unwrap_or_else(PoisonError::into_inner).replace(hash.to_owned());
        if let Some(before) = before {
            // It is there: it was set when it was remembered.
            let _ = self.info.remove_label_values(&[self.server_hash.as_str(), before.as_str()]);
        }
        self.info.with_label_values(&[self.server_hash.as_str(), hash]).set(1);
    }

    /// A changed file has taken effect.
    pub(super) fn reloaded(&self, hash: &str, now: Timestamp) {
        self.reload_ended("success", now);
        self.applied(hash);
    }

    /// A changed file has not taken effect, or could not be read.
    pub(super) fn failed_to_reload(&self, now: Timestamp) {
        self.reload_ended("failure", now);
    }

    fn reload_ended(&self, status: &str, now: Timestamp) {
        let labels = [self.server_hash.as_str(), status];
        self.reloads.with_label_values(&labels).inc();
        self.reload_last.with_label_values(&labels).set(seconds(now));
    }
}

const RELOAD_LABELS: [&str; 2] = ["apiserver_id_hash", "status"];

#[cfg(test)]
mod tests {
    use prometheus::{Encoder as _, Registry};

    use super::*;

    struct Recorded {
        metrics: ConfigMetrics,
        registry: Registry,
    }

    impl Recorded {
        fn new() -> Self {
            let (metrics, registry) = (ConfigMetrics::new("sha256:server".into()).unwrap(), Registry::new());
            for collector in metrics.collectors() {
                registry.register(collector).unwrap();
            }
            Self { metrics, registry }
        }

        fn lines(&self) -> Vec<String> {
            let mut text = Vec::new();
            prometheus::TextEncoder::new().encode(&self.registry.gather(), &mut text).unwrap();
            let text = String::from_utf8(text).unwrap();
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            lines.map(|line| line.trim_start_matches("apiserver_encryption_config_controller_").to_owned()).collect()
        }
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_700_000_000).unwrap()
    }

    #[test]
    fn test_record_encryption_config_automatic_reload_failure() {
        let recorded = Recorded::new();
        recorded.metrics.failed_to_reload(now());
        assert_eq!(
            recorded.lines(),
            [
                "automatic_reload_last_timestamp_seconds{apiserver_id_hash=\"sha256:server\",status=\"failure\"} 1700000000",
                "automatic_reloads_total{apiserver_id_hash=\"sha256:server\",status=\"failure\"} 1"
            ]
        );
    }

    /// Also `TestEncryptionConfigAutomaticReloadLastTimestampSeconds`.
    #[test]
    fn test_record_encryption_config_automatic_reload_success() {
        let recorded = Recorded::new();
        recorded.metrics.reloaded("sha256:file", now());
        assert_eq!(
            recorded.lines(),
            [
                "automatic_reload_last_timestamp_seconds{apiserver_id_hash=\"sha256:server\",status=\"success\"} 1700000000",
                "automatic_reloads_total{apiserver_id_hash=\"sha256:server\",status=\"success\"} 1",
                "last_config_info{apiserver_id_hash=\"sha256:server\",hash=\"sha256:file\"} 1"
            ]
        );
    }

    #[test]
    fn test_record_encryption_config_automatic_reload_success_stale_metric_cleanup() {
        let recorded = Recorded::new();
        recorded.metrics.applied("sha256:first");
        recorded.metrics.reloaded("sha256:second", now());
        let info: Vec<_> = recorded.lines().into_iter().filter(|line| line.starts_with("last_config_info")).collect();
        assert_eq!(info, ["last_config_info{apiserver_id_hash=\"sha256:server\",hash=\"sha256:second\"} 1"]);
    }
}
