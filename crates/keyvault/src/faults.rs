//! Faults on demand: latency, refusals, hanging, dropped and broken-off connections.
//!
//! They are injected through [`Control`](crate::Control) only, never over the emulated protocol, and strike in one of two
//! places. A fault on everything, on the vaults or on the identity endpoints strikes each request as it arrives, before
//! any check, as an outage would. A fault on one operation, object or caller strikes once the token is accepted, so that a
//! client's unauthenticated first probe neither sees it nor uses it up.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clock::Clock;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::operation::Operation;

/// A fault to inject.
///
/// As JSON: `{"target": {"operation": "KeyEncrypt"}, "effect": {"refuse": {"status": 429}}, "count": 3}`. `target` is
/// `everything` by default; without `count` the fault stays until it is cleared.
///
/// All of `target`, `vault`, `object` and `caller` must fit a request. A fault that has struck `count` times, or whose
/// `for_seconds` are over, stays listed and does nothing.
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
    /// Strikes only each n-th of the requests that fit. `None`: each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<NonZeroU32>,
    /// How long it lasts on the stack's clock. `None`: until it is cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_seconds: Option<u32>,
    /// Only requests to the vault of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<String>,
    /// Only requests about the key or secret of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Only requests of the principal with this client id or object id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
}

impl Fault {
    /// A fault that strikes every request.
    pub fn new(effect: FaultEffect) -> Self {
        Self {
            target: FaultTarget::Everything,
            effect,
            count: None,
            every: None,
            for_seconds: None,
            vault: None,
            object: None,
            caller: None,
        }
    }

    fn fits(&self, subject: &Subject<'_>) -> bool {
        let after_the_token =
            matches!(self.target, FaultTarget::Operation(_)) || self.object.is_some() || self.caller.is_some();
        let target = match self.target {
            FaultTarget::Everything => true,
            FaultTarget::Identity => subject.side == Side::Identity,
            FaultTarget::Operation(operation) => subject.operation == Some(operation),
            FaultTarget::Vault => subject.side == Side::Vault,
        };
        let is = |wanted: &Option<String>, found: &[&str]| {
            wanted.as_ref().is_none_or(|wanted| found.iter().any(|found| found.eq_ignore_ascii_case(wanted)))
        };
        after_the_token == subject.operation.is_some()
            && target
            && is(&self.vault, subject.vault.as_slice())
            && is(&self.object, subject.object.as_slice())
            && is(&self.caller, subject.caller)
    }
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
    /// The requests of one operation.
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
    /// Carries the request out and breaks the connection off in the middle of the answer's body.
    Truncate {
        /// How much of the body is sent.
        bytes: usize,
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
    /// When it stops by itself, if it does.
    pub until: Option<Timestamp>,
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

/// A request, as far as faults look at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) side: Side,
    /// `None` while it arrives and its token has not been looked at.
    pub(crate) operation: Option<Operation>,
    pub(crate) vault: Option<&'a str>,
    pub(crate) object: Option<&'a str>,
    /// The ids of the caller.
    pub(crate) caller: &'a [&'a str],
}

impl<'a> Subject<'a> {
    /// A request that has just arrived.
    pub(crate) fn arriving(side: Side, vault: Option<&'a str>) -> Self {
        Self { side, operation: None, vault, object: None, caller: &[] }
    }
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
    /// Go on, and send only so many bytes of the answer's body.
    Truncate {
        bytes: usize,
    },
}

/// The injected faults.
#[derive(Debug)]
pub(crate) struct Faults {
    /// Also wakes the requests that hang when a fault is cleared.
    injected: watch::Sender<Vec<Entry>>,
    next_id: AtomicU64,
    clock: Clock,
}

#[derive(Clone, Debug)]
struct Entry {
    injected: InjectedFault,
    /// How many requests have fitted.
    seen: u32,
}

