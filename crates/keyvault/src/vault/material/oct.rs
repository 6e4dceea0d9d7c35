//! Symmetric keys: AES in the modes that the service has, and HMAC; by aws-lc-rs but for the wrapping with 192 bits.
//!
//! The service makes the nonce of GCM itself and takes no other; for CBC a caller may bring its own.

use std::fmt;

use aes_kw::cipher::KeyInit;
use aes_kw::{KwAes192, KwpAes192};
use aws_lc_rs::aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext,
    PaddedBlockDecryptingKey, PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::{FixedLength, IV_LEN_128_BIT};
use aws_lc_rs::key_wrap::{self, AesKek, KeyWrap, KeyWrapPadded};
use aws_lc_rs::{hmac, rand};
use zeroize::Zeroizing;

use crate::vault::VaultError;
use crate::vault::material::{CryptoError, EncryptionAlgorithm, Hash, Opening, Sealed};

/// A symmetric key. It leaves only through [`OctKey::expose`].
pub(crate) struct OctKey {
    bytes: Zeroizing<Vec<u8>>,
    size: AesSize,
}

impl OctKey {
    /// Makes a key.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Random`] if the random source fails.
    pub(crate) fn generate(size: AesSize) -> Result<Self, CryptoError> {
        let mut bytes = Zeroizing::new(vec![0; size.bytes()]);
        rand::fill(&mut bytes).map_err(|_| CryptoError::Random)?;
        Ok(Self { bytes, size })
    }

    /// Takes the bytes of a key.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Decode`] if there are not 16, 24 or 32 of them.
    pub(crate) fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Result<Self, CryptoError> {
        let size = AesSize::from_bits(8 * bytes.len()).ok_or(CryptoError::Decode)?;
        Ok(Self { bytes, size })
    }

