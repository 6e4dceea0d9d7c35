//! Everything in one vault.

use jiff::Timestamp;

use crate::vault::{Change, Key, KeyVersion, Keyring, RecoveryPolicy, SecretObject, SecretShelf, SecretVersion};

/// The keys and the secrets of a vault. The names of the two do not meet.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) keys: Keyring,
    pub(crate) secrets: SecretShelf,
}

/// A change to what a vault holds.
#[derive(Clone, Debug)]
pub(crate) enum ContentsChange {
    Key(Change<KeyVersion>),
    Secret(Change<SecretVersion>),
}

impl Contents {
    /// What was stored.
    pub(crate) fn new(
        policy: RecoveryPolicy,
        keys: impl IntoIterator<Item = Key>,
        secrets: impl IntoIterator<Item = SecretObject>,
    ) -> Self {
        Self { keys: Keyring::new(policy, keys), secrets: SecretShelf::new(policy, secrets) }
    }

    /// The vault's soft-delete settings.
    pub(crate) fn policy(&self) -> RecoveryPolicy {
        self.keys.policy()
    }

    /// Carries out a change.
    pub(crate) fn apply(&mut self, change: ContentsChange) {
        match change {
            ContentsChange::Key(change) => self.keys.apply(change),
            ContentsChange::Secret(change) => self.secrets.apply(change),
        }
    }

    /// The next moment at which something changes by itself.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        [self.keys.next_due(), self.secrets.next_due()].into_iter().flatten().min()
    }

    /// The purges that the end of retention demands.
    pub(crate) fn due_purges(&self, now: Timestamp) -> Vec<ContentsChange> {
        let keys = self.keys.due_purges(now).into_iter().map(ContentsChange::Key);
        keys.chain(self.secrets.due_purges(now).into_iter().map(ContentsChange::Secret)).collect()
    }
}