impl Faults {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { injected: watch::Sender::new(Vec::new()), next_id: AtomicU64::new(1), clock }
    }

    pub(crate) fn inject(&self, fault: Fault) -> Result<FaultId, FaultError> {
        if let FaultEffect::Refuse { status, .. } = fault.effect
            && !(400..600).contains(&status)
        {
            return Err(FaultError::Status { status });
        }
        let id = FaultId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let until = fault.for_seconds.map(|seconds| {
            let span = Duration::from_secs(seconds.into());
            self.clock.now().checked_add(span).unwrap_or(Timestamp::MAX)
        });
        let injected = InjectedFault { id, fault, struck: 0, until };
        self.injected.send_modify(|entries| entries.push(Entry { injected, seen: 0 }));
        Ok(id)
    }

    pub(crate) fn clear(&self, id: FaultId) -> bool {
        self.injected.send_if_modified(|injected| {
            let before = injected.len();
            injected.retain(|entry| entry.injected.id != id);
            injected.len() < before
        })
    }

    pub(crate) fn clear_all(&self) {
        self.injected.send_modify(Vec::clear);
    }

    pub(crate) fn list(&self) -> Vec<InjectedFault> {
        self.injected.borrow().iter().map(|entry| entry.injected.clone()).collect()
    }

    /// Lets the faults strike a request. Ends early with [`Verdict::Drop`] at shutdown.
    pub(crate) async fn strike(&self, subject: Subject<'_>, shutdown: &CancellationToken) -> Verdict {
        let mut verdict = Verdict::Proceed;
        for Drawn { id, effect, until } in self.draw(&subject) {
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
                    let cleared = changes.wait_for(|entries| entries.iter().all(|entry| entry.injected.id != id));
                    let over = async {
                        match until {
                            Some(until) => self.clock.wait_until(until).await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        // First, so that a request let go at the very end is still answered.
                        biased;
                        _ = cleared => {}
                        () = over => {}
                        () = shutdown.cancelled() => return Verdict::Drop,
                    }
                }
                FaultEffect::Refuse { status, code, inner_code, message, retry_after_seconds } => {
                    return Verdict::Refuse { status, code, inner_code, message, retry_after_seconds };
                }
                FaultEffect::Truncate { bytes } => verdict = Verdict::Truncate { bytes },
            }
        }
        verdict
    }

    /// Takes the effects that strike one request, in the order of injection, up to the first that ends it.
    fn draw(&self, subject: &Subject<'_>) -> Vec<Drawn> {
        let now = self.clock.now();
        let mut drawn = Vec::new();
        self.injected.send_if_modified(|entries| {
            for Entry { injected, seen } in entries.iter_mut() {
                let fault = &injected.fault;
                let spent = fault.count.is_some_and(|count| injected.struck >= count.get());
                let over = injected.until.is_some_and(|until| until <= now);
                if spent || over || !fault.fits(subject) {
                    continue;
                }
                *seen = seen.wrapping_add(1);
                if fault.every.is_some_and(|every| *seen % every.get() != 0) {
                    continue;
                }
                injected.struck = injected.struck.saturating_add(1);
                drawn.push(Drawn { id: injected.id, effect: fault.effect.clone(), until: injected.until });
                if matches!(fault.effect, FaultEffect::Drop | FaultEffect::Refuse { .. }) {
                    break;
                }
            }
            // Nothing was cleared: nobody who hangs need wake.
            false
        });
        drawn
    }
}

/// An effect that strikes a request.
struct Drawn {
    id: FaultId,
    effect: FaultEffect,
    until: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(target: FaultTarget, effect: FaultEffect, count: Option<u32>) -> Fault {
        Fault { target, count: count.and_then(NonZeroU32::new), ..Fault::new(effect) }
    }

