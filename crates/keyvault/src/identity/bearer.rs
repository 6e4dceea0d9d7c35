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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::{EncodingKey, Header};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::config::{Principal, PrincipalKind, Secret, VaultKind};
    use crate::identity::signing_key::SigningKey;
    use crate::identity::token::{Proof, sign};
    use crate::storage::Store;

    fn authority() -> TokenAuthority {
        TokenAuthority::new(Uuid::from_u128(1), Arc::new(Store::in_memory()))
    }

    fn principal() -> Principal {
        let kind = PrincipalKind::ServicePrincipal { client_secret: Some(Secret::new("secret".to_owned())) };
        Principal::new(Uuid::from_u128(2), Uuid::from_u128(3), kind)
    }

    fn issued_at() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    async fn token(authority: &TokenAuthority, audience: &str) -> String {
        let audience = Audience::from_resource(audience).unwrap();
        let lifetime = Duration::from_hours(1);
        authority
            .issue(&principal(), Proof::Secret, &audience, issued_at(), lifetime)
            .await
            .unwrap()
            .expose()
            .to_owned()
    }

    async fn verified(authority: &TokenAuthority, token: &str, now: Timestamp) -> Result<Caller, BearerError> {
        authority.verify_at(Some(&format!("Bearer {token}")), &Audience::of_vault(VaultKind::Vault, None), now).await
    }

    /// A good token with one claim replaced, signed anew by the right key.
    async fn with_claim(authority: &TokenAuthority, change: impl FnOnce(&mut Claims)) -> String {
        let token = token(authority, "https://vault.azure.net").await;
        let mut claims = authority.signed_claims(&token).await.unwrap();
        change(&mut claims);
        sign(authority.key().await.unwrap(), &claims).unwrap()
    }

    #[tokio::test]
    async fn a_good_token_speaks_for_its_principal() {
        let authority = authority();
        for (audience, issuer) in [
            ("https://vault.azure.net", authority.issuer_v1()),
            ("cfa8b339-82a2-471a-a3c9-0fc0be7a4093", authority.issuer_v2()),
        ] {
            let token = token(&authority, audience).await;
            let caller = verified(&authority, &token, issued_at()).await.unwrap();
            let expected =
                Caller { client_id: Uuid::from_u128(2).to_string(), object_id: Uuid::from_u128(3).to_string(), issuer };
            assert_eq!(caller, expected);
        }
    }

    #[tokio::test]
    async fn a_token_lives_from_nbf_to_exp() {
        let authority = authority();
        let token = token(&authority, "https://vault.azure.net").await;
        let at = |seconds| Timestamp::from_second(issued_at().as_second() + seconds).unwrap();
        assert!(verified(&authority, &token, at(-300)).await.is_ok());
        assert!(verified(&authority, &token, at(3_599)).await.is_ok());
        assert!(matches!(verified(&authority, &token, at(-301)).await, Err(BearerError::NotYetValid { .. })));
        assert!(matches!(verified(&authority, &token, at(3_600)).await, Err(BearerError::Expired)));
    }

    #[tokio::test]
    async fn wrong_claims_are_named() {
        let authority = authority();
        let now = issued_at();
        let token = with_claim(&authority, |claims| claims.iss = "https://sts.windows.net/other/".to_owned()).await;
        assert!(matches!(verified(&authority, &token, now).await, Err(BearerError::Issuer { .. })));
        let token = with_claim(&authority, |claims| claims.aud += "/").await;
        assert!(matches!(verified(&authority, &token, now).await, Err(BearerError::Audience { .. })));
        let token = with_claim(&authority, |claims| claims.tid = Uuid::nil().to_string()).await;
        assert!(matches!(verified(&authority, &token, now).await, Err(BearerError::Tenant { .. })));
        let token = with_claim(&authority, |claims| claims.exp = i64::MAX).await;
        assert!(matches!(verified(&authority, &token, now).await, Err(BearerError::Claims)));
        let token = with_claim(&authority, |claims| claims.appid = None).await;
        assert!(matches!(verified(&authority, &token, now).await, Err(BearerError::Claims)));
    }

    #[tokio::test]
    async fn a_signature_must_be_rs256_by_our_key() {
        let authority = authority();
        let good = token(&authority, "https://vault.azure.net").await;
        let [header, claims, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
        let kid = authority.key().await.unwrap().id().to_owned();
        let check = async |token: String| verified(&authority, &token, issued_at()).await.unwrap_err();

        let none = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"none","kid":"{kid}"}}"#));
        assert!(matches!(check(format!("{none}.{claims}.")).await, BearerError::Algorithm));
        assert!(matches!(check(format!("{none}.{claims}.{signature}")).await, BearerError::Algorithm));

        // The classic: the public key as an HMAC secret.
        let mut hmac = Header::new(Algorithm::HS256);
        hmac.kid = Some(kid.clone());
        let public = serde_json::to_vec(&authority.jwk().await.unwrap()).unwrap();
        let body = authority.signed_claims(&good).await.unwrap();
        let forged = jsonwebtoken::encode(&hmac, &body, &EncodingKey::from_secret(&public)).unwrap();
        assert!(matches!(check(forged).await, BearerError::Algorithm));

        let other = SigningKey::obtain(&Store::in_memory()).unwrap();
        let foreign = sign(&other, &body).unwrap();
        assert!(matches!(check(foreign.clone()).await, BearerError::UnknownKey { .. }));
        // Another key's signature under our key's name.
        let foreign_signature = foreign.rsplit('.').next().unwrap();
        assert!(matches!(check(format!("{header}.{claims}.{foreign_signature}")).await, BearerError::Signature));
        let tampered = claims.replacen(&claims[8..9], if &claims[8..9] == "A" { "B" } else { "A" }, 1);
        assert!(matches!(check(format!("{header}.{tampered}.{signature}")).await, BearerError::Signature));
    }

    #[tokio::test]
    async fn what_is_no_token_is_refused() {
        let authority = authority();
        let verify = async |header| {
            authority.verify_at(header, &Audience::of_vault(VaultKind::Vault, None), issued_at()).await.unwrap_err()
        };
        for missing in [None, Some(""), Some("Bearer"), Some("Bearer "), Some("Basic YTpi")] {
            assert!(matches!(verify(missing).await, BearerError::Missing), "{missing:?}");
        }
        for malformed in ["Bearer x", "bearer a.b", "Bearer a.b.c", "Bearer a.b.c.d", "Bearer ..", "Bearer e30.e30.e30"]
        {
            assert!(matches!(verify(Some(malformed)).await, BearerError::Malformed), "{malformed}");
        }
    }

    proptest! {
        #[test]
        fn garbage_is_refused_without_a_panic(header in ".*", token in "[A-Za-z0-9_.-]{0,80}") {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let authority = authority();
            let audience = Audience::of_vault(VaultKind::Vault, None);
            let token = format!("Bearer {token}");
            for header in [header.as_str(), token.as_str()] {
                let verified = authority.verify_at(Some(header), &audience, issued_at());
                prop_assert!(runtime.block_on(verified).is_err());
            }
        }
    }
}
