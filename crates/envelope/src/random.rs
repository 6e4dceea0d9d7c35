//! Where random bytes come from: one trait, so that a test can hand in known bytes and nothing else can.

use aws_lc_rs::rand;
use thiserror::Error;

/// A source of random bytes fit for keys, nonces and request ids.
pub trait Random: Send + Sync {
    /// Fills `bytes` with random bytes.
    ///
    /// # Errors
    ///
    /// [`RandomError`] if the source has none to give.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError>;
}

/// The operating system's random source, through aws-lc-rs.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        rand::fill(bytes).map_err(|_| RandomError)
    }
}

/// The random source gave no bytes.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("get random bytes from the operating system")]
pub struct RandomError;

/// `N` random bytes.
pub(crate) fn bytes<const N: usize>(random: &dyn Random) -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    random.fill(&mut bytes)?;
    Ok(bytes)
}
