//! The key that an emulator seals backups with.
//!
//! On Azure a backup opens in any vault of the same subscription and geography, and nowhere else; here, in any vault of the
//! same emulator. AES-256-GCM; the kind of object is authenticated with it, so that a key's backup is no secret's.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;
use zeroize::Zeroizing;

use crate::vault::{CryptoError, ObjectKind, VaultError};

/// The key. It leaves only through [`BackupKey::expose`].
pub(crate) struct BackupKey {
    bytes: Zeroizing<Vec<u8>>,
}

impl BackupKey {
    /// Makes a key.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Random`] if the random source fails.
    pub(crate) fn generate() -> Result<Self, CryptoError> {
        let mut bytes = Zeroizing::new(vec![0; KEY_BYTES]);
        rand::fill(&mut bytes).map_err(|_| CryptoError::Random)?;
        Ok(Self { bytes })
    }

    /// Takes the bytes that [`BackupKey::expose`] gave.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Decode`] if there are not 32 of them.
    pub(crate) fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Result<Self, CryptoError> {
        if bytes.len() == KEY_BYTES { Ok(Self { bytes }) } else { Err(CryptoError::Decode) }
    }

    /// The key itself, for storage.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.bytes
    }

    /// Seals what an object is made of.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Encrypt`] if the library fails.
    pub(crate) fn seal(&self, kind: ObjectKind, contents: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let mut sealed = contents.to_vec();
        let nonce = self
            .key()?
            .seal_in_place_append_tag(Aad::from(context(kind)), &mut sealed)
            .map_err(|_| CryptoError::Encrypt)?;
        let mut blob = MAGIC.to_vec();
        blob.extend_from_slice(nonce.as_ref());
        blob.append(&mut sealed);
        Ok(blob)
    }

    /// Opens what [`BackupKey::seal`] made of an object of this kind.
    ///
    /// # Errors
    ///
    /// [`VaultError::BackupUnreadable`], whatever is wrong with it.
    pub(crate) fn open(&self, kind: ObjectKind, blob: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let unreadable = || VaultError::BackupUnreadable { kind };
        let sealed = blob.strip_prefix(MAGIC).ok_or_else(unreadable)?;
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(unreadable)?;
        let mut contents = Zeroizing::new(sealed.to_vec());
        let key = self.key().map_err(VaultError::Crypto)?;
        let opened = key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(context(kind)), &mut contents);
        let length = opened.map_err(|_| unreadable())?.len();
        contents.truncate(length);
        Ok(contents)
    }

    fn key(&self) -> Result<RandomizedNonceKey, CryptoError> {
        RandomizedNonceKey::new(&AES_256_GCM, &self.bytes).map_err(|_| CryptoError::Encrypt)
    }
}

impl fmt::Debug for BackupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BackupKey(redacted)")
    }
}

fn context(kind: ObjectKind) -> &'static [u8] {
    match kind {
        ObjectKind::Key => b"kyanite key backup",
        ObjectKind::Secret => b"kyanite secret backup",
    }
}

const KEY_BYTES: usize = 32;
/// Tells our backups from anything else; ends with the version of the form.
const MAGIC: &[u8] = b"KYB1";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_backup_opens_whole_and_as_what_it_is(contents: Vec<u8>, flip in any::<prop::sample::Index>(), bit in 0..8) {
            let key = BackupKey::generate().unwrap();
            let mut blob = key.seal(ObjectKind::Key, &contents).unwrap();
            prop_assert_eq!(&*key.open(ObjectKind::Key, &blob).unwrap(), &contents);
            let unreadable = |kind| Err(VaultError::BackupUnreadable { kind });
            prop_assert_eq!(key.open(ObjectKind::Secret, &blob), unreadable(ObjectKind::Secret));
            prop_assert_eq!(BackupKey::generate().unwrap().open(ObjectKind::Key, &blob), unreadable(ObjectKind::Key));
            let at = flip.index(blob.len());
            blob[at] ^= 1_u8 << bit;
            prop_assert_eq!(key.open(ObjectKind::Key, &blob), unreadable(ObjectKind::Key));
        }

        #[test]
        fn opening_never_panics(blob: Vec<u8>) {
            prop_assert!(BackupKey::generate().unwrap().open(ObjectKind::Key, &blob).is_err());
        }
    }

    #[test]
    fn a_key_is_never_shown() {
        assert_eq!(format!("{:?}", BackupKey::generate().unwrap()), "BackupKey(redacted)");
    }
}
