//! The secretbox of `NaCl` as kube-apiserver stores it: nonce of 24 bytes, tag of 16 bytes, ciphertext.
//!
//! Imitates `value/encrypt/secretbox/secretbox.go`. The etcd key is not authenticated.

use crypto_secretbox::aead::AeadInPlace as _;
use crypto_secretbox::{KeyInit as _, XSalsa20Poly1305};

use crate::gcm::BodyError;

/// Appends nonce, tag and ciphertext of `plain` to `sealed`; `None` if `key` is not of 32 bytes.
pub(super) fn seal(key: &[u8], nonce: [u8; NONCE_BYTES], plain: &[u8], sealed: &mut Vec<u8>) -> Option<()> {
    let cipher = XSalsa20Poly1305::new_from_slice(key).ok()?;
    sealed.reserve(NONCE_BYTES + TAG_BYTES + plain.len());
    sealed.extend_from_slice(&nonce);
    let start = sealed.len();
    sealed.extend_from_slice(&[0; TAG_BYTES]);
    sealed.extend_from_slice(plain);
    let (tag_room, in_out) = sealed.get_mut(start..)?.split_at_mut_checked(TAG_BYTES)?;
    let tag = cipher.encrypt_in_place_detached(&nonce.into(), b"", in_out).ok()?;
    tag_room.copy_from_slice(&tag);
    Some(())
}

/// Opens nonce, tag and ciphertext.
pub(super) fn open(key: &[u8], body: &[u8]) -> Result<Vec<u8>, BodyError> {
    let (nonce, rest) = body.split_first_chunk::<NONCE_BYTES>().ok_or(BodyError::TooShort)?;
    let (tag, ciphertext) = rest.split_first_chunk::<TAG_BYTES>().ok_or(BodyError::TooShort)?;
    let cipher = XSalsa20Poly1305::new_from_slice(key).map_err(|_| BodyError::Secretbox)?;
    let mut opened = ciphertext.to_vec();
    cipher
        .decrypt_in_place_detached(&(*nonce).into(), b"", &mut opened, &(*tag).into())
        .map_err(|_| BodyError::Secretbox)?;
    Ok(opened)
}

/// Bytes of a nonce.
pub(crate) const NONCE_BYTES: usize = 24;
/// Bytes of a tag.
pub(crate) const TAG_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_of_nacl_opens_and_is_made_again() {
        // The vector of NaCl's own test suite (`tests/secretbox.c`), first 32 bytes of the message's box: key, nonce and
        // message as there.
        let key = hex::decode("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389").unwrap();
        let nonce = hex::decode("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37").unwrap();
        let message = hex::decode(
            "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f4\
             1db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52\
             f0a089bc76897040e082f937763848645e0705",
        )
        .unwrap();
        let boxed = hex::decode(
            "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186ac0dfc17c98dce87b\
             4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6bb3732bc0e9da\
             99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5",
        )
        .unwrap();
        let mut sealed = Vec::new();
        seal(&key, nonce.as_slice().try_into().unwrap(), &message, &mut sealed).unwrap();
        assert_eq!(hex::encode(&sealed[24..]), hex::encode(boxed));
        assert_eq!(open(&key, &sealed), Ok(message));
    }

    #[test]
    fn bad_bodies_are_told_in_upstreams_words() {
        assert_eq!(open(&[7; 32], &[0; 39]), Err(BodyError::TooShort));
        let error = open(&[7; 32], &[0; 40]).unwrap_err();
        assert_eq!(error.to_string(), "output array was not large enough for encryption");
    }
}
