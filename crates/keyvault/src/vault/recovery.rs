//! Soft delete: how long a vault keeps a deleted key, and whether it may be purged before that.
//!
//! <https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview>; the recovery levels are those of
//! `DeletionRecoveryLevel` in the service contract.

use jiff::{SignedDuration, Timestamp};

/// A vault's soft-delete settings. On Azure retention is fixed when the vault is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RecoveryPolicy {
    retention_days: u8,
    purge_protection: bool,
}

impl RecoveryPolicy {
    /// A policy that keeps deleted keys for `retention_days` days, 7 to 90.
    ///
    /// # Errors
    ///
    /// [`RetentionError`] outside of 7 to 90 days.
    pub fn new(retention_days: u8, purge_protection: bool) -> Result<Self, RetentionError> {
        if !(MIN_RETENTION_DAYS..=MAX_RETENTION_DAYS).contains(&retention_days) {
            return Err(RetentionError { retention_days });
        }
        Ok(Self { retention_days, purge_protection })
    }

    /// Days that a deleted key is kept: 7 to 90.
    pub fn retention_days(self) -> u8 {
        self.retention_days
    }

    /// Whether a deleted key stays until its retention ends, whoever asks.
    pub fn purge_protection(self) -> bool {
        self.purge_protection
    }

    /// The `recoveryLevel` that a key of this vault shows.
    pub(crate) fn level(self) -> &'static str {
        match (self.retention_days < MAX_RETENTION_DAYS, self.purge_protection) {
            (false, false) => "Recoverable+Purgeable",
            (false, true) => "Recoverable",
            (true, false) => "CustomizedRecoverable+Purgeable",
            (true, true) => "CustomizedRecoverable",
        }
    }

    /// When a key that is deleted `now` is purged by itself.
    pub(crate) fn purge_at(self, now: Timestamp) -> Timestamp {
        let retention = SignedDuration::from_hours(24 * i64::from(self.retention_days));
        now.checked_add(retention).unwrap_or(Timestamp::MAX)
    }
}

impl Default for RecoveryPolicy {
    /// What Azure gives a new vault: 90 days, no purge protection.
    fn default() -> Self {
        Self { retention_days: MAX_RETENTION_DAYS, purge_protection: false }
    }
}

/// A retention that Azure does not offer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("keep deleted keys for {retention_days} days: a vault's retention is 7 to 90 days")]
pub struct RetentionError {
    retention_days: u8,
}

const MIN_RETENTION_DAYS: u8 = 7;
const MAX_RETENTION_DAYS: u8 = 90;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_name_retention_and_purge_protection() {
        let level = |days, protected| RecoveryPolicy::new(days, protected).unwrap().level();
        assert_eq!(level(90, false), "Recoverable+Purgeable");
        assert_eq!(level(90, true), "Recoverable");
        assert_eq!(level(7, false), "CustomizedRecoverable+Purgeable");
        assert_eq!(level(89, true), "CustomizedRecoverable");
    }

    #[test]
    fn retention_is_7_to_90_days() {
        assert!(RecoveryPolicy::new(6, false).is_err());
        assert!(RecoveryPolicy::new(91, false).is_err());
        let policy = RecoveryPolicy::new(7, false).unwrap();
        assert_eq!(policy.purge_at(Timestamp::UNIX_EPOCH).as_second(), 7 * 24 * 3600);
        assert_eq!(policy.purge_at(Timestamp::MAX), Timestamp::MAX);
    }
}