    /// The key itself, for storage.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.bytes
    }

    /// The size.
    pub(crate) fn size(&self) -> AesSize {
        self.size
    }

    /// Encrypts or wraps. `iv` is the caller's; where it brings none, and for GCM always, one is made.
    ///
    /// # Errors
    ///
    /// [`VaultError::AlgorithmMismatch`] if it is none of this key, [`VaultError::InvalidIv`],
    /// [`VaultError::BlockLength`], [`VaultError::Crypto`] if the library fails.
    pub(crate) fn encrypt(
        &self,
        algorithm: EncryptionAlgorithm,
        plaintext: &[u8],
        iv: Option<&[u8]>,
        aad: &[u8],
    ) -> Result<Sealed, VaultError> {
        self.check(algorithm)?;
        let library = |_| VaultError::Crypto(CryptoError::Encrypt);
        match algorithm {
            EncryptionAlgorithm::AesGcm(_) => {
                if iv.is_some() {
                    return Err(VaultError::InvalidIv { algorithm: algorithm.as_str() });
                }
                let nonce: [u8; NONCE_LEN] = random()?;
                let mut value = plaintext.to_vec();
                let nonce_again = Nonce::assume_unique_for_key(nonce);
                let sealed = self.gcm()?.seal_in_place_separate_tag(nonce_again, Aad::from(aad), &mut value);
                let tag = sealed.map_err(library)?.as_ref().to_vec();
                Ok(Sealed { value, iv: Some(nonce.to_vec()), tag: Some(tag) })
            }
            EncryptionAlgorithm::AesCbc(_) | EncryptionAlgorithm::AesCbcPad(_) => {
                let iv: [u8; IV_LEN_128_BIT] = match iv {
                    Some(iv) => iv.try_into().map_err(|_| VaultError::InvalidIv { algorithm: algorithm.as_str() })?,
                    None => random()?,
                };
                let context = EncryptionContext::Iv128(FixedLength::from(iv));
                let mut value = plaintext.to_vec();
                if matches!(algorithm, EncryptionAlgorithm::AesCbcPad(_)) {
                    let key = PaddedBlockEncryptingKey::cbc_pkcs7(self.cipher()?).map_err(library)?;
                    key.less_safe_encrypt(&mut value, context).map_err(library)?;
                } else {
                    whole_blocks(algorithm, plaintext, BLOCK_BYTES)?;
                    let key = EncryptingKey::cbc(self.cipher()?).map_err(library)?;
                    key.less_safe_encrypt(&mut value, context).map_err(library)?;
                }
                Ok(Sealed { value, iv: Some(iv.to_vec()), tag: None })
            }
            EncryptionAlgorithm::AesKw(_) | EncryptionAlgorithm::CkmAesKeyWrap => {
                whole_blocks(algorithm, plaintext, WRAP_BLOCK_BYTES)?;
                if plaintext.len() < 2 * WRAP_BLOCK_BYTES {
                    return Err(too_short(algorithm, plaintext));
                }
                Ok(Sealed::plain(self.wrap(plaintext).map_err(VaultError::Crypto)?))
            }
            EncryptionAlgorithm::AesKwPad(_) | EncryptionAlgorithm::CkmAesKeyWrapPad => {
                if plaintext.is_empty() {
                    return Err(too_short(algorithm, plaintext));
                }
                Ok(Sealed::plain(self.wrap_padded(plaintext).map_err(VaultError::Crypto)?))
            }
            EncryptionAlgorithm::Rsa(_) => Err(self.mismatch(algorithm)),
        }
    }

    /// Decrypts or unwraps.
    ///
    /// # Errors
    ///
    /// [`VaultError::AlgorithmMismatch`] if it is none of this key, [`VaultError::Decryption`] for everything else.
    pub(crate) fn decrypt(
        &self,
        algorithm: EncryptionAlgorithm,
        input: &Opening<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.check(algorithm)?;
        let refused = |_| VaultError::Decryption;
        match algorithm {
            EncryptionAlgorithm::AesGcm(_) => {
                let nonce = Nonce::try_assume_unique_for_key(input.iv.unwrap_or_default()).map_err(refused)?;
                let tag = input.tag.filter(|tag| tag.len() == TAG_BYTES).ok_or(VaultError::Decryption)?;
                let mut plaintext = Zeroizing::new(vec![0; input.value.len()]);
                let key = self.gcm()?;
                let aad = Aad::from(input.aad);
                key.open_separate_gather(nonce, aad, input.value, tag, &mut plaintext).map_err(refused)?;
                Ok(plaintext)
            }
            EncryptionAlgorithm::AesCbc(_) | EncryptionAlgorithm::AesCbcPad(_) => {
                let iv: [u8; IV_LEN_128_BIT] =
                    input.iv.unwrap_or_default().try_into().map_err(|_| VaultError::Decryption)?;
                let context = DecryptionContext::Iv128(FixedLength::from(iv));
                let is_whole = input.value.len().is_multiple_of(BLOCK_BYTES);
                let mut plaintext = Zeroizing::new(input.value.to_vec());
                let length = if matches!(algorithm, EncryptionAlgorithm::AesCbcPad(_)) {
                    let key = PaddedBlockDecryptingKey::cbc_pkcs7(self.cipher()?).map_err(refused)?;
                    if plaintext.is_empty() || !is_whole {
                        return Err(VaultError::Decryption);
                    }
                    key.decrypt(&mut plaintext, context).map_err(refused)?.len()
                } else {
                    let key = DecryptingKey::cbc(self.cipher()?).map_err(refused)?;
                    if !is_whole {
                        return Err(VaultError::Decryption);
                    }
                    key.decrypt(&mut plaintext, context).map_err(refused)?.len()
                };
                plaintext.truncate(length);
                Ok(plaintext)
            }
            EncryptionAlgorithm::AesKw(_) | EncryptionAlgorithm::CkmAesKeyWrap => {
                let is_whole = input.value.len().is_multiple_of(WRAP_BLOCK_BYTES);
                if !is_whole || input.value.len() < 3 * WRAP_BLOCK_BYTES {
                    return Err(VaultError::Decryption);
                }
                self.unwrap(input.value).map_err(|_| VaultError::Decryption)
            }
            EncryptionAlgorithm::AesKwPad(_) | EncryptionAlgorithm::CkmAesKeyWrapPad => {
                let is_whole = input.value.len().is_multiple_of(WRAP_BLOCK_BYTES);
                if !is_whole || input.value.len() < 2 * WRAP_BLOCK_BYTES {
                    return Err(VaultError::Decryption);
                }
                self.unwrap_padded(input.value).map_err(|_| VaultError::Decryption)
            }
            EncryptionAlgorithm::Rsa(_) => Err(self.mismatch(algorithm)),
        }
    }

    /// The MAC of `message`.
    pub(crate) fn mac(&self, hash: Hash, message: &[u8]) -> Vec<u8> {
        hmac::sign(&hmac::Key::new(hash.hmac(), &self.bytes), message).as_ref().to_vec()
    }

    /// Whether `tag` is the MAC of `message`; compared in constant time.
    pub(crate) fn verify(&self, hash: Hash, message: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&hmac::Key::new(hash.hmac(), &self.bytes), message, tag).is_ok()
    }

    fn check(&self, algorithm: EncryptionAlgorithm) -> Result<(), VaultError> {
        let fits = match algorithm {
            EncryptionAlgorithm::AesCbc(size)
            | EncryptionAlgorithm::AesCbcPad(size)
            | EncryptionAlgorithm::AesGcm(size)
            | EncryptionAlgorithm::AesKw(size)
            | EncryptionAlgorithm::AesKwPad(size) => size == self.size,
            EncryptionAlgorithm::CkmAesKeyWrap | EncryptionAlgorithm::CkmAesKeyWrapPad => true,
            EncryptionAlgorithm::Rsa(_) => false,
        };
        if fits { Ok(()) } else { Err(self.mismatch(algorithm)) }
    }

    fn mismatch(&self, algorithm: EncryptionAlgorithm) -> VaultError {
        VaultError::AlgorithmMismatch { algorithm: algorithm.as_str(), key: self.size.as_str() }
    }

    fn gcm(&self) -> Result<LessSafeKey, VaultError> {
        let algorithm = match self.size {
            AesSize::Aes128 => &AES_128_GCM,
            AesSize::Aes192 => &AES_192_GCM,
            AesSize::Aes256 => &AES_256_GCM,
        };
        let key = UnboundKey::new(algorithm, &self.bytes);
        key.map(LessSafeKey::new).map_err(|_| VaultError::Crypto(CryptoError::Encrypt))
    }

    fn cipher(&self) -> Result<UnboundCipherKey, VaultError> {
        let algorithm = match self.size {
            AesSize::Aes128 => &AES_128,
            AesSize::Aes192 => &AES_192,
            AesSize::Aes256 => &AES_256,
        };
        UnboundCipherKey::new(algorithm, &self.bytes).map_err(|_| VaultError::Crypto(CryptoError::Encrypt))
    }

    /// The key for wrapping by aws-lc-rs; `None` for 192 bits, which it does not have.
    fn kek(&self) -> Result<Option<AesKek>, CryptoError> {
        let cipher = match self.size {
            AesSize::Aes128 => &key_wrap::AES_128,
            AesSize::Aes192 => return Ok(None),
            AesSize::Aes256 => &key_wrap::AES_256,
        };
        AesKek::new(cipher, &self.bytes).map(Some).map_err(|_| CryptoError::Encrypt)
    }

    fn wrap(&self, plaintext: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let mut output = vec![0; plaintext.len() + WRAP_BLOCK_BYTES];
        match self.kek()? {
            Some(kek) => drop(kek.wrap(plaintext, &mut output).map_err(|_| CryptoError::Encrypt)?),
            None => drop(self.kw_192()?.wrap_key(plaintext, &mut output).map_err(|_| CryptoError::Encrypt)?),
        }
        Ok(output)
    }

    fn unwrap(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let mut output = Zeroizing::new(vec![0; ciphertext.len()]);
        let length = match self.kek()? {
            Some(kek) => kek.unwrap(ciphertext, &mut output).map_err(|_| CryptoError::Encrypt)?.len(),
            None => self.kw_192()?.unwrap_key(ciphertext, &mut output).map_err(|_| CryptoError::Encrypt)?.len(),
        };
        output.truncate(length);
        Ok(output)
    }

    fn wrap_padded(&self, plaintext: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let mut output = vec![0; plaintext.len().next_multiple_of(WRAP_BLOCK_BYTES) + 2 * WRAP_BLOCK_BYTES];
        let length = match self.kek()? {
            Some(kek) => kek.wrap_with_padding(plaintext, &mut output).map_err(|_| CryptoError::Encrypt)?.len(),
            None => self.kwp_192()?.wrap_key(plaintext, &mut output).map_err(|_| CryptoError::Encrypt)?.len(),
        };
        output.truncate(length);
        Ok(output)
    }

    fn unwrap_padded(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let mut output = Zeroizing::new(vec![0; ciphertext.len()]);
        let length = match self.kek()? {
            Some(kek) => kek.unwrap_with_padding(ciphertext, &mut output).map_err(|_| CryptoError::Encrypt)?.len(),
            None => self.kwp_192()?.unwrap_key(ciphertext, &mut output).map_err(|_| CryptoError::Encrypt)?.len(),
        };
        output.truncate(length);
        Ok(output)
    }

    fn kw_192(&self) -> Result<KwAes192, CryptoError> {
        KwAes192::new_from_slice(&self.bytes).map_err(|_| CryptoError::Encrypt)
    }

    fn kwp_192(&self) -> Result<KwpAes192, CryptoError> {
        KwpAes192::new_from_slice(&self.bytes).map_err(|_| CryptoError::Encrypt)
    }
}

