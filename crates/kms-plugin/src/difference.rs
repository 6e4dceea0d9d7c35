//! Where this plugin does better than Azure's on purpose. Each can be taken back, for whoever must see what Azure's does.

use std::fmt;
use std::str::FromStr;

/// Something that Azure's plugin does otherwise. Named in a configuration, it is done as Azure's does it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Difference {
    /// Input that cannot succeed is sent to the vault all the same.
    Checks,
    /// Every failure but a missed deadline has the gRPC code Unknown.
    Codes,
    /// Decrypt works with the key version that is encrypted with, and with no other.
    Decrypt,
    /// Every Status makes an encrypt and a decrypt; the health endpoint makes six calls, and every failure is one of it.
    Health,
    /// Identical decrypts in flight are all sent.
    Joining,
    /// A version that becomes current again gets its old key id back.
    KeyIds,
    /// Any number of calls to the vault at once.
    Limit,
    /// The metric's label of a failure is its whole text.
    Metrics,
    /// A failed call waits for what Retry-After says, else 30 s, whatever the caller's deadline is.
    Retries,
    /// The key's version must be given.
    Versions,
}

impl Difference {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 10] = [
        Self::Checks,
        Self::Codes,
        Self::Decrypt,
        Self::Health,
        Self::Joining,
        Self::KeyIds,
        Self::Limit,
        Self::Metrics,
        Self::Retries,
        Self::Versions,
    ];

    /// The name in flags and files, such as `key-ids`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Checks => "checks",
            Self::Codes => "codes",
            Self::Decrypt => "decrypt",
            Self::Health => "health",
            Self::Joining => "joining",
            Self::KeyIds => "key-ids",
            Self::Limit => "limit",
            Self::Metrics => "metrics",
            Self::Retries => "retries",
            Self::Versions => "versions",
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Difference {
    type Err = DifferenceError;

    fn from_str(text: &str) -> Result<Self, DifferenceError> {
        let named = Self::ALL.into_iter().find(|difference| difference.name() == text);
        named.ok_or_else(|| DifferenceError { text: text.to_owned() })
    }
}

/// The name of no difference.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is none of {}", Difference::ALL.map(Difference::name).join(", "))]
pub struct DifferenceError {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for difference in Difference::ALL {
            assert_eq!(difference.to_string().parse(), Ok(difference));
        }
        assert!(Difference::ALL.is_sorted());
        assert_eq!(
            "all".parse::<Difference>().unwrap_err().to_string(),
            r#""all" is none of checks, codes, decrypt, health, joining, key-ids, limit, metrics, retries, versions"#
        );
    }
}
