//! What the latest real calls say about the key that is encrypted with now.
//!
//! Azure's plugin makes an encrypt and a decrypt for every Status. Differs: recent real results count. Both halves
//! must have succeeded lately, because an expired key decrypts and does not encrypt, and no failure may have come
//! since: then the next Status asks the vault again, and heals or fails with what it hears.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::key::KeyVersion;
use crate::vault_error::{FailureClass, VaultClientError};

/// What the plugin asks of the vault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Operation {
    /// Decrypt a seed.
    Decrypt,
    /// Encrypt a seed.
    Encrypt,
    /// List the versions of the key.
    ListVersions,
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Decrypt => "decrypt",
            Self::Encrypt => "encrypt",
            Self::ListVersions => "list versions",
        })
    }
}

/// The latest call to the vault.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LastResult {
    /// When it was made, by the stack's clock.
    pub at: Timestamp,
    /// What was asked.
    pub operation: Operation,
    /// Of which version; `None` is the newest.
    pub version: Option<KeyVersion>,
    /// The class and the text of the failure, if it was one.
    pub failure: Option<(FailureClass, String)>,
}

#[derive(Debug, Default)]
pub(crate) struct Health {
    state: Mutex<State>,
}

/// A call that has begun. Order counts, not time: the stack's clock may stand still between two calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    at: Timestamp,
    order: u64,
}

impl Begun {
    pub(crate) fn is_after(self, other: Self) -> bool {
        self.order > other.order
    }
}

impl Health {
    pub(crate) fn begin(&self, now: Timestamp) -> Begun {
        Begun { at: now, order: self.state().next() }
    }

    pub(crate) fn succeeded(&self, begun: Begun, operation: Operation, version: &KeyVersion) {
        let mut state = self.state();
        state.last = Some(LastResult { at: begun.at, operation, version: Some(version.clone()), failure: None });
        // A success that began before the latest failure says nothing about now.
        if begun.order < state.failed {
            return;
        }
        let good = Some(Good { at: begun.at, version: version.clone() });
        match operation {
            Operation::Decrypt => state.decrypt = good,
            Operation::Encrypt => state.encrypt = good,
            Operation::ListVersions => {}
        }
    }

    /// `current` is the version that is encrypted with now, if one is known.
    pub(crate) fn failed(
        &self,
        begun: Begun,
        operation: Operation,
        version: Option<&KeyVersion>,
        current: Option<&KeyVersion>,
        error: &VaultClientError,
    ) {
        let mut state = self.state();
        let class = error.class();
        state.last = Some(LastResult {
            at: begun.at,
            operation,
            version: version.cloned(),
            failure: Some((class, error.to_string())),
        });
        let about_now = match operation {
            // A ciphertext of nobody's says nothing about the key, an old version's end nothing about the current one.
            Operation::Decrypt => version == current && class != FailureClass::Rejected,
            // Without a version it was a look for a newer one.
            Operation::Encrypt => version == current,
            Operation::ListVersions => false,
        };
        if about_now {
            state.failed = state.next();
            state.encrypt = None;
            state.decrypt = None;
        }
    }

    /// Both halves of the key's work have succeeded within `freshness`.
    pub(crate) fn is_fresh(&self, current: &KeyVersion, now: Timestamp, freshness: Duration) -> bool {
        let state = self.state();
        [&state.encrypt, &state.decrypt].into_iter().all(|good| {
            good.as_ref().is_some_and(|good| {
                good.version == *current
                    && SignedDuration::try_from(freshness).is_ok_and(|limit| now.duration_since(good.at) < limit)
            })
        })
    }

    pub(crate) fn last(&self) -> Option<LastResult> {
        self.state().last.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct State {
    decrypt: Option<Good>,
    encrypt: Option<Good>,
    /// The order of the latest failure that was about the current version.
    failed: u64,
    last: Option<LastResult>,
    order: u64,
}

impl State {
    fn next(&mut self) -> u64 {
        self.order = self.order.saturating_add(1);
        self.order
    }
}

#[derive(Debug)]
struct Good {
    at: Timestamp,
    version: KeyVersion,
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESHNESS: Duration = Duration::from_secs(30);

    fn version(text: &str) -> KeyVersion {
        text.parse().unwrap()
    }

    fn denied() -> VaultClientError {
        VaultClientError::NoAnswer { after: Duration::from_secs(1) }
    }

    fn now() -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn healthy() -> Health {
        let health = Health::default();
        for operation in [Operation::Encrypt, Operation::Decrypt] {
            health.succeeded(health.begin(now()), operation, &version("v1"));
        }
        health
    }

    #[test]
    fn both_halves_must_be_fresh_and_of_the_current_version() {
        let health = Health::default();
        health.succeeded(health.begin(now()), Operation::Decrypt, &version("v1"));
        assert!(!health.is_fresh(&version("v1"), now(), FRESHNESS));
        health.succeeded(health.begin(now()), Operation::Encrypt, &version("v1"));
        assert!(health.is_fresh(&version("v1"), now(), FRESHNESS));
        assert!(!health.is_fresh(&version("v2"), now(), FRESHNESS));
        assert!(health.is_fresh(&version("v1"), now() + Duration::from_millis(29_999), FRESHNESS));
        assert!(!health.is_fresh(&version("v1"), now() + FRESHNESS, FRESHNESS));
    }

    #[test]
    fn a_failure_ends_it_at_once_and_a_success_from_before_does_not_undo_that() {
        let health = healthy();
        let slow = health.begin(now());
        let current = version("v1");
        health.failed(health.begin(now()), Operation::Encrypt, Some(&current), Some(&current), &denied());
        assert!(!health.is_fresh(&current, now(), FRESHNESS));

        health.succeeded(slow, Operation::Encrypt, &current);
        health.succeeded(slow, Operation::Decrypt, &current);
        assert!(!health.is_fresh(&current, now(), FRESHNESS), "they began before the failure");

        for operation in [Operation::Encrypt, Operation::Decrypt] {
            health.succeeded(health.begin(now()), operation, &current);
        }
        assert!(health.is_fresh(&current, now(), FRESHNESS));
    }

    #[test]
    fn failures_that_are_not_about_the_current_version_do_not_count() {
        let health = healthy();
        let current = version("v1");
        let rejected = VaultClientError::Answer {
            origin: crate::vault_error::Origin::Vault,
            status: 400,
            code: None,
            inner_code: None,
            message: String::new(),
            retry_after: None,
        };
        health.failed(health.begin(now()), Operation::Decrypt, Some(&current), Some(&current), &rejected);
        health.failed(health.begin(now()), Operation::Decrypt, Some(&version("v0")), Some(&current), &denied());
        health.failed(health.begin(now()), Operation::Encrypt, None, Some(&current), &denied());
        health.failed(health.begin(now()), Operation::ListVersions, None, None, &denied());
        assert!(health.is_fresh(&current, now(), FRESHNESS));
        assert!(health.last().unwrap().failure.is_some());
    }
}
