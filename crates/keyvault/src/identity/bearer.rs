//! The check of a token at the vault: signature, algorithm, issuer, audience, tenant and time.
//!
//! The algorithm is pinned to RS256, so that neither `none` nor an HMAC with the public key passes. The first thing that
//! is wrong is what the caller is told.

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, Validation};

use crate::identity::signing_key::SigningKeyError;
use crate::identity::token::{Claims, real_now};
use crate::identity::{Audience, TokenAuthority};

/// Whom a token speaks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Caller {
    /// `appid`, or `azp` of a version 2.0 token.
    pub(crate) client_id: String,
    /// `oid`.
    pub(crate) object_id: String,
    /// `iss`.
    pub(crate) issuer: String,
}

/// Why a token is not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BearerError {
    /// It is signed with something other than RS256.
    #[error("accept a token that is not signed with RS256")]
    Algorithm,
    /// It is for somebody else.
    #[error("accept a token for the audience {found}")]
    Audience { expected: String, found: String },
    /// Its life is over.
    #[error("accept an expired token")]
    Expired,
    /// The claims are not those of an access token.
    #[error("read the token's claims")]
    Claims,
    /// Somebody else issued it.
    #[error("accept a token of the issuer {found}")]
    Issuer { expected: Vec<String>, found: String },
    /// It is no token.
    #[error("read the token")]
    Malformed,
    /// There is none.
    #[error("find a bearer token in the request")]
    Missing,
    /// Its life has not begun.
    #[error("accept a token that is not valid yet")]
    NotYetValid { not_before: Timestamp, now: Timestamp },
    /// The signature is not by the key it names.
    #[error("verify the token's signature")]
    Signature,
    /// The vault's own signing key is out of reach; no fault of the caller.
    #[error("obtain the key that tokens are checked with")]
    SigningKey {
        #[source]
        source: SigningKeyError,
    },
    /// It is of another tenant than the vault.
    #[error("accept a token of the tenant {found}")]
    Tenant { expected: String, found: String },
    /// It names a key that the tenant does not have. `header` is the token's, still encoded.
    #[error("find the key that the token is signed with")]
    UnknownKey { header: String },
}

impl TokenAuthority {
    /// Whom the token in an `Authorization` header speaks for, at this moment of real time.
    ///
    /// # Errors
    ///
    /// [`BearerError`]: the first thing that is wrong.
    pub(crate) async fn verify(&self, authorization: Option<&str>, audience: &Audience) -> Result<Caller, BearerError> {
        self.verify_at(authorization, audience, real_now()).await
    }

    async fn verify_at(
        &self,
        authorization: Option<&str>,
        audience: &Audience,
        now: Timestamp,
    ) -> Result<Caller, BearerError> {
        let token = authorization.and_then(bearer_token).ok_or(BearerError::Missing)?;
        let claims = self.signed_claims(token).await?;
        let expected = [self.issuer_v1(), self.issuer_v2()];
        if !expected.contains(&claims.iss) {
            return Err(BearerError::Issuer { expected: expected.into(), found: claims.iss });
        }
        if !audience.accepts(&claims.aud) {
            return Err(BearerError::Audience { expected: audience.to_string(), found: claims.aud });
        }
        let moment = |seconds| Timestamp::from_second(seconds).map_err(|_| BearerError::Claims);
        let (not_before, expired) = (moment(claims.nbf)?, moment(claims.exp)?);
        if now < not_before {
            return Err(BearerError::NotYetValid { not_before, now });
        }
        if now >= expired {
            return Err(BearerError::Expired);
        }
        let tenant_id = self.tenant_id().to_string();
        if !claims.tid.eq_ignore_ascii_case(&tenant_id) {
            return Err(BearerError::Tenant { expected: tenant_id, found: claims.tid });
        }
        let client_id = claims.appid.or(claims.azp).ok_or(BearerError::Claims)?;
        Ok(Caller { client_id, object_id: claims.oid, issuer: claims.iss })
    }

    /// The claims of a token whose signature holds.
    async fn signed_claims(&self, token: &str) -> Result<Claims, BearerError> {
        // The header's algorithm is read as text first: the library knows no `none` and would call it malformed.
        let header = token.split('.').next().unwrap_or_default();
        if token.split('.').count() != 3 {
            return Err(BearerError::Malformed);
        }
        let header_of = jsonwebtoken::decode_header(token);
        let parsed = header_of
            .map_err(|_| if names_algorithm(header) { BearerError::Algorithm } else { BearerError::Malformed })?;
        if parsed.alg != Algorithm::RS256 {
            return Err(BearerError::Algorithm);
        }
        let key = self.key().await.map_err(|source| BearerError::SigningKey { source })?;
        if parsed.kid.as_deref() != Some(key.id()) {
            return Err(BearerError::UnknownKey { header: header.to_owned() });
        }
        // Only signature and algorithm are the library's; the claims are checked above, in Key Vault's order and words.
        let mut validation = Validation::new(Algorithm::RS256);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        let data = jsonwebtoken::decode::<Claims>(token, &key.decoding, &validation);
        Ok(data.map_err(|error| bearer_error(&error))?.claims)
    }
}

/// The token of a header `Bearer {token}`; the scheme is compared without regard to case (RFC 7235).
fn bearer_token(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Whether an encoded header is JSON that names an algorithm, be it one that does not exist.
fn names_algorithm(header: &str) -> bool {
    use base64::Engine as _;
    let decoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).unwrap_or_default();
    serde_json::from_slice::<serde_json::Value>(&decoded).is_ok_and(|header| header.get("alg").is_some())
}

fn bearer_error(error: &jsonwebtoken::errors::Error) -> BearerError {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::InvalidSignature => BearerError::Signature,
        ErrorKind::InvalidAlgorithm => BearerError::Algorithm,
        ErrorKind::Json(_) | ErrorKind::InvalidClaimFormat(_) | ErrorKind::MissingRequiredClaim(_) => {
            BearerError::Claims
        }
        _ => BearerError::Malformed,
    }
}
