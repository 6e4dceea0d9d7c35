//! A key that a caller brings: `PUT /keys/{name}` with a JSON Web Key that has its private members.
//!
//! `Assumed:` all members of a private RSA key are needed, as RFC 7518 section 6.3.2 has them; and a key in the clear may be
//! imported as any type, `Hsm` or not. On Azure a key for hardware in production comes wrapped (BYOK, `key_hsm`), which needs
//! the vendor's tools and is refused here.

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::http::api_error::ApiError;
use crate::http::assumed;
use crate::http::body::{AttributesRequest, invalid, required_bytes};
use crate::http::keys::key_type::{Family, family};
use crate::http::keys::wire::ReleasePolicyWire;
use crate::vault::{Curve, EcKey, KeyMaterial, OctKey, RsaComponents, RsaKey, Tags};

/// `KeyImportParameters`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ImportRequest {
    pub(super) key: Option<JsonWebKeyRequest>,
    #[serde(rename = "Hsm", alias = "hsm")]
    pub(super) hsm: Option<bool>,
    pub(super) attributes: Option<AttributesRequest>,
    pub(super) tags: Option<Tags>,
    pub(super) release_policy: Option<ReleasePolicyWire>,
}

/// `JsonWebKey` with its private members, each base64url.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct JsonWebKeyRequest {
    kty: Option<String>,
    pub(super) key_ops: Option<Vec<String>>,
    n: Option<String>,
    e: Option<String>,
    d: Option<String>,
    dp: Option<String>,
    dq: Option<String>,
    qi: Option<String>,
    p: Option<String>,
    q: Option<String>,
    k: Option<String>,
    key_hsm: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl JsonWebKeyRequest {
    /// The material, and whether its type says that it belongs into hardware.
    ///
    /// # Errors
    ///
    /// 400 `BadParameter` for a key that is none, or of a kind or size there is not.
    pub(super) fn material(self) -> Result<(KeyMaterial, bool), ApiError> {
        if self.key_hsm.is_some() {
            return Err(ApiError::not_emulated("Importing keys wrapped for an HSM (key_hsm, BYOK) is"));
        }
        let (family, hsm) = family(self.kty.as_deref())?;
        let bad_key = |_| ApiError::bad_parameter(assumed::IMPORTED_KEY);
        let material = match family {
            Family::Ec => {
                let curve = self.crv.as_deref().and_then(Curve::parse).ok_or_else(|| invalid("crv"))?;
                let d = Zeroizing::new(required_bytes("d", self.d)?);
                let (x, y) = (required_bytes("x", self.x)?, required_bytes("y", self.y)?);
                KeyMaterial::Ec(EcKey::from_parts(curve, &d, &x, &y).map_err(bad_key)?)
            }
            Family::Oct => {
                let k = Zeroizing::new(required_bytes("k", self.k)?);
                KeyMaterial::Oct(OctKey::from_bytes(k).map_err(bad_key)?)
            }
            Family::Rsa => {
                let secret = |property, value| required_bytes(property, value).map(Zeroizing::new);
                let components = RsaComponents {
                    n: required_bytes("n", self.n)?,
                    e: required_bytes("e", self.e)?,
                    d: secret("d", self.d)?,
                    p: secret("p", self.p)?,
                    q: secret("q", self.q)?,
                    dp: secret("dp", self.dp)?,
                    dq: secret("dq", self.dq)?,
                    qi: secret("qi", self.qi)?,
                };
                KeyMaterial::Rsa(RsaKey::from_components(&components).map_err(bad_key)?)
            }
        };
        Ok((material, hsm))
    }
}
