//! What kinds of keys a vault takes, by `kty`, `crv` and `key_size`, by its edition, and by what it is.

use crate::config::VaultKind;
use crate::emulator::LiveVault;
use crate::http::api_error::ApiError;
use crate::http::assumed;
use crate::http::body::invalid;
use crate::vault::{AesSize, Curve, KeyShape, KeyType, RsaSize, Sku};

/// Reads what a creation asks for.
///
/// # Errors
///
/// 400 `BadParameter` for a type, curve or size there is not; 501 for the post-quantum type.
pub(super) fn read(kty: Option<&str>, crv: Option<&str>, key_size: Option<i64>) -> Result<KeyType, ApiError> {
    let (family, hsm) = family(kty)?;
    let bits = key_size.map(|bits| usize::try_from(bits).map_err(|_| invalid("key_size"))).transpose()?;
    let shape = match family {
        Family::Ec => KeyShape::Ec(curve(crv, bits)?),
        Family::Oct => KeyShape::Oct(AesSize::from_bits(bits.unwrap_or(256)).ok_or_else(|| invalid("key_size"))?),
        Family::Rsa => KeyShape::Rsa(RsaSize::from_bits(bits.unwrap_or(2048)).ok_or_else(|| invalid("key_size"))?),
    };
    Ok(KeyType { shape, hsm })
}

/// The families of types.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Family {
    Ec,
    Oct,
    Rsa,
}

/// Family and protection that a `kty` names.
///
/// # Errors
///
/// 400 `BadParameter` if it names none; 501 for the post-quantum type.
pub(super) fn family(kty: Option<&str>) -> Result<(Family, bool), ApiError> {
    match kty {
        None | Some("") => Err(ApiError::bad_parameter(assumed::KTY_MISSING)),
        Some("AKP") => Err(ApiError::not_emulated("Keys of type AKP (ML-DSA) are")),
        Some("EC") => Ok((Family::Ec, false)),
        Some("EC-HSM") => Ok((Family::Ec, true)),
        Some("RSA") => Ok((Family::Rsa, false)),
        Some("RSA-HSM") => Ok((Family::Rsa, true)),
        Some("oct") => Ok((Family::Oct, false)),
        Some("oct-HSM") => Ok((Family::Oct, true)),
        Some(_) => Err(invalid("kty")),
    }
}

/// Refuses types that this vault does not have.
///
/// Plain `oct` is in no vault and no managed HSM; types ending in `-HSM` need a premium vault or a managed HSM.
///
/// # Errors
///
/// 400 `BadParameter`.
pub(super) fn check(vault: &LiveVault, key_type: KeyType) -> Result<(), ApiError> {
    let is_standard = vault.kind() == VaultKind::Vault && vault.sku() == Sku::Standard;
    match (key_type.shape, key_type.hsm) {
        (_, true) if is_standard => Err(ApiError::bad_parameter(assumed::needs_premium(key_type.kty()))),
        (KeyShape::Oct(_), false) => Err(ApiError::bad_parameter(assumed::OCT_IN_SOFTWARE)),
        _ => Ok(()),
    }
}

/// `Assumed:` `key_size` may say what the curve says anyway; without a curve it chooses one.
fn curve(crv: Option<&str>, bits: Option<usize>) -> Result<Curve, ApiError> {
    let curve = match (crv, bits) {
        (None, None) => Curve::P256,
        (None, Some(bits)) => {
            Curve::ALL.into_iter().find(|curve| curve.bits() == bits).ok_or_else(|| invalid("key_size"))?
        }
        (Some(crv), _) => Curve::parse(crv).ok_or_else(|| invalid("crv"))?,
    };
    match bits {
        Some(bits) if bits != curve.bits() => Err(invalid("key_size")),
        None | Some(_) => Ok(curve),
    }
}
