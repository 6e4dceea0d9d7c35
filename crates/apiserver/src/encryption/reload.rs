//! Hot reload: a changed configuration file takes effect without a restart, if it is valid and its plugins are healthy.
//!
//! Imitates kube-apiserver's `encryptionconfig/controller/controller.go`: the file is looked at every minute and its hash
//! compared; after a failure again soon, each time later than before. All on the stack's clock.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use envelope::{ConfigProblems, EncryptionConfiguration, ParseOptions};
use jiff::{SignedDuration, Timestamp};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;
use super::transform::{Encryption, EncryptionReload, HealthError};
use super::transformers::Transformers;

/// The task that follows a file.
#[derive(Debug)]
pub(super) struct Reloader {
    file: PathBuf,
    options: ParseOptions,
    encryption: Arc<Encryption>,
    clock: Clock,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
    /// As upstream's queue has it, successes do not take any back.
    failures: u32,
}

/// A changed file did not take effect. What was in use goes on.
#[derive(Debug, Error)]
enum ReloadError {
    #[error("encryption provider configuration file {file:?} is empty")]
    Empty { file: PathBuf },
    #[error("error while parsing file")]
    Parse(#[source] ConfigProblems),
    #[error("error reading encryption provider configuration file {file:?}")]
    Read {
        file: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("health check for new transformers failed, polling error timed out waiting for the condition")]
    Unhealthy(#[source] HealthError),
}

impl Reloader {
    pub(super) fn new(
        reload: EncryptionReload,
        encryption: Arc<Encryption>,
        clock: Clock,
        metrics: Arc<Metrics>,
        shutdown: CancellationToken,
    ) -> Self {
        let EncryptionReload { file, options } = reload;
        let options = ParseOptions { reload: true, ..options };
        Self { file, options, encryption, clock, metrics, shutdown, failures: 0 }
    }

    pub(super) async fn run(mut self) {
        let mut tick = after(self.clock.now(), POLL_INTERVAL);
        loop {
            let mut next = tick;
            match self.look().await {
                Ok(None) => {}
                Ok(Some(hash)) => {
                    tracing::info!(file = %self.file.display(), hash, "loaded the new encryption configuration");
                    self.metrics.config.reloaded(&hash, self.clock.now());
                }
                Err(error) => {
                    self.metrics.config.failed_to_reload(self.clock.now());
                    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                    tracing::error!(file = %self.file.display(), %error, cause, "error processing encryption config file");
                    next = next.min(after(self.clock.now(), retry_delay(self.failures)));
                    self.failures = self.failures.saturating_add(1);
                }
            }
            self.clock.wait_until(next).await;
            let now = self.clock.now();
            if now >= tick {
                tick = after(now, POLL_INTERVAL);
            }
        }
    }

    /// Looks at the file once; the hash of what has taken effect, if it has changed.
    async fn look(&self) -> Result<Option<String>, ReloadError> {
        let content = read(&self.file).await?;
        if self.encryption.current().hash() == Some(EncryptionConfiguration::hash_of(&content).as_str()) {
            return Ok(None);
        }
        let config = EncryptionConfiguration::parse_with(&content, self.options).map_err(ReloadError::Parse)?;
        let hash = config.hash().to_owned();
        let stop = self.shutdown.child_token();
        // Whatever ends this look before the new transformers are in use ends their checks as well.
        let unless_used = stop.clone().drop_guard();
        let new = Transformers::start(Some(config), &self.clock, Arc::clone(&self.metrics), stop).await;
        self.wait_for_health(&new).await?;
        unless_used.disarm();
        let old = self.encryption.replace(new);
        let (clock, shutdown) = (self.clock.clone(), self.shutdown.clone());
        tokio::spawn(async move {
            shutdown.run_until_cancelled(clock.wait(old.grace())).await;
            old.stop();
        });
        Ok(Some(hash))
    }

    async fn wait_for_health(&self, new: &Transformers) -> Result<(), ReloadError> {
        let deadline = after(self.clock.now(), new.grace().max(MIN_GRACE));
        loop {
            let unhealthy = new.check().await;
            if unhealthy.is_empty() {
                return Ok(());
            }
            if self.clock.now() >= deadline {
                return Err(ReloadError::Unhealthy(HealthError::Some(unhealthy)));
            }
            self.clock.wait(HEALTH_INTERVAL).await;
        }
    }
}

async fn read(file: &Path) -> Result<Vec<u8>, ReloadError> {
    match tokio::fs::read(file).await {
        Ok(content) if content.is_empty() => Err(ReloadError::Empty { file: file.to_owned() }),
        Ok(content) => Ok(content),
        Err(source) => Err(ReloadError::Read { file: file.to_owned(), source }),
    }
}

/// 5 ms, doubled by each failure so far, at most 1000 s (`DefaultTypedControllerRateLimiter`).
fn retry_delay(failures: u32) -> Duration {
    let millis = 5_u64.checked_shl(failures.min(40)).unwrap_or(u64::MAX);
    Duration::from_millis(millis).min(MAX_RETRY_DELAY)
}

fn after(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| at.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

/// How often the file is looked at (`EncryptionConfigFileChangePollDuration`).
const POLL_INTERVAL: Duration = Duration::from_mins(1);
/// How long new plugins have at least to become healthy (`minKMSPluginCloseGracePeriod`).
const MIN_GRACE: Duration = Duration::from_secs(10);
/// How often they are asked.
const HEALTH_INTERVAL: Duration = Duration::from_millis(100);
/// The longest time between a failure and the next try.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(1000);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_come_later_and_later() {
        assert_eq!([0, 1, 10].map(retry_delay), [5, 10, 5120].map(Duration::from_millis));
        assert_eq!([17, 18, 60, u32::MAX].map(|failures| retry_delay(failures).as_secs()), [655, 1000, 1000, 1000]);
    }
}
