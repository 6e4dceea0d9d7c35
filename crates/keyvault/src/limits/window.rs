//! The counters.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::limits::transaction::{Class, Transaction};
use crate::vault::VaultName;

/// How limits are enforced.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Whether a 429 says in `Retry-After` when the window ends. Azure's own was captured without that header.
    pub retry_after: bool,
}

/// The limits and what has been used of them. Off without [`Limits`].
#[derive(Debug)]
pub(crate) struct Throttle {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    limits: Option<Limits>,
    /// Number of the window since 1970.
    window: i64,
    used: BTreeMap<(Option<VaultName>, Class), u32>,
}

/// A limit is reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Throttled {
    /// The subscription's, not the vault's.
    pub(crate) by_subscription: bool,
    pub(crate) retry_after_seconds: Option<u32>,
}

impl Throttle {
    pub(crate) fn new(limits: Option<Limits>) -> Self {
        Self { state: Mutex::new(State { limits, ..State::default() }) }
    }

    /// Whether limits are on.
    pub(crate) fn is_on(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).limits.is_some()
    }

    /// Switches limits on or off, with all counters at zero.
    pub(crate) fn set(&self, limits: Option<Limits>) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State { limits, ..State::default() };
    }

    /// Counts a request.
    ///
    /// `Assumed:` windows begin at multiples of ten seconds.
    ///
    /// # Errors
    ///
    /// [`Throttled`] if it is one too many; then it is not counted.
    pub(crate) fn admit(&self, vault: &VaultName, transaction: Transaction, now: Timestamp) -> Result<(), Throttled> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(limits) = state.limits else { return Ok(()) };
        let window = now.as_second().div_euclid(WINDOW_SECONDS);
        if state.window != window {
            state.window = window;
            state.used.clear();
        }
        let Transaction { class, weight } = transaction;
        let counters =
            [(Some(vault.clone()), class.limit()), (None, class.limit().saturating_mul(SUBSCRIPTION_FACTOR))];
        for (scope, limit) in &counters {
            let used = state.used.get(&(scope.clone(), class)).copied().unwrap_or_default();
            if used.saturating_add(weight) > *limit {
                let left = WINDOW_SECONDS.saturating_sub(now.as_second().rem_euclid(WINDOW_SECONDS));
                let retry_after_seconds = limits.retry_after.then(|| u32::try_from(left).unwrap_or(1));
                return Err(Throttled { by_subscription: scope.is_none(), retry_after_seconds });
            }
        }
        for (scope, _) in counters {
            let used = state.used.entry((scope, class)).or_default();
            *used = used.saturating_add(weight);
        }
        Ok(())
    }
}

const WINDOW_SECONDS: i64 = 10;
/// A subscription's limit, in limits of a vault.
const SUBSCRIPTION_FACTOR: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Material;
    use crate::operation::Operation;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn rsa(is_hsm: bool, bits: usize) -> Transaction {
        Transaction::of(Operation::KeyDecrypt, Some(Material { is_hsm, rsa_bits: Some(bits) }))
    }

    fn vault(name: &str) -> VaultName {
        name.parse().unwrap()
    }

    /// How many of these a fresh window admits.
    fn admitted(transaction: Transaction) -> usize {
        let throttle = Throttle::new(Some(Limits::default()));
        (0..10_000).take_while(|_| throttle.admit(&vault("kyanite"), transaction, at(3)).is_ok()).count()
    }

    #[test]
    fn the_limits_are_those_of_the_documented_table() {
        assert_eq!([2_048, 3_072, 4_096].map(|bits| admitted(rsa(true, bits))), [2_000, 500, 250]);
        assert_eq!([2_048, 3_072, 4_096].map(|bits| admitted(rsa(false, bits))), [4_000, 1_000, 500]);
        let curve = |is_hsm| Some(Material { is_hsm, rsa_bits: None });
        assert_eq!(admitted(Transaction::of(Operation::KeySign, curve(true))), 2_000);
        assert_eq!(admitted(Transaction::of(Operation::KeyCreate, curve(true))), 10);
        assert_eq!(admitted(Transaction::of(Operation::KeyCreate, curve(false))), 20);
        assert_eq!(admitted(Transaction::of(Operation::KeyRelease, curve(true))), 10);
        assert_eq!(admitted(Transaction::of(Operation::SecretGet, None)), 4_000);
    }

    #[test]
    fn sizes_share_a_class_by_weight_and_classes_share_nothing() {
        let throttle = Throttle::new(Some(Limits { retry_after: true }));
        let ask = |transaction, now| throttle.admit(&vault("kyanite"), transaction, at(now));
        (0..499).for_each(|_| ask(rsa(false, 4_096), 12).unwrap());
        (0..8).for_each(|_| ask(rsa(false, 2_048), 12).unwrap());
        let refused = Throttled { by_subscription: false, retry_after_seconds: Some(8) };
        assert_eq!(ask(rsa(false, 2_048), 12), Err(refused));
        assert_eq!(ask(rsa(true, 2_048), 12), Ok(()));
        assert_eq!(throttle.admit(&vault("other"), rsa(false, 2_048), at(12)), Ok(()));
        assert_eq!(ask(rsa(false, 2_048), 20), Ok(()), "the next window");
    }

    #[test]
    fn a_subscription_is_five_vaults() {
        let throttle = Throttle::new(Some(Limits::default()));
        let create = Transaction::of(Operation::KeyCreate, None);
        let mut made = 0;
        let refused = (0..).find_map(|number| {
            let name = vault(&format!("vault-{}", number / 20));
            throttle.admit(&name, create, at(0)).map(|()| made += 1).err()
        });
        assert_eq!((made, refused.unwrap().by_subscription), (100, true));
        throttle.set(None);
        assert_eq!(throttle.admit(&vault("kyanite"), create, at(0)), Ok(()));
    }
}
