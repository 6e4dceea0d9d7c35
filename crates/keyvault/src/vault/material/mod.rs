//! Key material and its algorithms. Nothing here knows of versions, attributes or time.

mod algorithm;
mod ec;
mod error;
mod key_material;
mod key_type;
mod oct;
mod rsa;

#[cfg(test)]
mod tests;

pub(crate) use algorithm::{EncryptionAlgorithm, Hash, SignatureAlgorithm};
pub(crate) use ec::{Curve, EcKey};
pub(crate) use error::CryptoError;
pub(crate) use key_material::{KeyMaterial, Opening, Sealed};
pub(crate) use key_type::{KeyShape, KeyType};
pub(crate) use oct::{AesSize, OctKey};
pub(crate) use rsa::{RsaComponents, RsaKey, RsaPadding, RsaSize};
