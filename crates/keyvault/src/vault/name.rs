//! Names of vaults and of what they hold, and the ids of versions.
//!
//! The rules are those of <https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates>: a vault's
//! name is 3 to 24 letters, digits and hyphens and starts with a letter; a key's or secret's is 1 to 127 letters, digits and hyphens;
//! both are compared without regard to case. A version id is 32 lower-case hexadecimal digits and otherwise opaque.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;

/// The name of a vault: the first label of its host. Kept in lower case, as Azure shows it in every id.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct VaultName(String);

impl VaultName {
    /// The name as it stands in ids, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VaultName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        let lengths = MIN_VAULT_NAME_BYTES..=MAX_VAULT_NAME_BYTES;
        let starts_with_letter = name.bytes().next().is_some_and(|first| first.is_ascii_alphabetic());
        if !lengths.contains(&name.len()) || !starts_with_letter || !name.bytes().all(is_name_byte) {
            return Err(NameError { name: name.to_owned(), rule: VAULT_NAME_RULE });
        }
        Ok(Self(name.to_ascii_lowercase()))
    }
}

impl fmt::Display for VaultName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a key or secret. Shown in the case it was created with, compared without regard to case.
#[derive(Clone, Debug)]
pub(crate) struct ObjectName {
    shown: String,
    folded: String,
}

impl ObjectName {
    /// The name as it was given.
    pub(crate) fn as_str(&self) -> &str {
        &self.shown
    }

    /// The name in lower case: equal for equal names.
    pub(crate) fn folded(&self) -> &str {
        &self.folded
    }
}

impl FromStr for ObjectName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        if name.is_empty() || name.len() > MAX_OBJECT_NAME_BYTES || !name.bytes().all(is_name_byte) {
            return Err(NameError { name: name.to_owned(), rule: OBJECT_NAME_RULE });
        }
        Ok(Self { shown: name.to_owned(), folded: name.to_ascii_lowercase() })
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl PartialEq for ObjectName {
    fn eq(&self, other: &Self) -> bool {
        self.folded == other.folded
    }
}

impl Eq for ObjectName {}

impl PartialOrd for ObjectName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ObjectName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded.cmp(&other.folded)
    }
}

/// The id of one version: 128 random bits, written as 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct VersionId(u128);

impl VersionId {
    /// A fresh id from the system's random source.
    ///
    /// # Errors
    ///
    /// [`Unspecified`] if the random source fails.
    pub(crate) fn random() -> Result<Self, Unspecified> {
        let mut bytes = [0; 16];
        rand::fill(&mut bytes)?;
        Ok(Self(u128::from_be_bytes(bytes)))
    }
}

impl FromStr for VersionId {
    type Err = NameError;

    fn from_str(id: &str) -> Result<Self, NameError> {
        let digits = id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        match u128::from_str_radix(id, 16) {
            Ok(value) if digits && id.len() == VERSION_ID_DIGITS => Ok(Self(value)),
            _ => Err(NameError { name: id.to_owned(), rule: VERSION_ID_RULE }),
        }
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A name that breaks its rule.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("read the name {name:?}: {rule}")]
pub struct NameError {
    name: String,
    rule: &'static str,
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

const MIN_VAULT_NAME_BYTES: usize = 3;
const MAX_VAULT_NAME_BYTES: usize = 24;
const MAX_OBJECT_NAME_BYTES: usize = 127;
const VERSION_ID_DIGITS: usize = 32;
const VAULT_NAME_RULE: &str = "a vault's name has 3 to 24 letters, digits and hyphens and starts with a letter";
const OBJECT_NAME_RULE: &str = "the name of a key or secret has 1 to 127 letters, digits and hyphens";
const VERSION_ID_RULE: &str = "a version id has 32 lower-case hexadecimal digits";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn vault_names_follow_the_rule() {
        for good in ["kyanite", "Kya-1", "abc", &"a".repeat(24)] {
            assert_eq!(good.parse::<VaultName>().unwrap().as_str(), good.to_ascii_lowercase());
        }
        for bad in ["", "ab", "1abc", "-abc", "a_b_c", "a.b.c", "käse", &"a".repeat(25)] {
            assert!(bad.parse::<VaultName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn key_names_keep_their_case_and_ignore_it() {
        let name: ObjectName = "Kms-1".parse().unwrap();
        assert_eq!(name.to_string(), "Kms-1");
        assert_eq!(name, "kMS-1".parse().unwrap());
        for bad in ["", "a b", "a/b", "a.b", "é", &"a".repeat(128)] {
            assert!(bad.parse::<ObjectName>().is_err(), "{bad:?}");
        }
        assert!("a".repeat(127).parse::<ObjectName>().is_ok());
    }

    #[test]
    fn version_ids_are_32_lower_case_digits() {
        let text = "00ab34cd56ef78901234567890abcdef";
        assert_eq!(text.parse::<VersionId>().unwrap().to_string(), text);
        for bad in ["", "abc", &text.to_uppercase(), &format!("+{}", &text[1..]), &format!("{text}0")] {
            assert!(bad.parse::<VersionId>().is_err(), "{bad:?}");
        }
        assert_ne!(VersionId::random().unwrap(), VersionId::random().unwrap());
    }

    proptest! {
        #[test]
        fn parsers_never_panic(text in ".*") {
            let _ = text.parse::<VaultName>();
            let _ = text.parse::<ObjectName>();
            let _ = text.parse::<VersionId>();
        }

        #[test]
        fn version_ids_round_trip(value: u128) {
            let id = VersionId(value);
            prop_assert_eq!(id.to_string().parse::<VersionId>().unwrap(), id);
        }
    }
}
