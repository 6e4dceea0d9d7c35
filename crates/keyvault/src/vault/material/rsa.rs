//! RSA key material: the three ways a vault encrypts with it and the six it signs with, by aws-lc-rs.
//!
//! `RSA1_5` is RSAES-PKCS1-v1_5, `RSA-OAEP` is OAEP with SHA-1 and MGF1-SHA-1, `RSA-OAEP-256` is OAEP with SHA-256 in both
//! places (RFC 8017, RFC 7518 section 4.1). For RSA, Key Vault's wrapKey and unwrapKey are the same computation as encrypt
//! and decrypt. Signatures are made over a digest that the caller made; the service puts it into a `DigestInfo` itself.

use std::fmt;
use std::sync::OnceLock;

use aws_lc_rs::digest::Digest;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{
    KeyPair, KeyPairComponents, KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm,
    OaepPrivateDecryptingKey, OaepPublicEncryptingKey, Pkcs1PrivateDecryptingKey, Pkcs1PublicEncryptingKey,
    PrivateDecryptingKey, PublicKeyComponents,
};
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaParameters, RsaSignatureEncoding, UnparsedPublicKey,
};
use zeroize::Zeroizing;

use crate::vault::VaultError;
use crate::vault::material::{CryptoError, Hash};

/// An RSA key pair. The private half leaves only through [`RsaKey::expose`].
///
/// What computes is made from the bytes when it is first needed: a vault may hold thousands of keys, and uses few of them.
pub(crate) struct RsaKey {
    /// PKCS#8.
    der: Zeroizing<Vec<u8>>,
    ciphers: OnceLock<Ciphers>,
    signing: OnceLock<KeyPair>,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
    size: RsaSize,
}

/// The key in the forms that encrypt and decrypt.
struct Ciphers {
    oaep_private: OaepPrivateDecryptingKey,
    oaep_public: OaepPublicEncryptingKey,
    pkcs1_private: Pkcs1PrivateDecryptingKey,
    pkcs1_public: Pkcs1PublicEncryptingKey,
}

impl RsaKey {
    /// Makes a key. Takes tens of milliseconds for 2048 bits and a second or more for 4096: not for an async thread.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Generate`] if the random source or the library fails.
    pub(crate) fn generate(size: RsaSize) -> Result<Self, CryptoError> {
        let key_size = match size {
            RsaSize::Rsa2048 => KeySize::Rsa2048,
            RsaSize::Rsa3072 => KeySize::Rsa3072,
            RsaSize::Rsa4096 => KeySize::Rsa4096,
        };
        Self::from_private(&PrivateDecryptingKey::generate(key_size).map_err(|_| CryptoError::Generate)?)
    }

    /// Reads a key from PKCS#8 DER.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Decode`] if it is not an RSA key of a size a vault has.
    pub(crate) fn from_pkcs8(der: &[u8]) -> Result<Self, CryptoError> {
        Self::from_private(&PrivateDecryptingKey::from_pkcs8(der).map_err(|_| CryptoError::Decode)?)
    }

