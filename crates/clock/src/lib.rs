//! The one clock of a stack: real time plus an offset that can be advanced.
//!
//! Key expiry, soft-delete retention, the API server's three minutes of write grace and its 24-hour DEK cache all
//! read this clock, so that ninety days pass in one call. It can only be advanced, never turned back, as a real
//! server's clock would be expected to behave.
//!
//! What this crate does not do: token lifetimes and network time-outs run on real time, because clients that Kyanite
//! does not control measure them by their own clocks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

/// A handle on a stack's clock. Clones share the offset: advancing one advances all.
///
/// ```
/// # use std::time::Duration;
/// let clock = clock::Clock::new();
/// let before = clock.now();
/// clock.advance(Duration::from_hours(90 * 24)).unwrap();
/// assert!(clock.now().duration_since(before).as_hours() >= 90 * 24);
/// ```
#[derive(Clone)]
pub struct Clock {
    offset: Arc<watch::Sender<SignedDuration>>,
}

impl Clock {
    /// A clock that shows real time until it is advanced.
    pub fn new() -> Self {
        Self { offset: Arc::new(watch::Sender::new(SignedDuration::ZERO)) }
    }

    /// The stack's time.
    pub fn now(&self) -> Timestamp {
        let offset = *self.offset.borrow();
        // `advance` refuses an offset that leads out of the range of timestamps; real time alone would have to
        // pass the year 9999 for this to saturate.
        real_now().checked_add(offset).unwrap_or(Timestamp::MAX)
    }

    /// How far this clock is ahead of real time.
    pub fn offset(&self) -> SignedDuration {
        *self.offset.borrow()
    }

    /// Moves the clock forward by `by` and wakes everything that waits on it.
    ///
    /// # Errors
    ///
    /// [`AdvanceError`] if the clock would pass the last representable moment (the year 9999); it is left as it was.
    pub fn advance(&self, by: Duration) -> Result<Timestamp, AdvanceError> {
        let mut outcome = Err(AdvanceError { by });
        self.offset.send_if_modified(|offset| {
            let moved = SignedDuration::try_from(by).ok().and_then(|by| offset.checked_add(by));
            let Some((moved, now)) = moved.and_then(|moved| Some((moved, real_now().checked_add(moved).ok()?))) else {
                return false;
            };
            *offset = moved;
            outcome = Ok(now);
            true
        });
        outcome
    }

    /// Waits until the clock shows `deadline` or later. Returns at once if it already does.
    pub async fn wait_until(&self, deadline: Timestamp) {
        let mut changes = self.offset.subscribe();
        loop {
            let left = deadline.duration_since(real_now_plus(*changes.borrow_and_update()));
            let Ok(left) = Duration::try_from(left) else { return };
            if left.is_zero() {
                return;
            }
            // Time left is re-read after either wake-up: an advance shortens it, and a timer may fire a little early.
            let _ = tokio::time::timeout(left, changes.changed()).await;
        }
    }

    /// Waits until the clock has moved on by `span`.
    pub async fn wait(&self, span: Duration) {
        let deadline = SignedDuration::try_from(span)
            .ok()
            .and_then(|span| self.now().checked_add(span).ok())
            .unwrap_or(Timestamp::MAX);
        self.wait_until(deadline).await;
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("offset", &self.offset()).finish()
    }
}

/// The clock was asked to pass the last moment it can show.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AdvanceError {
    by: Duration,
}

impl fmt::Display for AdvanceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "advance the clock by {} s: it cannot pass the year 9999", self.by.as_secs())
    }
}

impl std::error::Error for AdvanceError {}

#[expect(clippy::disallowed_methods, reason = "this crate is where real time enters the workspace")]
fn real_now() -> Timestamp {
    Timestamp::now()
}

fn real_now_plus(offset: SignedDuration) -> Timestamp {
    real_now().checked_add(offset).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn clones_share_the_offset() {
        let clock = Clock::new();
        let other = clock.clone();
        clock.advance(90 * DAY).unwrap();
        assert_eq!(other.offset(), SignedDuration::from_hours(90 * 24));
    }

    #[test]
    fn an_advance_out_of_range_is_refused_and_changes_nothing() {
        let clock = Clock::new();
        let by = 366 * 9_000 * DAY;
        assert_eq!(clock.advance(by), Err(AdvanceError { by }));
        assert_eq!(clock.advance(Duration::MAX), Err(AdvanceError { by: Duration::MAX }));
        assert_eq!(clock.offset(), SignedDuration::ZERO);
    }

    #[tokio::test]
    async fn an_advance_wakes_a_waiter() {
        let clock = Clock::new();
        let deadline = clock.now().checked_add(SignedDuration::from_hours(90 * 24)).unwrap();
        let waiter = tokio::spawn({
            let clock = clock.clone();
            async move { clock.wait_until(deadline).await }
        });
        // One day is not enough, the rest is.
        clock.advance(DAY).unwrap();
        tokio::task::yield_now().await;
        assert!(!waiter.is_finished());
        clock.advance(89 * DAY).unwrap();
        tokio::time::timeout(Duration::from_secs(10), waiter).await.expect("woken by the advance").unwrap();
    }

    #[tokio::test]
    async fn a_moment_in_the_past_is_not_waited_for() {
        let clock = Clock::new();
        clock.wait_until(Timestamp::UNIX_EPOCH).await;
    }
}
