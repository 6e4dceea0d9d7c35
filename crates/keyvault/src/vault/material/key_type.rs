//! What kind of key it is: `kty`, `crv` and `key_size`.
//!
//! <https://learn.microsoft.com/azure/key-vault/keys/about-keys>: a `-HSM` type differs from its software twin in where the
//! material lies, and in nothing that a caller could compute.

use crate::vault::KeyOperation;
use crate::vault::material::{AesSize, Curve, RsaSize};

/// The type of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct KeyType {
    pub(crate) shape: KeyShape,
    /// Whether the service keeps it in hardware. `Differs:` here it lies where all others do.
    pub(crate) hsm: bool,
}

impl KeyType {
    /// The name in `kty`.
    pub(crate) fn kty(self) -> &'static str {
        match (self.shape, self.hsm) {
            (KeyShape::Ec(_), false) => "EC",
            (KeyShape::Ec(_), true) => "EC-HSM",
            (KeyShape::Oct(_), false) => "oct",
            (KeyShape::Oct(_), true) => "oct-HSM",
            (KeyShape::Rsa(_), false) => "RSA",
            (KeyShape::Rsa(_), true) => "RSA-HSM",
        }
    }
}

/// Family and size of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum KeyShape {
    Ec(Curve),
    /// A symmetric key for AES and HMAC.
    Oct(AesSize),
    Rsa(RsaSize),
}

impl KeyShape {
    /// What a key of this shape can be used for at all.
    pub(crate) fn operations(self) -> &'static [KeyOperation] {
        match self {
            Self::Ec(_) => &[KeyOperation::Sign, KeyOperation::Verify],
            Self::Oct(_) | Self::Rsa(_) => &KeyOperation::ALL,
        }
    }

    /// What a new key allows unless the caller says otherwise, in the order that Azure answers.
    ///
    /// `Assumed:` for symmetric keys, everything but signing, as Azure's documentation of Managed HSM shows it.
    pub(crate) fn default_operations(self) -> &'static [KeyOperation] {
        match self {
            Self::Oct(_) => {
                &[KeyOperation::Encrypt, KeyOperation::Decrypt, KeyOperation::WrapKey, KeyOperation::UnwrapKey]
            }
            Self::Ec(_) | Self::Rsa(_) => self.operations(),
        }
    }

    /// The size as the audit log and the control door tell it, in bits.
    pub(crate) fn bits(self) -> usize {
        match self {
            Self::Ec(curve) => curve.bits(),
            Self::Oct(size) => 8 * size.bytes(),
            Self::Rsa(size) => 8 * size.bytes(),
        }
    }
}