    /// Takes the numbers of a key that a caller brings.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Decode`] if they do not belong together or make no key of a size a vault has.
    pub(crate) fn from_components(components: &RsaComponents) -> Result<Self, CryptoError> {
        let RsaComponents { n, e, d, p, q, dp, dq, qi } = components;
        let components = KeyPairComponents {
            public_key: PublicKeyComponents { n: n.as_slice(), e: e.as_slice() },
            d: d.as_slice(),
            p: p.as_slice(),
            q: q.as_slice(),
            dP: dp.as_slice(),
            dQ: dq.as_slice(),
            qInv: qi.as_slice(),
        };
        let pair = KeyPair::from_components(&components).map_err(|_| CryptoError::Decode)?;
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| CryptoError::Decode)?;
        Self::from_pkcs8(der.as_ref())
    }

    fn from_private(private: &PrivateDecryptingKey) -> Result<Self, CryptoError> {
        let size = RsaSize::from_bits(private.key_size_bits()).ok_or(CryptoError::Decode)?;
        let der: Pkcs8V1Der<'_> = private.as_der().map_err(|_| CryptoError::Encode)?;
        let pair = KeyPair::from_pkcs8(der.as_ref()).map_err(|_| CryptoError::Decode)?;
        let public = pair.public_key();
        Ok(Self {
            der: Zeroizing::new(der.as_ref().to_vec()),
            ciphers: OnceLock::new(),
            signing: OnceLock::new(),
            modulus: public.modulus().big_endian_without_leading_zero().to_vec(),
            exponent: public.exponent().big_endian_without_leading_zero().to_vec(),
            size,
        })
    }

    /// The private key as PKCS#8 DER, for storage.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.der
    }

    /// The modulus, big-endian, without leading zeros: `n` of the JWK.
    pub(crate) fn modulus(&self) -> &[u8] {
        &self.modulus
    }

    /// The public exponent, big-endian, without leading zeros: `e` of the JWK.
    pub(crate) fn exponent(&self) -> &[u8] {
        &self.exponent
    }

    /// The size of the modulus.
    pub(crate) fn size(&self) -> RsaSize {
        self.size
    }

    /// Encrypts with the public half.
    ///
    /// # Errors
    ///
    /// [`VaultError::PlaintextTooLong`] if `plaintext` does not fit under `padding`, [`VaultError::Crypto`] if the library
    /// fails.
    pub(crate) fn encrypt(&self, padding: RsaPadding, plaintext: &[u8]) -> Result<Vec<u8>, VaultError> {
        let ciphers = self.ciphers().map_err(VaultError::Crypto)?;
        let limit_bytes = match padding.oaep() {
            Some(oaep) => ciphers.oaep_public.max_plaintext_size(oaep),
            None => ciphers.pkcs1_public.max_plaintext_size(),
        };
        let too_long = VaultError::PlaintextTooLong { limit_bytes, actual_bytes: plaintext.len() };
        if plaintext.len() > limit_bytes {
            return Err(too_long);
        }
        let mut block = vec![0; self.size.bytes()];
        let written = match padding.oaep() {
            Some(oaep) => ciphers.oaep_public.encrypt(oaep, plaintext, &mut block, None),
            None => ciphers.pkcs1_public.encrypt(plaintext, &mut block),
        };
        // The length was checked and the block is as long as the modulus: nothing is left to fail but the library.
        let length = written.map_err(|_| too_long)?.len();
        block.truncate(length);
        Ok(block)
    }

    /// Opens with the private half.
    ///
    /// # Errors
    ///
    /// [`VaultError::Decryption`], whatever is wrong with `ciphertext`.
    pub(crate) fn decrypt(&self, padding: RsaPadding, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let ciphers = self.ciphers().map_err(VaultError::Crypto)?;
        let mut block = Zeroizing::new(vec![0; self.size.bytes()]);
        let read = match padding.oaep() {
            Some(oaep) => ciphers.oaep_private.decrypt(oaep, ciphertext, &mut block, None),
            None => ciphers.pkcs1_private.decrypt(ciphertext, &mut block),
        };
        let length = read.map_err(|_| VaultError::Decryption)?.len();
        block.truncate(length);
        Ok(block)
    }

    /// Signs by RSASSA-PKCS1-v1_5.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Sign`] if the library fails.
    pub(crate) fn sign_pkcs1(&self, hash: Hash, digest: &Digest) -> Result<Vec<u8>, CryptoError> {
        let encoding = match hash {
            Hash::Sha256 => &RSA_PKCS1_SHA256,
            Hash::Sha384 => &RSA_PKCS1_SHA384,
            Hash::Sha512 => &RSA_PKCS1_SHA512,
        };
        self.sign(encoding, digest)
    }

    /// Signs by RSASSA-PSS with a salt as long as the digest.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Sign`] if the library fails.
    pub(crate) fn sign_pss(&self, hash: Hash, digest: &Digest) -> Result<Vec<u8>, CryptoError> {
        let encoding = match hash {
            Hash::Sha256 => &RSA_PSS_SHA256,
            Hash::Sha384 => &RSA_PSS_SHA384,
            Hash::Sha512 => &RSA_PSS_SHA512,
        };
        self.sign(encoding, digest)
    }

    /// Whether `signature` is one of this key by RSASSA-PKCS1-v1_5.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Decode`] if the library fails.
    pub(crate) fn verify_pkcs1(&self, hash: Hash, digest: &Digest, signature: &[u8]) -> Result<bool, CryptoError> {
        let parameters = match hash {
            Hash::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
            Hash::Sha384 => &RSA_PKCS1_2048_8192_SHA384,
            Hash::Sha512 => &RSA_PKCS1_2048_8192_SHA512,
        };
        self.verify(parameters, digest, signature)
    }

    /// Whether `signature` is one of this key by RSASSA-PSS.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Decode`] if the library fails.
    pub(crate) fn verify_pss(&self, hash: Hash, digest: &Digest, signature: &[u8]) -> Result<bool, CryptoError> {
        let parameters = match hash {
            Hash::Sha256 => &RSA_PSS_2048_8192_SHA256,
            Hash::Sha384 => &RSA_PSS_2048_8192_SHA384,
            Hash::Sha512 => &RSA_PSS_2048_8192_SHA512,
        };
        self.verify(parameters, digest, signature)
    }

    fn sign(&self, encoding: &'static RsaSignatureEncoding, digest: &Digest) -> Result<Vec<u8>, CryptoError> {
        let mut signature = vec![0; self.size.bytes()];
        self.signing()?.sign_digest(encoding, digest, &mut signature).map_err(|_| CryptoError::Sign)?;
        Ok(signature)
    }

    fn verify(
        &self,
        parameters: &'static RsaParameters,
        digest: &Digest,
        signature: &[u8],
    ) -> Result<bool, CryptoError> {
        let public = UnparsedPublicKey::new(parameters, self.signing()?.public_key().as_ref());
        Ok(public.verify_digest(digest, signature).is_ok())
    }

    fn ciphers(&self) -> Result<&Ciphers, CryptoError> {
        if let Some(ciphers) = self.ciphers.get() {
            return Ok(ciphers);
        }
        let decode = |_| CryptoError::Decode;
        let private = PrivateDecryptingKey::from_pkcs8(&self.der).map_err(|_| CryptoError::Decode)?;
        let ciphers = Ciphers {
            oaep_private: OaepPrivateDecryptingKey::new(private.clone()).map_err(decode)?,
            oaep_public: OaepPublicEncryptingKey::new(private.public_key()).map_err(decode)?,
            pkcs1_private: Pkcs1PrivateDecryptingKey::new(private.clone()).map_err(decode)?,
            pkcs1_public: Pkcs1PublicEncryptingKey::new(private.public_key()).map_err(decode)?,
        };
        Ok(self.ciphers.get_or_init(|| ciphers))
    }

    fn signing(&self) -> Result<&KeyPair, CryptoError> {
        if let Some(pair) = self.signing.get() {
            return Ok(pair);
        }
        let pair = KeyPair::from_pkcs8(&self.der).map_err(|_| CryptoError::Decode)?;
        Ok(self.signing.get_or_init(|| pair))
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RsaKey").field("size", &self.size).finish_non_exhaustive()
    }
}