    fn arriving(side: Side) -> Subject<'static> {
        Subject::arriving(side, Some("kyanite"))
    }

    fn about(operation: Operation) -> Subject<'static> {
        let caller = &["client", "object-id"];
        Subject { side: Side::Vault, operation: Some(operation), vault: Some("kyanite"), object: Some("kms"), caller }
    }

    fn refuse(status: u16) -> FaultEffect {
        FaultEffect::Refuse { status, code: None, inner_code: None, message: None, retry_after_seconds: None }
    }

    #[tokio::test]
    async fn a_count_is_used_up_and_an_operation_fault_strikes_only_its_operation() {
        let (faults, shutdown) = (Faults::new(Clock::new()), CancellationToken::new());
        let encrypt = FaultTarget::Operation(Operation::KeyEncrypt);
        let id = faults.inject(fault(encrypt, refuse(429), Some(2))).unwrap();
        assert_eq!(faults.strike(arriving(Side::Vault), &shutdown).await, Verdict::Proceed);
        assert_eq!(faults.strike(about(Operation::KeyDecrypt), &shutdown).await, Verdict::Proceed);
        for _ in 0..2 {
            let verdict = faults.strike(about(Operation::KeyEncrypt), &shutdown).await;
            assert!(matches!(verdict, Verdict::Refuse { status: 429, .. }), "{verdict:?}");
        }
        assert_eq!(faults.strike(about(Operation::KeyEncrypt), &shutdown).await, Verdict::Proceed);
        assert_eq!(faults.list()[0].struck, 2);
        assert!(faults.clear(id));
        assert!(!faults.clear(id));
        assert!(faults.list().is_empty());
    }

    #[tokio::test]
    async fn a_hang_ends_when_it_is_cleared_and_not_before() {
        let (faults, shutdown) = (std::sync::Arc::new(Faults::new(Clock::new())), CancellationToken::new());
        let id = faults.inject(fault(FaultTarget::Vault, FaultEffect::Hang, Some(1))).unwrap();
        let waiting = tokio::spawn({
            let (faults, shutdown) = (faults.clone(), shutdown.clone());
            async move { faults.strike(arriving(Side::Vault), &shutdown).await }
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
            let (faults, shutdown) = (Faults::new(Clock::new()), CancellationToken::new());
            faults.inject(fault(FaultTarget::Everything, effect, None)).unwrap();
            shutdown.cancel();
            assert_eq!(faults.strike(arriving(Side::Identity), &shutdown).await, Verdict::Drop);
        }
    }

    #[tokio::test]
    async fn a_fault_may_be_about_a_vault_an_object_or_a_caller() {
        let shutdown = CancellationToken::new();
        let struck = async |narrow: fn(&mut Fault)| {
            let faults = Faults::new(Clock::new());
            let mut fault = Fault::new(refuse(503));
            narrow(&mut fault);
            faults.inject(fault).unwrap();
            let arrived = faults.strike(arriving(Side::Vault), &shutdown).await != Verdict::Proceed;
            let carried = faults.strike(about(Operation::KeyGet), &shutdown).await != Verdict::Proceed;
            (arrived, carried)
        };
        assert_eq!(struck(|_| ()).await, (true, false), "once, as it arrives");
        assert_eq!(struck(|fault| fault.vault = Some("Kyanite".to_owned())).await, (true, false));
        assert_eq!(struck(|fault| fault.vault = Some("other".to_owned())).await, (false, false));
        assert_eq!(struck(|fault| fault.object = Some("KMS".to_owned())).await, (false, true));
        assert_eq!(struck(|fault| fault.object = Some("other".to_owned())).await, (false, false));
        assert_eq!(struck(|fault| fault.caller = Some("object-id".to_owned())).await, (false, true));
        assert_eq!(struck(|fault| fault.caller = Some("somebody".to_owned())).await, (false, false));
        let both = |fault: &mut Fault| {
            fault.target = FaultTarget::Operation(Operation::KeySign);
            fault.object = Some("kms".to_owned());
        };
        assert_eq!(struck(both).await, (false, false));
    }

    #[tokio::test]
    async fn a_fault_may_strike_each_nth_and_for_a_time() {
        let (clock, shutdown) = (Clock::new(), CancellationToken::new());
        let faults = Faults::new(clock.clone());
        let every = NonZeroU32::new(3);
        faults.inject(Fault { every, for_seconds: Some(60), ..Fault::new(refuse(503)) }).unwrap();
        let mut struck = Vec::new();
        for _ in 0..7 {
            struck.push(faults.strike(arriving(Side::Vault), &shutdown).await != Verdict::Proceed);
        }
        assert_eq!(struck, [false, false, true, false, false, true, false]);
        faults.clear_all();
        // The stack's clock ends a hang.
        faults.inject(Fault { for_seconds: Some(60), ..Fault::new(FaultEffect::Hang) }).unwrap();
        let hanging = faults.strike(arriving(Side::Vault), &shutdown);
        let mut hanging = std::pin::pin!(hanging);
        assert!(tokio::time::timeout(Duration::from_millis(1), hanging.as_mut()).await.is_err());
        clock.advance(Duration::from_mins(1)).unwrap();
        assert_eq!(hanging.await, Verdict::Proceed);
        assert_eq!(faults.strike(arriving(Side::Vault), &shutdown).await, Verdict::Proceed, "it is over");
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
        assert_eq!(Faults::new(Clock::new()).inject(fault(FaultTarget::Everything, refuse(200), None)), Err(status));
    }
}
