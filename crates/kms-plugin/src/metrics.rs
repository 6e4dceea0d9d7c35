//! `kms_request`, the one metric of Azure's plugin: how long operations took and how they ended.
//!
//! Imitates `pkg/metrics` of Azure/kubernetes-kms: its name, help, labels and buckets, as the `OpenTelemetry` exporter
//! prints them. Differs: the label of a failure is its class and not its text, which has no bound.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, Registry, TextEncoder};

use crate::vault_error::FailureClass;

/// The metrics of one plugin.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: HistogramVec,
    texts: bool,
}

impl Metrics {
    /// With the whole texts of failures as labels, as Azure's plugin has them, or with their classes.
    pub(crate) fn new(texts: bool) -> Result<Self, prometheus::Error> {
        let failure = if texts { "error_message" } else { "error_class" };
        let labels = ["operation", "status", failure, "otel_scope_name", "otel_scope_schema_url", "otel_scope_version"];
        let options = HistogramOpts::new("kms_request", "Distribution of how long it took for an operation");
        let requests = HistogramVec::new(options.buckets(BUCKETS_SECS.to_vec()), &labels)?;
        let registry = Registry::new();
        registry.register(Box::new(requests.clone()))?;
        Ok(Self { registry, requests, texts })
    }

    /// Counts one `operation`: what it was about, such as `encrypt`, or the call, such as `grpc_encrypt`.
    pub(crate) fn record(&self, operation: &str, took: Duration, failure: Option<(FailureClass, &str)>) {
        let status = if failure.is_some() { "error" } else { "success" };
        let failure = match failure {
            None => "",
            Some((_, text)) if self.texts => text,
            Some((class, _)) => class.name(),
        };
        let labels = [operation, status, failure, "keyvaultkms", "", ""];
        self.requests.with_label_values(&labels).observe(took.as_secs_f64());
    }

    /// In Prometheus' text format.
    pub(crate) fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// `ExponentialBucketsRange(0.1, 2, 11)`, as the Go library's rounding has it and Azure's plugin prints it.
const BUCKETS_SECS: [f64; 11] = [
    0.1,
    0.134_928_284_767_356_33,
    0.182_056_420_302_608_02,
    0.245_645_605_223_158_04,
    0.331_445_401_733_998_6,
    0.447_213_595_499_957_8,
    0.603_417_633_654_516_2,
    0.814_181_063_073_808_4,
    1.098_560_543_306_117_2,
    1.482_268_898_213_894_7,
    1.999_999_999_999_999_1,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_azures_and_failures_have_a_class() {
        let metrics = Metrics::new(false).unwrap();
        metrics.record("encrypt", Duration::from_millis(150), None);
        metrics.record("decrypt", Duration::from_secs(3), Some((FailureClass::Throttled, "a text of the vault")));
        let text = metrics.text().unwrap();
        for line in [
            "# TYPE kms_request histogram",
            r#"kms_request_bucket{error_class="",operation="encrypt",otel_scope_name="keyvaultkms",otel_scope_schema_url="",otel_scope_version="",status="success",le="0.1"} 0"#,
            r#"kms_request_bucket{error_class="",operation="encrypt",otel_scope_name="keyvaultkms",otel_scope_schema_url="",otel_scope_version="",status="success",le="0.18205642030260802"} 1"#,
            r#"kms_request_bucket{error_class="throttled",operation="decrypt",otel_scope_name="keyvaultkms",otel_scope_schema_url="",otel_scope_version="",status="error",le="1.9999999999999991"} 0"#,
            r#"kms_request_count{error_class="throttled",operation="decrypt",otel_scope_name="keyvaultkms",otel_scope_schema_url="",otel_scope_version="",status="error"} 1"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("a text of the vault"));
    }

    #[test]
    fn azures_label_is_the_whole_text() {
        let metrics = Metrics::new(true).unwrap();
        metrics.record("decrypt", Duration::ZERO, Some((FailureClass::Throttled, "a text of the vault")));
        assert!(metrics.text().unwrap().contains(r#"error_message="a text of the vault""#));
    }
}
