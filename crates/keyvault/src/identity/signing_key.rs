//! The key that Entra signs tokens with.

use std::fmt;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::storage::{Store, StoreError};
use crate::vault::{CryptoError, RsaKey, RsaSize};

/// An RSA key pair for RS256.
pub(crate) struct SigningKey {
    pub(super) encoding: EncodingKey,
    pub(super) decoding: DecodingKey,
    id: String,
    modulus: String,
    exponent: String,
}

impl SigningKey {
    /// The stored key; if there is none, a new one, which is stored. Blocks on the disk and on the making of the key.
    ///
    /// # Errors
    ///
    /// [`SigningKeyError`] if the key cannot be made, read or stored.
    pub(super) fn obtain(store: &Store) -> Result<Self, SigningKeyError> {
        let keep = |source| SigningKeyError::Store { source };
        if let Some(key) = store.signing_key().map_err(keep)? {
            return Self::new(&key);
        }
        let key = RsaKey::generate(RsaSize::Rsa2048).map_err(|source| SigningKeyError::Crypto { source })?;
        store.put_signing_key(&key).map_err(keep)?;
        Self::new(&key)
    }

    fn new(key: &RsaKey) -> Result<Self, SigningKeyError> {
        // The library takes PKCS#8 in PEM only.
        let body = Zeroizing::new(STANDARD.encode(key.expose()));
        let pem = Zeroizing::new(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", *body));
        let encoding =
            EncodingKey::from_rsa_pem(pem.as_bytes()).map_err(|source| SigningKeyError::Convert { source })?;
        // Entra's key ids are SHA-1 thumbprints of its certificates. There is no certificate here, so the key is hashed.
        let thumbprint = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, key.modulus());
        Ok(Self {
            encoding,
            decoding: DecodingKey::from_rsa_raw_components(key.modulus(), key.exponent()),
            id: URL_SAFE_NO_PAD.encode(thumbprint),
            modulus: URL_SAFE_NO_PAD.encode(key.modulus()),
            exponent: URL_SAFE_NO_PAD.encode(key.exponent()),
        })
    }

    /// `kid` and `x5t` of the tokens it signs.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The public half as Entra publishes it.
    ///
    /// `Differs:` no `x5c`: there is no certificate.
    pub(super) fn jwk(&self, issuer: String) -> Jwk {
        Jwk {
            kty: "RSA",
            key_use: "sig",
            kid: self.id.clone(),
            x5t: self.id.clone(),
            n: self.modulus.clone(),
            e: self.exponent.clone(),
            issuer,
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A public key of `/{tenant}/discovery/v2.0/keys`.
#[derive(Debug, Serialize)]
pub(super) struct Jwk {
    kty: &'static str,
    #[serde(rename = "use")]
    key_use: &'static str,
    kid: String,
    x5t: String,
    n: String,
    e: String,
    issuer: String,
}

/// Why a signing key cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SigningKeyError {
    /// The token library refuses the key.
    #[error("hand the key to the token library")]
    Convert {
        #[source]
        source: jsonwebtoken::errors::Error,
    },
    /// The cryptographic library failed.
    #[error("make the key")]
    Crypto {
        #[source]
        source: CryptoError,
    },
    /// The state file failed.
    #[error("store the key or read it back")]
    Store {
        #[source]
        source: StoreError,
    },
    /// The work panicked, or the runtime is going down.
    #[error("finish making the key")]
    Task {
        #[source]
        source: tokio::task::JoinError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signing_key_is_never_shown() {
        let key = SigningKey::obtain(&Store::in_memory()).unwrap();
        assert_eq!(format!("{key:?}"), format!("SigningKey {{ id: {:?}, .. }}", key.id()));
        assert_eq!(key.id().len(), 27);
    }
}
