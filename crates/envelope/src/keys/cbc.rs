//! AES-CBC as kube-apiserver stores it: initialisation vector of 16 bytes, then the blocks, padded as PKCS#7 says.
//!
//! Imitates the `cbc` transformer of `value/encrypt/aes/aes.go`, whose reader takes paddings longer than a block as long
//! as they are consistent. Nothing is authenticated. Differs: a body of the vector alone makes upstream panic; here it is
//! told as data that is not padded.

use aws_lc_rs::cipher::{
    self, AES_128, AES_192, AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext,
    UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;

use crate::gcm::BodyError;

/// Appends vector and blocks of `plain` to `sealed`; `None` if `key` is no AES key.
pub(crate) fn seal(key: &[u8], iv: [u8; IV_BYTES], plain: &[u8], sealed: &mut Vec<u8>) -> Option<()> {
    let key = EncryptingKey::cbc(unbound(key)?).ok()?;
    let padding = BLOCK_BYTES - plain.len() % BLOCK_BYTES;
    sealed.reserve(IV_BYTES + plain.len() + padding);
    sealed.extend_from_slice(&iv);
    let start = sealed.len();
    sealed.extend_from_slice(plain);
    sealed.resize(sealed.len() + padding, u8::try_from(padding).ok()?);
    let context = EncryptionContext::Iv128(FixedLength::from(iv));
    key.less_safe_encrypt(sealed.get_mut(start..)?, context).ok().map(drop)
}

/// Opens vector and blocks. `key` is an AES key.
pub(crate) fn open(key: &[u8], body: &[u8]) -> Result<Vec<u8>, BodyError> {
    let (iv, blocks) = body.split_first_chunk::<IV_BYTES>().ok_or(BodyError::TooShort)?;
    if blocks.len() % BLOCK_BYTES != 0 {
        return Err(BodyError::BlockSize);
    }
    if blocks.is_empty() {
        return Err(BodyError::Pkcs7);
    }
    let mut opened = blocks.to_vec();
    let context = DecryptionContext::Iv128(FixedLength::from(*iv));
    let key = unbound(key).and_then(|key| DecryptingKey::cbc(key).ok()).ok_or(BodyError::Padding)?;
    key.decrypt(&mut opened, context).map_err(|_| BodyError::Padding)?;
    let padding = opened.last().copied().unwrap_or_default();
    let plain_bytes =
        opened.len().checked_sub(usize::from(padding)).filter(|_| padding != 0).ok_or(BodyError::Pkcs7)?;
    if opened.iter().skip(plain_bytes).any(|byte| *byte != padding) {
        return Err(BodyError::Padding);
    }
    opened.truncate(plain_bytes);
    Ok(opened)
}

fn unbound(key: &[u8]) -> Option<UnboundCipherKey> {
    let algorithm: &'static cipher::Algorithm = match key.len() {
        16 => &AES_128,
        24 => &AES_192,
        32 => &AES_256,
        _ => return None,
    };
    UnboundCipherKey::new(algorithm, key).ok()
}

/// Bytes of an initialisation vector.
pub(crate) const IV_BYTES: usize = 16;
/// Bytes of a block.
pub(crate) const BLOCK_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(plain: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::new();
        seal(&[7; 32], [9; 16], plain, &mut sealed).unwrap();
        sealed
    }

    /// Blocks that decrypt to `padded`, which no writer would write.
    fn crafted(padded: &[u8]) -> Vec<u8> {
        let mut blocks = padded.to_vec();
        let key = EncryptingKey::cbc(unbound(&[7; 32]).unwrap()).unwrap();
        key.less_safe_encrypt(&mut blocks, EncryptionContext::Iv128(FixedLength::from([9; 16]))).unwrap();
        [[9; 16].as_slice(), &blocks].concat()
    }

    #[test]
    fn every_length_comes_back() {
        for length in 0..50 {
            let plain = vec![0x5a; length];
            let sealed = sealed(&plain);
            assert_eq!(sealed.len(), 16 + (length / 16 + 1) * 16);
            assert_eq!(open(&[7; 32], &sealed), Ok(plain));
        }
        for key in [16, 24, 32] {
            let mut sealed = Vec::new();
            seal(&vec![1; key], [2; 16], b"plain", &mut sealed).unwrap();
            assert_eq!(open(&vec![1; key], &sealed), Ok(b"plain".to_vec()));
        }
    }

    #[test]
    fn bad_bodies_are_told_in_upstreams_words() {
        let told = |body: &[u8]| open(&[7; 32], body).unwrap_err();
        assert_eq!(told(&[0; 15]), BodyError::TooShort);
        assert_eq!(told(&[0; 31]), BodyError::BlockSize);
        assert_eq!(told(&[0; 16]), BodyError::Pkcs7, "where upstream panics");
        assert_eq!(told(&crafted(&[0; 16])), BodyError::Pkcs7, "a padding of nothing");
        assert_eq!(told(&crafted(&[17; 16])), BodyError::Pkcs7, "longer than the data");
        assert_eq!(told(&crafted(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 2])), BodyError::Padding);
        assert_eq!(open(&[7; 32], &crafted(&[20; 32])), Ok(vec![20; 12]), "longer than a block is taken");
    }
}
