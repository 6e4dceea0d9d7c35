//! The providers of one resource in their order: the first writes, any may read.
//!
//! Imitates `prefixTransformers` of kube-apiserver's `storage/value/transformer.go` and its identity transformer.

use crate::config::Provider;
use crate::kms::{OpenError, Opened};

/// The providers that a configuration gives to one resource, in order. Never empty.
#[derive(Clone, Debug)]
pub struct Chain<'c> {
    providers: Vec<&'c Provider>,
}

impl<'c> Chain<'c> {
    /// `None` for no providers.
    pub(crate) fn new(providers: Vec<&'c Provider>) -> Option<Self> {
        (!providers.is_empty()).then_some(Self { providers })
    }

    /// The provider that writes.
    pub fn writer(&self) -> &'c Provider {
        // A chain is never empty.
        self.providers.first().copied().unwrap_or(&Provider::Identity)
    }

    /// The providers to try on `stored`, in order: those whose prefix it has. `identity` has the empty prefix and so is
    /// always among them; what it says of encrypted data is not an error of the read.
    pub fn attempts<'s>(&self, stored: &'s [u8]) -> Vec<Attempt<'c, 's>> {
        let with_prefix = |(position, provider): (usize, &&'c Provider)| {
            let body = stored.strip_prefix(provider.prefix().as_bytes())?;
            Some(Attempt { position, provider, body })
        };
        self.providers.iter().enumerate().filter_map(with_prefix).collect()
    }
}

/// One provider to try on a stored value.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'c, 's> {
    /// Its place in the chain. A value that any but the first (0) opens is stale.
    pub position: usize,
    /// The provider.
    pub provider: &'c Provider,
    /// What follows its prefix.
    pub body: &'s [u8],
}

/// Reads a value that is stored as it is.
///
/// # Errors
///
/// [`OpenError::Encrypted`] for anything that starts with `k8s:enc:`.
pub fn open_identity(stored: &[u8]) -> Result<Opened, OpenError> {
    if stored.starts_with(ENCRYPTED_PREFIX) {
        return Err(OpenError::Encrypted);
    }
    Ok(Opened { plain: stored.to_vec(), stale: false })
}

/// What every encrypted value in etcd starts with.
pub(crate) const ENCRYPTED_PREFIX: &[u8] = b"k8s:enc:";
