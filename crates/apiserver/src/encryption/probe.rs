//! The checks that nobody asks for: one at the start, then one a minute, or one every ten seconds until it goes well.
//!
//! Imitates `primeAndProbeKMSv2` of kube-apiserver's `encryptionconfig/config.go`, with one task in place of two: after a
//! failed start upstream's minute runs on beside the ten seconds, which gives the same intervals and no fewer checks.

use std::sync::Arc;

use clock::Clock;
use envelope::{CHECK_INTERVAL, RETRY_INTERVAL};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::provider::KmsDriver;

/// Makes the first check, and leaves a task that makes the others until `shutdown`.
pub(super) async fn start(driver: &Arc<KmsDriver>, clock: &Clock, shutdown: &CancellationToken) {
    let Some(healthy) = shutdown.run_until_cancelled(check(driver)).await else { return };
    // Read before the task is spawned: a clock that is advanced before the task first runs counts as well.
    let due = next(clock, healthy);
    let (driver, clock, shutdown) = (Arc::clone(driver), clock.clone(), shutdown.clone());
    tokio::spawn(async move {
        shutdown.run_until_cancelled(check_for_ever(&driver, &clock, due)).await;
    });
}

async fn check_for_ever(driver: &KmsDriver, clock: &Clock, mut due: Timestamp) {
    loop {
        clock.wait_until(due).await;
        due = next(clock, check(driver).await);
    }
}

/// When to check again.
fn next(clock: &Clock, healthy: bool) -> Timestamp {
    clock.now().checked_add(if healthy { CHECK_INTERVAL } else { RETRY_INTERVAL }).unwrap_or(Timestamp::MAX)
}

async fn check(driver: &KmsDriver) -> bool {
    match driver.check().await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(provider = %driver.name(), %error, "a KMS plugin failed its health check");
            false
        }
    }
}