impl fmt::Debug for OctKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OctKey").field("size", &self.size).finish_non_exhaustive()
    }
}

/// The sizes of a symmetric key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AesSize {
    Aes128,
    Aes192,
    Aes256,
}

impl AesSize {
    /// The size of this many bits, if there is one.
    pub(crate) fn from_bits(bits: usize) -> Option<Self> {
        match bits {
            128 => Some(Self::Aes128),
            192 => Some(Self::Aes192),
            256 => Some(Self::Aes256),
            _ => None,
        }
    }

    /// The length of the key in bytes.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    /// The key's kind in words.
    fn as_str(self) -> &'static str {
        match self {
            Self::Aes128 => "oct of 128 bits",
            Self::Aes192 => "oct of 192 bits",
            Self::Aes256 => "oct of 256 bits",
        }
    }
}

fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], VaultError> {
    let mut bytes = [0; LENGTH];
    rand::fill(&mut bytes).map_err(|_| VaultError::Crypto(CryptoError::Random))?;
    Ok(bytes)
}

fn whole_blocks(algorithm: EncryptionAlgorithm, plaintext: &[u8], block_bytes: usize) -> Result<(), VaultError> {
    if plaintext.len().is_multiple_of(block_bytes) {
        return Ok(());
    }
    let actual_bytes = plaintext.len();
    Err(VaultError::BlockLength { algorithm: algorithm.as_str(), block_bytes, actual_bytes })
}

fn too_short(algorithm: EncryptionAlgorithm, plaintext: &[u8]) -> VaultError {
    let actual_bytes = plaintext.len();
    VaultError::BlockLength { algorithm: algorithm.as_str(), block_bytes: WRAP_BLOCK_BYTES, actual_bytes }
}

const BLOCK_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
/// The unit of RFC 3394: a semiblock.
const WRAP_BLOCK_BYTES: usize = 8;
