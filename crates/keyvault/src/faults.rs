//! Faults on demand: latency, refusals, hanging and dropped connections.
//!
//! They are injected through [`Control`](crate::Control) only, never over the emulated protocol, and strike in one of two
//! places. A fault on everything, on the vault or on the identity endpoints strikes each request as it arrives, before
//! any check, as an outage would. A fault on one operation of the vault strikes that operation's requests once their token
//! is accepted, so that a client's unauthenticated first probe neither sees it nor uses it up.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::operation::Operation;

/// A fault to inject.
///
/// As JSON: `{"target": {"operation": "KeyEncrypt"}, "effect": {"refuse": {"status": 429}}, "count": 3}`. `target` is
/// `everything` by default; without `count` the fault stays until it is cleared.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which requests it strikes.
    #[serde(default)]
    pub target: FaultTarget,
    /// What it does to them.
    pub effect: FaultEffect,
    /// How many requests it strikes. `None`: all, until it is cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<NonZeroU32>,
}

/// The requests that a fault strikes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultTarget {
    /// Every request.
    #[default]
    Everything,
    /// Every request to Entra and the managed-identity endpoints.
    Identity,
    /// The requests of one operation; those of the vault once their token is accepted.
    Operation(Operation),
    /// Every request to a vault.
    Vault,
}

/// What a fault does.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultEffect {
    /// Waits on real time, then goes on.
    Delay {
        /// For how long, in milliseconds.
        millis: u64,
    },
    /// Closes the connection without an answer.
    Drop,
    /// Gives no answer until the fault is cleared, then goes on.
    Hang,
    /// Answers with an error instead of carrying the request out.
    Refuse {
        /// The HTTP status, 400 to 599.
        status: u16,
        /// `error.code`; by default the one Azure uses with this status.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        /// `error.innererror.code`; none by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        inner_code: Option<String>,
        /// `error.message`; by default the one Azure uses with this status.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// The `Retry-After` header in seconds. Azure's own 429 was seen without one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_seconds: Option<u32>,
    },
}

/// Names an injected fault.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct FaultId(u64);

/// An injected fault and what it has done so far. Stays listed until it is cleared, also when its count is used up.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct InjectedFault {
    /// Its name.
    pub id: FaultId,
    /// The fault as it was injected.
    pub fault: Fault,
    /// How many requests it has struck.
    pub struck: u32,
}

/// A fault that cannot be injected.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FaultError {
    /// The status is not one of an error.
    #[error("refuse with status {status}: it must be 400 to 599")]
    Status {
        /// The status asked for.
        status: u16,
    },
}

/// Which emulator a request has arrived at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Identity,
    Vault,
}

/// How a request goes on after the faults have struck it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    Drop,
    Proceed,
    Refuse {
        status: u16,
        code: Option<String>,
        inner_code: Option<String>,
        message: Option<String>,
        retry_after_seconds: Option<u32>,
    },
}

/// The injected faults.
#[derive(Debug)]
pub(crate) struct Faults {
    /// Also wakes the requests that hang when a fault is cleared.
    injected: watch::Sender<Vec<InjectedFault>>,
    next_id: AtomicU64,
}

impl Faults {
    pub(crate) fn new() -> Self {
        Self { injected: watch::Sender::new(Vec::new()), next_id: AtomicU64::new(1) }
    }

    pub(crate) fn inject(&self, fault: Fault) -> Result<FaultId, FaultError> {
        if let FaultEffect::Refuse { status, .. } = fault.effect
            && !(400..600).contains(&status)
        {
            return Err(FaultError::Status { status });
        }
        let id = FaultId(self.next_id.fetch_add(1, Ordering::Relaxed));
        self.injected.send_modify(|injected| injected.push(InjectedFault { id, fault, struck: 0 }));
        Ok(id)
    }

    pub(crate) fn clear(&self, id: FaultId) -> bool {
        self.injected.send_if_modified(|injected| {
            let before = injected.len();
            injected.retain(|fault| fault.id != id);
            injected.len() < before
        })
    }

    pub(crate) fn clear_all(&self) {
        self.injected.send_modify(Vec::clear);
    }

    pub(crate) fn list(&self) -> Vec<InjectedFault> {
        self.injected.borrow().clone()
    }

    /// Lets the faults strike a request that has just arrived. Ends early with [`Verdict::Drop`] at shutdown.
    pub(crate) async fn strike_arrival(&self, side: Side, shutdown: &CancellationToken) -> Verdict {
        self.strike(
            |target| match target {
                FaultTarget::Everything => true,
                FaultTarget::Identity => side == Side::Identity,
                FaultTarget::Operation(_) => false,
                FaultTarget::Vault => side == Side::Vault,
            },
            shutdown,
        )
        .await
    }

    /// Lets the faults strike a request that is about to be carried out. Ends early with [`Verdict::Drop`] at shutdown.
    pub(crate) async fn strike_operation(&self, operation: Operation, shutdown: &CancellationToken) -> Verdict {
        self.strike(|target| target == FaultTarget::Operation(operation), shutdown).await
    }