/// The private and public numbers of an RSA key, big-endian: the members of its JWK.
#[derive(Default)]
pub(crate) struct RsaComponents {
    pub(crate) n: Vec<u8>,
    pub(crate) e: Vec<u8>,
    pub(crate) d: Zeroizing<Vec<u8>>,
    pub(crate) p: Zeroizing<Vec<u8>>,
    pub(crate) q: Zeroizing<Vec<u8>>,
    pub(crate) dp: Zeroizing<Vec<u8>>,
    pub(crate) dq: Zeroizing<Vec<u8>>,
    pub(crate) qi: Zeroizing<Vec<u8>>,
}

/// How RSA pads what it encrypts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RsaPadding {
    /// `RSA-OAEP`.
    Oaep,
    /// `RSA-OAEP-256`.
    Oaep256,
    /// `RSA1_5`.
    Pkcs1,
}

impl RsaPadding {
    fn oaep(self) -> Option<&'static OaepAlgorithm> {
        match self {
            Self::Oaep => Some(&OAEP_SHA1_MGF1SHA1),
            Self::Oaep256 => Some(&OAEP_SHA256_MGF1SHA256),
            Self::Pkcs1 => None,
        }
    }
}

/// The sizes of an RSA key that a vault makes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RsaSize {
    Rsa2048,
    Rsa3072,
    Rsa4096,
}

impl RsaSize {
    /// The size of this many bits, if a vault has it.
    pub(crate) fn from_bits(bits: usize) -> Option<Self> {
        match bits {
            2048 => Some(Self::Rsa2048),
            3072 => Some(Self::Rsa3072),
            4096 => Some(Self::Rsa4096),
            _ => None,
        }
    }

    /// The length of the modulus, and so of a ciphertext, in bytes.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::Rsa2048 => 256,
            Self::Rsa3072 => 384,
            Self::Rsa4096 => 512,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    const PADDINGS: [RsaPadding; 3] = [RsaPadding::Oaep, RsaPadding::Oaep256, RsaPadding::Pkcs1];

