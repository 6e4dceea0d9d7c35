//! Whether an etcd answers, and what stands in it before a stack uses it.

use std::time::Duration;

use etcd_client::{Client, ConnectOptions, GetOptions};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout};

use super::error::EtcdError;

/// Asks one endpoint for a read that needs a leader and a majority; `Err` is what went wrong, in a line.
pub(super) async fn check(endpoint: &str) -> Result<(), String> {
    let options = ConnectOptions::new().with_connect_timeout(CHECK_TIMEOUT).with_timeout(CHECK_TIMEOUT);
    // Boxed: the client's future takes 20 kB, in every future that waits for this one.
    let read = Box::pin(async {
        let mut client = Client::connect([endpoint], Some(options)).await?;
        client.get(HEALTH_KEY, None).await
    });
    match timeout(CHECK_TIMEOUT, read).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(words(&error)),
        Err(_) => Err(format!("no answer within {} s", CHECK_TIMEOUT.as_secs())),
    }
}

/// A wait for an endpoint to become healthy.
///
/// A loop of its owner's, who asks between two looks whether there is any hope left.
pub(super) struct Wait {
    endpoint: String,
    within: Duration,
    deadline: Instant,
    ticks: Interval,
    last: String,
}

impl Wait {
    pub(super) fn new(endpoint: String, within: Duration) -> Self {
        let mut ticks = interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let last = "it was not asked yet".to_owned();
        Self { endpoint, within, deadline: Instant::now() + within, ticks, last }
    }

    /// Looks once, a moment after the last look. `true` once the endpoint is healthy; [`EtcdError::NotReady`] when the
    /// time is over.
    pub(super) async fn look(&mut self) -> Result<bool, EtcdError> {
        self.ticks.tick().await;
        match check(&self.endpoint).await {
            Ok(()) => return Ok(true),
            Err(error) => self.last = error,
        }
        if Instant::now() < self.deadline {
            return Ok(false);
        }
        Err(EtcdError::NotReady { endpoint: self.endpoint.clone(), within: self.within, last: self.last.clone() })
    }

    /// Looks until the endpoint is healthy.
    pub(super) async fn finish(mut self) -> Result<(), EtcdError> {
        while !self.look().await? {}
        Ok(())
    }
}

/// How many keys stand under `prefix`.
pub(super) async fn count_keys(endpoints: &[String], prefix: &str) -> Result<i64, etcd_client::Error> {
    let options = ConnectOptions::new().with_timeout(CHECK_TIMEOUT);
    let mut client = Box::pin(Client::connect(endpoints, Some(options))).await?;
    // `/registry` must not count `/registry2`.
    let under = format!("{}/", prefix.trim_end_matches('/'));
    let options = GetOptions::new().with_prefix().with_count_only();
    let found = Box::pin(client.get(under, Some(options))).await?;
    Ok(found.count())
}

/// The innermost cause of a failed call, which is what a person can act on ("Connection refused"): the client's own text
/// prints the whole status with the debug form of all that is in it.
fn words(error: &etcd_client::Error) -> String {
    let etcd_client::Error::GRpcStatus(status) = error else { return chain(error) };
    let causes = std::iter::successors(std::error::Error::source(status), |cause| cause.source());
    causes.last().map_or_else(|| status.message().to_owned(), ToString::to_string)
}

/// An error and its sources in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some libraries put the source into the message too.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// Read for health checks, as `etcdctl endpoint health` does; it need not exist.
const HEALTH_KEY: &str = "health";
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(10);