    async fn strike(&self, concerns: impl Fn(FaultTarget) -> bool, shutdown: &CancellationToken) -> Verdict {
        for (id, effect) in self.draw(concerns) {
            match effect {
                FaultEffect::Delay { millis } => {
                    let delay = Duration::from_millis(millis);
                    // The token as the only other way out: a delay is network time, which the stack's clock is not.
                    if tokio::time::timeout(delay, shutdown.cancelled()).await.is_ok() {
                        return Verdict::Drop;
                    }
                }
                FaultEffect::Drop => return Verdict::Drop,
                FaultEffect::Hang => {
                    let mut changes = self.injected.subscribe();
                    let cleared = changes.wait_for(|injected| injected.iter().all(|fault| fault.id != id));
                    tokio::select! {
                        // First, so that a request let go at the very end is still answered.
                        biased;
                        _ = cleared => {}
                        () = shutdown.cancelled() => return Verdict::Drop,
                    }
                }
                FaultEffect::Refuse { status, code, inner_code, message, retry_after_seconds } => {
                    return Verdict::Refuse { status, code, inner_code, message, retry_after_seconds };
                }
            }
        }
        Verdict::Proceed
    }

    /// Takes the effects that strike one request, in the order of injection, up to the first that ends it.
    fn draw(&self, concerns: impl Fn(FaultTarget) -> bool) -> Vec<(FaultId, FaultEffect)> {
        let mut drawn = Vec::new();
        self.injected.send_if_modified(|injected| {
            for entry in injected.iter_mut() {
                let spent = entry.fault.count.is_some_and(|count| entry.struck >= count.get());
                if spent || !concerns(entry.fault.target) {
                    continue;
                }
                entry.struck = entry.struck.saturating_add(1);
                drawn.push((entry.id, entry.fault.effect.clone()));
                if matches!(entry.fault.effect, FaultEffect::Drop | FaultEffect::Refuse { .. }) {
                    break;
                }
            }
            // Nothing was cleared: nobody who hangs need wake.
            false
        });
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(target: FaultTarget, effect: FaultEffect, count: Option<u32>) -> Fault {
        Fault { target, effect, count: count.and_then(NonZeroU32::new) }
    }

    fn refuse(status: u16) -> FaultEffect {
        FaultEffect::Refuse { status, code: None, inner_code: None, message: None, retry_after_seconds: None }
    }

    #[tokio::test]
    async fn a_count_is_used_up_and_an_operation_fault_strikes_only_its_operation() {
        let (faults, shutdown) = (Faults::new(), CancellationToken::new());
        let encrypt = FaultTarget::Operation(Operation::KeyEncrypt);
        let id = faults.inject(fault(encrypt, refuse(429), Some(2))).unwrap();
        assert_eq!(faults.strike_arrival(Side::Vault, &shutdown).await, Verdict::Proceed);
        assert_eq!(faults.strike_operation(Operation::KeyDecrypt, &shutdown).await, Verdict::Proceed);
        for _ in 0..2 {
            let verdict = faults.strike_operation(Operation::KeyEncrypt, &shutdown).await;
            assert!(matches!(verdict, Verdict::Refuse { status: 429, .. }), "{verdict:?}");
        }
        assert_eq!(faults.strike_operation(Operation::KeyEncrypt, &shutdown).await, Verdict::Proceed);
        assert_eq!(faults.list()[0].struck, 2);
        assert!(faults.clear(id));
        assert!(!faults.clear(id));
        assert!(faults.list().is_empty());
    }

    #[tokio::test]
    async fn a_hang_ends_when_it_is_cleared_and_not_before() {
        let (faults, shutdown) = (std::sync::Arc::new(Faults::new()), CancellationToken::new());
        let id = faults.inject(fault(FaultTarget::Vault, FaultEffect::Hang, Some(1))).unwrap();
        let waiting = tokio::spawn({
            let (faults, shutdown) = (faults.clone(), shutdown.clone());
            async move { faults.strike_arrival(Side::Vault, &shutdown).await }
        });
        while faults.list()[0].struck == 0 {
            tokio::task::yield_now().await;
        }
        let other = faults.inject(fault(FaultTarget::Identity, FaultEffect::Drop, None)).unwrap();
        faults.clear(other);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "clearing another fault must not end the hang");
        faults.clear(id);
        assert_eq!(waiting.await.unwrap(), Verdict::Proceed);
    }

    #[tokio::test]
    async fn shutdown_ends_a_hang_and_a_delay() {
        for effect in [FaultEffect::Hang, FaultEffect::Delay { millis: 3_600_000 }] {
            let (faults, shutdown) = (Faults::new(), CancellationToken::new());
            faults.inject(fault(FaultTarget::Everything, effect, None)).unwrap();
            shutdown.cancel();
            assert_eq!(faults.strike_arrival(Side::Identity, &shutdown).await, Verdict::Drop);
        }
    }

    #[test]
    fn faults_are_plain_json() {
        let text = r#"{"target":{"operation":"KeyEncrypt"},"effect":{"refuse":{"status":429}},"count":3}"#;
        let parsed: Fault = serde_json::from_str(text).unwrap();
        assert_eq!(parsed, fault(FaultTarget::Operation(Operation::KeyEncrypt), refuse(429), Some(3)));
        assert_eq!(serde_json::to_string(&parsed).unwrap(), text);
        let short: Fault = serde_json::from_str(r#"{"effect":"drop"}"#).unwrap();
        assert_eq!(short, fault(FaultTarget::Everything, FaultEffect::Drop, None));
        for bad in [r#"{"effect":"explode"}"#, r#"{"effect":"drop","often":1}"#, r#"{"effect":"drop","count":0}"#] {
            assert!(serde_json::from_str::<Fault>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_refusal_must_be_an_error() {
        let status = FaultError::Status { status: 200 };
        assert_eq!(Faults::new().inject(fault(FaultTarget::Everything, refuse(200), None)), Err(status));
    }
}
