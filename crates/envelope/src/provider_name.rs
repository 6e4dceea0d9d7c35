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
