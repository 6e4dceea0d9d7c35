//! The name a configuration gives to a KMS v2 provider, and the prefix it stands for in etcd.

use std::fmt;
use std::sync::Arc;

/// What every KMS v2 value in etcd starts with; the provider's name and a colon follow.
pub(crate) const KMS_V2_PREFIX: &str = "k8s:enc:kms:v2:";

/// A KMS v2 provider's name: not empty, without a colon, so that no prefix is the start of another.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ProviderName(Arc<str>);

impl ProviderName {
    /// A name that can stand in a prefix; `None` for an empty one and for one with a colon.
    ///
    /// Which of the two it is, and where it stands in the file, is told by
    /// [`EncryptionConfiguration::parse`](crate::EncryptionConfiguration::parse).
    pub fn new(name: &str) -> Option<Self> {
        (!name.is_empty() && !name.contains(':')).then(|| Self(name.into()))
    }

    /// The provider of a stored value, and the record behind its prefix; `None` if no KMS v2 provider wrote it.
    pub fn of_stored(stored: &[u8]) -> Option<(Self, &[u8])> {
        let after = stored.strip_prefix(KMS_V2_PREFIX.as_bytes())?;
        let colon = after.iter().position(|byte| *byte == b':')?;
        let (name, rest) = after.split_at_checked(colon)?;
        Some((Self::new(std::str::from_utf8(name).ok()?)?, rest.strip_prefix(b":")?))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `k8s:enc:kms:v2:<name>:`.
    pub fn prefix(&self) -> String {
        format!("{KMS_V2_PREFIX}{}:", self.0)
    }
}

impl fmt::Display for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_value_names_its_provider() {
        let name = ProviderName::new("azurekmsprovider").unwrap();
        let stored = [name.prefix().as_bytes(), b"a:b"].concat();
        assert_eq!(ProviderName::of_stored(&stored), Some((name, b"a:b".as_slice())));
        for stored in [
            b"k8s:enc:kms:v2:".as_slice(),
            b"k8s:enc:kms:v2::x",
            b"k8s:enc:kms:v1:n:x",
            b"k8s\0",
            b"k8s:enc:kms:v2:\xff:x",
        ] {
            assert_eq!(ProviderName::of_stored(stored), None, "{stored:?}");
        }
        assert_eq!((ProviderName::new(""), ProviderName::new("a:b")), (None, None));
    }
}
