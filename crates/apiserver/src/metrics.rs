//! `/metrics`: the registry of one server, and its request metrics.
//!
//! Names, labels and buckets are those of `endpoints/metrics/metrics.go`, of which only the two that dashboards lean on
//! are here. The encryption metrics are registered by `encryption`.

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

use crate::resource::Resource;

/// The metrics of one server.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    long_running: IntGaugeVec,
}

/// What one request was about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestLabels {
    /// `GET`, `LIST`, `WATCH`, `POST`, …
    pub(crate) verb: &'static str,
    pub(crate) resource: Option<Resource>,
    /// `resource`, `namespace`, `cluster` or nothing.
    pub(crate) scope: &'static str,
    pub(crate) dry_run: bool,
}

impl Metrics {
    /// Registers the request metrics.
    ///
    /// # Errors
    ///
    /// The registry's error if a name is taken.
    pub(crate) fn new(registry: Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new(
                "apiserver_request_total",
                "[STABLE] Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code.",
            ),
            &["code", "component", "dry_run", "group", "resource", "scope", "subresource", "verb", "version"],
        )?;
        let durations = HistogramVec::new(
            HistogramOpts::new("apiserver_request_duration_seconds", "[STABLE] Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component.")
                .buckets(DURATION_BUCKETS.to_vec()),
            &["component", "dry_run", "group", "resource", "scope", "subresource", "verb", "version"],
        )?;
        let long_running = IntGaugeVec::new(
            Opts::new(
                "apiserver_longrunning_requests",
                "[STABLE] Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope and component. Not all requests are tracked this way.",
            ),
            &["component", "group", "resource", "scope", "subresource", "verb", "version"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        registry.register(Box::new(long_running.clone()))?;
        Ok(Self { registry, requests, durations, long_running })
    }

    /// Counts an answered request. Watches are counted without their duration, as upstream does.
    pub(crate) fn observe(&self, labels: RequestLabels, code: u16, seconds: f64) {
        let RequestLabels { verb, scope, .. } = labels;
        let dry_run = if labels.dry_run { "All" } else { "" };
        let resource = labels.resource.map_or("", Resource::plural);
        let version = if labels.resource.is_some() { "v1" } else { "" };
        let code = code.to_string();
        self.requests.with_label_values(&[&code, COMPONENT, dry_run, "", resource, scope, "", verb, version]).inc();
        if verb != "WATCH" {
            self.durations
                .with_label_values(&[COMPONENT, dry_run, "", resource, scope, "", verb, version])
                .observe(seconds);
        }
    }

    /// Counts a watch as running until the answer is dropped.
    pub(crate) fn watch_started(&self, resource: Resource, scope: &str) -> Running {
        let gauge = self.long_running.with_label_values(&[COMPONENT, "", resource.plural(), scope, "", "WATCH", "v1"]);
        gauge.inc();
        Running(gauge)
    }

    /// Text format 0.0.4.
    ///
    /// # Errors
    ///
    /// The encoder's error.
    pub(crate) fn render(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// A request that runs for long.
#[derive(Debug)]
pub(crate) struct Running(IntGauge);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.dec();
    }
}

const COMPONENT: &str = "apiserver";
/// Seconds, as upstream.
const DURATION_BUCKETS: [f64; 22] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0,
    60.0,
];
