//! Keys on elliptic curves: ECDSA over a digest that the caller made, by aws-lc-rs.
//!
//! Signatures are r and s side by side, each as long as the curve's order (RFC 7518 section 3.4), not DER.

use std::fmt;

use aws_lc_rs::digest::Digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P256K1_SHA256_FIXED,
    ECDSA_P256K1_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    EcdsaVerificationAlgorithm, KeyPair as _, UnparsedPublicKey,
};
use zeroize::Zeroizing;

use crate::vault::material::{CryptoError, SignatureAlgorithm};

/// A key pair on a curve. The private half leaves only through [`EcKey::expose`].
pub(crate) struct EcKey {
    pair: EcdsaKeyPair,
    curve: Curve,
}

impl EcKey {
    /// Makes a key.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Generate`] if the random source or the library fails.
    pub(crate) fn generate(curve: Curve) -> Result<Self, CryptoError> {
        let pair = EcdsaKeyPair::generate(curve.signing()).map_err(|_| CryptoError::Generate)?;
        Ok(Self { pair, curve })
    }

    /// Reads a key from the scalar that [`EcKey::expose`] gave, or a caller brings, and its point.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Decode`] if they are no key pair of this curve.
    pub(crate) fn from_parts(curve: Curve, scalar: &[u8], x: &[u8], y: &[u8]) -> Result<Self, CryptoError> {
        let scalar = Zeroizing::new(curve.fixed(scalar).ok_or(CryptoError::Decode)?);
        let mut point = vec![UNCOMPRESSED];
        for coordinate in [x, y] {
            point.extend(curve.fixed(coordinate).ok_or(CryptoError::Decode)?);
        }
        let pair = EcdsaKeyPair::from_private_key_and_public_key(curve.signing(), &scalar, &point);
        Ok(Self { pair: pair.map_err(|_| CryptoError::Decode)?, curve })
    }

    /// Reads a key from PKCS#8 DER.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Decode`] if it is no key of this curve.
    pub(crate) fn from_pkcs8(curve: Curve, der: &[u8]) -> Result<Self, CryptoError> {
        let pair = EcdsaKeyPair::from_pkcs8(curve.signing(), der).map_err(|_| CryptoError::Decode)?;
        Ok(Self { pair, curve })
    }

    /// The private key as PKCS#8 DER, for storage.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Encode`] if the library fails.
    pub(crate) fn expose(&self) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let der = self.pair.to_pkcs8v1().map_err(|_| CryptoError::Encode)?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    /// The curve.
    pub(crate) fn curve(&self) -> Curve {
        self.curve
    }

    /// The coordinates of the public point, as wide as the curve: `x` and `y` of the JWK.
    pub(crate) fn point(&self) -> (&[u8], &[u8]) {
        let point = self.pair.public_key().as_ref();
        let coordinates = point.get(1..).unwrap_or_default();
        coordinates.split_at_checked(self.curve.field_bytes()).unwrap_or_default()
    }

    /// Signs a digest of the curve's hash.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Sign`] if the library fails.
    pub(crate) fn sign(&self, digest: &Digest) -> Result<Vec<u8>, CryptoError> {
        let signature = self.pair.sign_digest(digest).map_err(|_| CryptoError::Sign)?;
        Ok(signature.as_ref().to_vec())
    }

    /// Whether `signature` is one of this key over `digest`.
    pub(crate) fn verify(&self, digest: &Digest, signature: &[u8]) -> bool {
        let public = UnparsedPublicKey::new(self.curve.verification(), self.pair.public_key().as_ref());
        public.verify_digest(digest, signature).is_ok()
    }
}

impl fmt::Debug for EcKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EcKey").field("curve", &self.curve).finish_non_exhaustive()
    }
}

/// The curves that a vault has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Curve {
    P256,
    /// secp256k1.
    P256k,
    P384,
    P521,
}

impl Curve {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::P256, Self::P256k, Self::P384, Self::P521];

    /// The name in `crv`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P256k => "P-256K",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// The curve with this name in `crv`. `SECP256K1` is what early versions of the service called `P-256K`.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "SECP256K1" => Some(Self::P256k),
            name => Self::ALL.into_iter().find(|curve| curve.as_str() == name),
        }
    }

    /// The size of its field in bits.
    pub(crate) fn bits(self) -> usize {
        match self {
            Self::P256 | Self::P256k => 256,
            Self::P384 => 384,
            Self::P521 => 521,
        }
    }

    /// The one algorithm that keys of this curve sign with.
    pub(crate) fn signature_algorithm(self) -> SignatureAlgorithm {
        match self {
            Self::P256 => SignatureAlgorithm::Es256,
            Self::P256k => SignatureAlgorithm::Es256k,
            Self::P384 => SignatureAlgorithm::Es384,
            Self::P521 => SignatureAlgorithm::Es512,
        }
    }

    /// The length of a coordinate, and of the private scalar, in bytes.
    pub(crate) fn field_bytes(self) -> usize {
        self.bits().div_ceil(8)
    }

    /// A number as wide as the field. Clients differ in whether they leave leading zeros out.
    fn fixed(self, number: &[u8]) -> Option<Vec<u8>> {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let digits = number.get(zeros..)?;
        let mut fixed = vec![0; self.field_bytes().checked_sub(digits.len())?];
        fixed.extend_from_slice(digits);
        Some(fixed)
    }

    fn signing(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
            Self::P256k => &ECDSA_P256K1_SHA256_FIXED_SIGNING,
            Self::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
            Self::P521 => &ECDSA_P521_SHA512_FIXED_SIGNING,
        }
    }

    fn verification(self) -> &'static EcdsaVerificationAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED,
            Self::P256k => &ECDSA_P256K1_SHA256_FIXED,
            Self::P384 => &ECDSA_P384_SHA384_FIXED,
            Self::P521 => &ECDSA_P521_SHA512_FIXED,
        }
    }
}

/// The first byte of a point in uncompressed form (SEC 1, section 2.3.3).
const UNCOMPRESSED: u8 = 4;