    static KEYS: LazyLock<Vec<RsaKey>> = LazyLock::new(|| {
        let sizes = [RsaSize::Rsa2048, RsaSize::Rsa3072, RsaSize::Rsa4096];
        sizes.map(|size| RsaKey::generate(size).unwrap()).into()
    });

    #[test]
    fn limits_are_those_of_the_algorithms() {
        for key in &*KEYS {
            let modulus_bytes = key.size().bytes();
            assert_eq!((key.modulus().len(), key.exponent()), (modulus_bytes, [1, 0, 1].as_slice()));
            for (algorithm, overhead) in [(RsaPadding::Pkcs1, 11), (RsaPadding::Oaep, 42), (RsaPadding::Oaep256, 66)] {
                let limit_bytes = modulus_bytes - overhead;
                for length in [0, 1, 32, limit_bytes] {
                    let plain = vec![0xa5; length];
                    let sealed = key.encrypt(algorithm, &plain).unwrap();
                    assert_eq!(sealed.len(), modulus_bytes);
                    assert_eq!(*key.decrypt(algorithm, &sealed).unwrap(), plain);
                }
                let too_long = VaultError::PlaintextTooLong { limit_bytes, actual_bytes: limit_bytes + 1 };
                assert_eq!(key.encrypt(algorithm, &vec![0; limit_bytes + 1]), Err(too_long));
            }
        }
    }

    #[test]
    fn a_ciphertext_opens_under_its_own_key_and_algorithm_only() {
        let [key, other, _] = &KEYS[..] else { panic!("three keys") };
        let sealed = key.encrypt(RsaPadding::Oaep256, b"seed").unwrap();
        let refused = Err(VaultError::Decryption);
        let opened = |key: &RsaKey, algorithm, ciphertext: &[u8]| key.decrypt(algorithm, ciphertext).map(|_| ());
        assert_eq!(opened(other, RsaPadding::Oaep256, &sealed), refused);
        assert_eq!(opened(key, RsaPadding::Oaep, &sealed), refused);
        assert_eq!(opened(key, RsaPadding::Oaep256, &sealed[1..]), refused);
        assert_eq!(opened(key, RsaPadding::Oaep256, &[]), refused);
        assert_eq!(opened(key, RsaPadding::Oaep256, &[0xff; 256]), refused);
    }

    #[test]
    fn a_stored_key_is_the_same_key() {
        let key = &KEYS[0];
        let again = RsaKey::from_pkcs8(key.expose()).unwrap();
        let sealed = key.encrypt(RsaPadding::Pkcs1, b"seed").unwrap();
        assert_eq!(*again.decrypt(RsaPadding::Pkcs1, &sealed).unwrap(), b"seed");
        assert_eq!(RsaKey::from_pkcs8(b"not a key").map(|_| ()), Err(CryptoError::Decode));
    }

    #[test]
    fn a_private_key_is_never_shown() {
        let key = &KEYS[0];
        let shown = format!("{key:?} {key:#?}");
        assert!(shown.starts_with("RsaKey { size: Rsa2048, .. }"), "{shown}");
        assert!(!shown.contains('['), "{shown}");
    }

    proptest! {
        #[test]
        fn what_is_encrypted_decrypts(
            key in 0_usize..3,
            algorithm in prop::sample::select(PADDINGS.to_vec()),
            plain in prop::collection::vec(any::<u8>(), 0..=190),
            flip in any::<prop::sample::Index>(),
        ) {
            let key = &KEYS[key];
            let mut sealed = key.encrypt(algorithm, &plain).unwrap();
            prop_assert_eq!(&*key.decrypt(algorithm, &sealed).unwrap(), &plain);
            sealed[flip.index(plain.len() + 1)] ^= 1;
            // RSA1_5 has no integrity of its own: damage may, with a small chance, open as something else.
            if let Ok(opened) = key.decrypt(algorithm, &sealed) {
                prop_assert!(algorithm == RsaPadding::Pkcs1 && *opened != plain);
            }
        }

        #[test]
        fn decryption_never_panics(
            algorithm in prop::sample::select(PADDINGS.to_vec()),
            ciphertext in prop::collection::vec(any::<u8>(), 0..=600),
        ) {
            let _ = KEYS[0].decrypt(algorithm, &ciphertext);
        }
    }
}
