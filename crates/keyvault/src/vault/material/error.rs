//! Failures of the cryptographic library, and bytes that are no key.

/// The cryptographic library failed, or was given bytes that are no key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum CryptoError {
    /// Bytes are not a key of this vault.
    #[error("read a key")]
    Decode,
    /// The key could not be written out.
    #[error("write a key")]
    Encode,
    /// The library did not encrypt what it should.
    #[error("encrypt")]
    Encrypt,
    /// No key could be made.
    #[error("generate a key")]
    Generate,
    /// The system's random source failed.
    #[error("draw random bytes")]
    Random,
    /// The library did not sign what it should.
    #[error("sign")]
    Sign,
}
