//! What goes into a cryptographic operation, and what comes out of it.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::http::api_error::ApiError;
use crate::http::base64url;
use crate::http::body::{optional_bytes, required_bytes};
use crate::http::keys::route::Crypt;
use crate::vault::{EncryptionAlgorithm, KeyMaterial, Opening, SignatureAlgorithm, VaultError};

/// `KeyOperationsParameters`, `KeySignParameters` and `KeyVerifyParameters`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct CryptRequest {
    alg: Option<String>,
    value: Option<String>,
    digest: Option<String>,
    iv: Option<String>,
    tag: Option<String>,
    aad: Option<String>,
}

/// What an operation takes, decoded.
pub(in crate::http) enum CryptInput {
    Cipher {
        algorithm: EncryptionAlgorithm,
        value: Zeroizing<Vec<u8>>,
        iv: Option<Vec<u8>>,
        tag: Option<Vec<u8>>,
        aad: Option<Vec<u8>>,
    },
    Sign {
        algorithm: SignatureAlgorithm,
        digest: Vec<u8>,
    },
    Verify {
        algorithm: SignatureAlgorithm,
        digest: Vec<u8>,
        signature: Vec<u8>,
    },
}

/// What an operation gives.
pub(super) enum CryptOutput {
    Bytes(KeyOperationResult),
    Verdict(bool),
}

/// `KeyOperationResult`.
#[derive(Serialize)]
pub(super) struct KeyOperationResult {
    kid: String,
    value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    iv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aad: Option<String>,
}

/// `KeyVerifyResult`.
#[derive(Serialize)]
pub(super) struct KeyVerifyResult {
    pub(super) value: bool,
}

impl CryptRequest {
    /// Checks what was sent for an operation.
    ///
    /// # Errors
    ///
    /// 400 `BadParameter` for an algorithm that the operation does not have, and for what is missing or no base64url.
    pub(super) fn read(self, crypt: Crypt) -> Result<CryptInput, ApiError> {
        let alg = self.alg.as_deref().unwrap_or_default();
        match crypt {
            Crypt::Decrypt | Crypt::Encrypt | Crypt::UnwrapKey | Crypt::WrapKey => {
                let algorithm = EncryptionAlgorithm::parse(alg).filter(|algorithm| match crypt {
                    Crypt::UnwrapKey | Crypt::WrapKey => algorithm.wraps(),
                    _ => algorithm.encrypts(),
                });
                Ok(CryptInput::Cipher {
                    algorithm: algorithm.ok_or_else(unknown_algorithm)?,
                    value: Zeroizing::new(required_bytes("value", self.value)?),
                    iv: optional_bytes("iv", self.iv)?,
                    tag: optional_bytes("tag", self.tag)?,
                    aad: optional_bytes("aad", self.aad)?,
                })
            }
            Crypt::Sign => {
                let algorithm = SignatureAlgorithm::parse(alg).ok_or_else(unknown_algorithm)?;
                Ok(CryptInput::Sign { algorithm, digest: required_bytes("value", self.value)? })
            }
            Crypt::Verify => {
                let algorithm = SignatureAlgorithm::parse(alg).ok_or_else(unknown_algorithm)?;
                let digest = required_bytes("digest", self.digest)?;
                Ok(CryptInput::Verify { algorithm, digest, signature: required_bytes("value", self.value)? })
            }
        }
    }
}

impl CryptInput {
    /// Whether the private half of an RSA key has to work, for milliseconds.
    pub(super) fn is_slow(&self, crypt: Crypt) -> bool {
        match self {
            Self::Cipher { .. } => matches!(crypt, Crypt::Decrypt | Crypt::UnwrapKey),
            Self::Sign { .. } => true,
            Self::Verify { .. } => false,
        }
    }

    /// Carries the operation out with the material of the key that `kid` names.
    ///
    /// # Errors
    ///
    /// Those of the material.
    pub(super) fn carry_out(
        self,
        crypt: Crypt,
        kid: String,
        material: &KeyMaterial,
    ) -> Result<CryptOutput, VaultError> {
        let bytes = |kid, value: &[u8]| {
            let value = base64url::encode(value);
            CryptOutput::Bytes(KeyOperationResult { kid, value, iv: None, tag: None, aad: None })
        };
        match self {
            Self::Cipher { algorithm, value, iv, tag, aad } => {
                let associated = aad.as_deref().unwrap_or_default();
                if matches!(crypt, Crypt::Decrypt | Crypt::UnwrapKey) {
                    let (iv, tag) = (iv.as_deref(), tag.as_deref());
                    let input = Opening { value: &value, iv, tag, aad: associated };
                    return Ok(bytes(kid, &material.decrypt(algorithm, &input)?));
                }
                let sealed = material.encrypt(algorithm, &value, iv.as_deref(), associated)?;
                let encode = |bytes: Vec<u8>| base64url::encode(&bytes);
                Ok(CryptOutput::Bytes(KeyOperationResult {
                    kid,
                    value: base64url::encode(&sealed.value),
                    iv: sealed.iv.map(encode),
                    tag: sealed.tag.map(encode),
                    aad: aad.map(encode),
                }))
            }
            Self::Sign { algorithm, digest } => Ok(bytes(kid, &material.sign(algorithm, &digest)?)),
            Self::Verify { algorithm, digest, signature } => {
                Ok(CryptOutput::Verdict(material.verify(algorithm, &digest, &signature)?))
            }
        }
    }
}

/// Captured: Azure/azure-sdk-for-go#2060. The name of the property really is empty.
fn unknown_algorithm() -> ApiError {
    ApiError::bad_parameter("Property  has invalid value\r\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::body::parse;

    proptest! {
        #[test]
        fn reading_never_panics(body: Vec<u8>, alg in "(RSA-OAEP|A256GCM|ES256K|HS512|.*)", value in "[A-Za-z0-9_=+-]*") {
            let request = serde_json::json!({ "alg": alg, "value": value, "digest": value, "iv": value, "tag": value });
            for crypt in [Crypt::Decrypt, Crypt::Encrypt, Crypt::Sign, Crypt::UnwrapKey, Crypt::Verify, Crypt::WrapKey] {
                let _ = parse::<CryptRequest>(&body).map(|request| request.read(crypt));
                let _ = parse::<CryptRequest>(request.to_string().as_bytes()).unwrap().read(crypt);
            }
        }
    }
}
