//! AES-GCM as kube-apiserver stores it: nonce of 12 bytes, ciphertext, tag of 16 bytes; the full etcd key is
//! authenticated with it.
//!
//! Imitates the `gcm` transformer of `value/encrypt/aes/aes.go`. Every cipher of AES-GCM in this crate is here.

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use thiserror::Error;

/// The key for `bytes`, which are 16, 24 or 32; `None` for any other number.
pub(crate) fn key(bytes: &[u8]) -> Option<LessSafeKey> {
    let algorithm = match bytes.len() {
        16 => &aead::AES_128_GCM,
        24 => &aead::AES_192_GCM,
        32 => &aead::AES_256_GCM,
        _ => return None,
    };
    UnboundKey::new(algorithm, bytes).ok().map(LessSafeKey::new)
}

/// Appends nonce, ciphertext and tag of `plain` to `sealed`; `None` if `plain` is longer than AES-GCM allows.
pub(crate) fn seal(
    key: &LessSafeKey,
    nonce: [u8; NONCE_BYTES],
    plain: &[u8],
    aad: &[u8],
    sealed: &mut Vec<u8>,
) -> Option<()> {
    sealed.reserve(NONCE_BYTES + plain.len() + TAG_BYTES);
    sealed.extend_from_slice(&nonce);
    let start = sealed.len();
    sealed.extend_from_slice(plain);
    let in_out = sealed.get_mut(start..)?;
    let tag = key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), in_out).ok()?;
    sealed.extend_from_slice(tag.as_ref());
    Some(())
}

/// Opens nonce, ciphertext and tag.
pub(crate) fn open(key: &LessSafeKey, body: &[u8], aad: &[u8]) -> Result<Vec<u8>, BodyError> {
    let (nonce, sealed) = body.split_first_chunk::<NONCE_BYTES>().ok_or(BodyError::TooShort)?;
    let (ciphertext, tag) = sealed.split_last_chunk::<TAG_BYTES>().ok_or(BodyError::Authentication)?;
    let mut opened = vec![0; ciphertext.len()];
    key.open_separate_gather(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), ciphertext, tag, &mut opened)
        .map_err(|_| BodyError::Authentication)?;
    Ok(opened)
}

/// A value's body does not open. `Display` is upstream's text.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum BodyError {
    /// AES-GCM: the key, the etcd key or some byte is not what it was when the value was sealed. Which one cannot be told.
    #[error("cipher: message authentication failed")]
    Authentication,
    /// AES-CBC: bytes are missing.
    #[error("the stored data is not a multiple of the block size")]
    BlockSize,
    /// AES-CBC: the last block does not end in padding, so the key or some byte is another one.
    #[error("invalid padding on input")]
    Padding,
    /// AES-CBC: the last byte cannot be the length of a padding.
    #[error("invalid PKCS7 data (empty or not padded)")]
    Pkcs7,
    /// Secretbox: the key or some byte is another one. The text is upstream's, odd as it is.
    #[error("output array was not large enough for encryption")]
    Secretbox,
    /// There are fewer bytes than nonce, initialisation vector or info take.
    #[error("the stored data was shorter than the required size")]
    TooShort,
}

/// Bytes of a nonce.
pub(crate) const NONCE_BYTES: usize = aead::NONCE_LEN;
/// Bytes of a tag.
pub(crate) const TAG_BYTES: usize = 16;
