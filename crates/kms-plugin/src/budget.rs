//! How long a call may take, and trying again within that.
//!
//! kube-apiserver gives a KMS call 3 s. Azure's plugin waits 30 s after a first 429, so its caller only ever sees a
//! deadline error. Differs: a call here ends before its caller stops listening, with the vault's own error.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::metadata::MetadataMap;
use tracing::debug;

use crate::vault_error::{FailureClass, VaultClientError};

/// The moment by which an answer must be on its way. Real time: it is the caller's network time-out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    started: Instant,
    until: Instant,
}

impl Budget {
    pub(crate) fn of(span: Duration) -> Self {
        let started = Instant::now();
        Self { started, until: started + span.min(LONGEST) }
    }

    /// The caller's `grpc-timeout` less what sending the answer may take; without one, the longest.
    pub(crate) fn of_call(metadata: &MetadataMap) -> Self {
        let given = metadata.get("grpc-timeout").and_then(|value| parse_grpc_timeout(value.to_str().ok()?));
        Self::of(given.map_or(LONGEST, |given| given.saturating_sub((given / 10).min(MARGIN))))
    }

    /// Half of the time that is left, for what is not the call itself.
    pub(crate) fn half(self) -> Self {
        Self::of(self.until.saturating_duration_since(Instant::now()) / 2)
    }

    pub(crate) fn until(self) -> Instant {
        self.until
    }

    pub(crate) fn no_answer(self) -> VaultClientError {
        VaultClientError::NoAnswer { after: self.started.elapsed() }
    }

    /// Calls until it succeeds, fails for good, or no time is left; then the last real error is the answer.
    pub(crate) async fn try_within<T, F>(self, mut call: impl FnMut() -> F) -> Result<T, VaultClientError>
    where
        F: Future<Output = Result<T, VaultClientError>>,
    {
        let mut last = None;
        let mut pauses = PAUSES.into_iter();
        loop {
            let error = match timeout_at(self.until, call()).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => error,
                Err(_) => return Err(last.unwrap_or_else(|| self.no_answer())),
            };
            let Some(pause) = pauses.next().and_then(|pause| wait_after(&error, pause)) else { return Err(error) };
            let next = Instant::now() + pause;
            if next + SHORTEST_CALL > self.until {
                return Err(error);
            }
            debug!(class = ?error.class(), pause_ms = pause.as_millis(), "trying again");
            sleep_until(next).await;
            last = Some(error);
        }
    }
}

/// Trying again as Azure's plugin does.
impl Budget {
    /// Calls up to four times, with Retry-After or else 30, 60 and 120 s between, as go-autorest does. A caller's
    /// deadline ends a wait, and then that is all that the caller hears.
    pub(crate) async fn try_patiently<T, F>(self, mut call: impl FnMut() -> F) -> Result<T, VaultClientError>
    where
        F: Future<Output = Result<T, VaultClientError>>,
    {
        let mut pauses = PATIENT_PAUSES.into_iter();
        loop {
            let error = match timeout_at(self.until, call()).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => error,
                Err(_) => return Err(self.no_answer()),
            };
            let may_get_better = matches!(error.class(), FailureClass::Throttled | FailureClass::Unavailable);
            let Some(pause) = pauses.next().filter(|_| may_get_better) else { return Err(error) };
            let next = Instant::now() + error.retry_after().unwrap_or(pause);
            sleep_until(next.min(self.until)).await;
            if next >= self.until {
                return Err(self.no_answer());
            }
        }
    }
}

/// How long to wait before another try, or `None` if none can help.
fn wait_after(error: &VaultClientError, pause: Duration) -> Option<Duration> {
    match error.class() {
        FailureClass::Throttled | FailureClass::Unavailable => {
            Some(jittered(pause).max(error.retry_after().unwrap_or(Duration::ZERO)))
        }
        _ => None,
    }
}

/// Between half of `pause` and all of it, so that servers that failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    let mut byte = [0_u8];
    // Without random bytes the full pause is right too.
    let share = aws_lc_rs::rand::fill(&mut byte).map_or(u8::MAX, |()| u8::from_ne_bytes(byte));
    pause / 2 + pause * u32::from(share) / (2 * 255)
}

/// `1S`, `500m`: up to eight digits and a unit (gRPC over HTTP/2, "Timeout").
fn parse_grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_hours(count)),
        "M" => Some(Duration::from_mins(count)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

/// What a call without a deadline gets; Azure's plugin gives its own health check as much.
const LONGEST: Duration = Duration::from_secs(20);

/// What of a deadline is kept for the way back: a tenth, at most this.
const MARGIN: Duration = Duration::from_millis(300);

/// A try that has less time than this is not worth starting.
const SHORTEST_CALL: Duration = Duration::from_millis(50);

/// The waits between tries, before jitter: four tries in 1.3 s.
const PAUSES: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(300), Duration::from_millis(900)];

/// The waits of go-autorest.
const PATIENT_PAUSES: [Duration; 3] = [Duration::from_secs(30), Duration::from_mins(1), Duration::from_mins(2)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_timeouts_are_read() {
        assert_eq!(parse_grpc_timeout("3S"), Some(Duration::from_secs(3)));
        assert_eq!(parse_grpc_timeout("2999988u"), Some(Duration::from_micros(2_999_988)));
        assert_eq!(parse_grpc_timeout("99999999H"), Some(Duration::from_hours(99_999_999)));
        for text in ["", "S", "3", "123456789S", "-1S", "1x", "1é"] {
            assert_eq!(parse_grpc_timeout(text), None, "{text}");
        }
    }

    #[test]
    fn a_margin_is_kept_for_the_way_back() {
        let left = |text: &'static str| {
            let mut metadata = MetadataMap::new();
            metadata.insert("grpc-timeout", text.parse().unwrap());
            let budget = Budget::of_call(&metadata);
            budget.until - budget.started
        };
        assert_eq!(left("3S"), Duration::from_millis(2700));
        assert_eq!(left("100m"), Duration::from_millis(90));
        assert_eq!(left("99999999H"), LONGEST);
        assert_eq!(left("x"), LONGEST);
    }

    #[test]
    fn jitter_stays_within_the_pause() {
        let pause = Duration::from_millis(900);
        for _ in 0..1000 {
            let waited = jittered(pause);
            assert!(waited >= pause / 2 && waited <= pause, "{waited:?}");
        }
    }
}
