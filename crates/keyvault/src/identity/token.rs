//! Access tokens: what is in them, and how they are signed.
//!
//! Claims as in <https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference>. Which version of token a
//! client gets is the resource's choice, not the endpoint's: Key Vault gets version 1.0 tokens from both endpoints, as
//! the `iss=https://sts.windows.net/…` in its 403 texts shows for clients of either.
//! `Assumed:` a request for Key Vault by the id of its application gets a version 2.0 token.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, Header};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::config::{Principal, PrincipalKind};
use crate::identity::Audience;
use crate::identity::signing_key::{Jwk, SigningKey, SigningKeyError};
use crate::storage::Store;

/// Issues tokens for one tenant. The signing key is made, or read, when it is first needed.
#[derive(Debug)]
pub(crate) struct TokenAuthority {
    tenant_id: Uuid,
    store: Arc<Store>,
    key: OnceCell<SigningKey>,
}

impl TokenAuthority {
    pub(crate) fn new(tenant_id: Uuid, store: Arc<Store>) -> Self {
        Self { tenant_id, store, key: OnceCell::new() }
    }

    /// Signs a token for `principal` that lives from `now` for `lifetime`.
    ///
    /// # Errors
    ///
    /// [`TokenError`] if there is no key or the library fails.
    pub(super) async fn issue(
        &self,
        principal: &Principal,
        proof: Proof,
        audience: &Audience,
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<IssuedToken, TokenError> {
        let key = self.key().await.map_err(|source| TokenError::Key { source })?;
        let claims = Claims::new(self.tenant_id, principal, proof, audience, now, lifetime);
        let (not_before, expires) = (claims.nbf, claims.exp);
        let text = sign(key, &claims).map_err(|source| TokenError::Sign { source })?;
        Ok(IssuedToken { text: Zeroizing::new(text), not_before, expires, lifetime })
    }

    /// The key that tokens are signed with.
    ///
    /// # Errors
    ///
    /// [`SigningKeyError`] if it can be neither read nor made.
    pub(super) async fn key(&self) -> Result<&SigningKey, SigningKeyError> {
        let obtain = || async {
            let store = Arc::clone(&self.store);
            let obtained = tokio::task::spawn_blocking(move || SigningKey::obtain(&store));
            obtained.await.map_err(|source| SigningKeyError::Task { source })?
        };
        self.key.get_or_try_init(obtain).await
    }

    /// The public half of the signing key.
    ///
    /// # Errors
    ///
    /// Those of [`TokenAuthority::key`].
    pub(super) async fn jwk(&self) -> Result<Jwk, SigningKeyError> {
        Ok(self.key().await?.jwk(self.issuer_v2()))
    }

    /// The issuer of version 1.0 tokens.
    pub(super) fn issuer_v1(&self) -> String {
        issuer_v1(self.tenant_id)
    }

    /// The issuer of version 2.0 tokens, and of the tenant's `OpenID` configuration.
    pub(super) fn issuer_v2(&self) -> String {
        issuer_v2(self.tenant_id)
    }

    pub(super) fn tenant_id(&self) -> Uuid {
        self.tenant_id
    }
}

/// A signed token. Not shown, not cloned.
pub(super) struct IssuedToken {
    text: Zeroizing<String>,
    /// Unix seconds.
    pub(super) not_before: i64,
    /// Unix seconds.
    pub(super) expires: i64,
    pub(super) lifetime: Duration,
}

impl IssuedToken {
    /// The token itself.
    pub(super) fn expose(&self) -> &str {
        &self.text
    }
}

/// How a client proved itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Proof {
    /// By something it signed: a certificate, which managed identities use inside too, or a stranger's token.
    Assertion,
    Secret,
}

/// Why a token could not be issued.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    /// There is no signing key.
    #[error("obtain the key that signs tokens")]
    Key {
        #[source]
        source: SigningKeyError,
    },
    /// The library failed.
    #[error("sign the token")]
    Sign {
        #[source]
        source: jsonwebtoken::errors::Error,
    },
}

/// The claims of a token, those of version 1.0 and those of 2.0.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Claims {
    pub(super) aud: String,
    pub(super) iss: String,
    pub(super) iat: i64,
    pub(super) nbf: i64,
    pub(super) exp: i64,
    pub(super) oid: String,
    pub(super) sub: String,
    pub(super) tid: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) appid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) appidacr: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) azp: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) azpacr: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) idp: Option<String>,
    #[serde(default)]
    pub(super) idtyp: String,
    #[serde(default)]
    pub(super) uti: String,
    #[serde(default)]
    pub(super) ver: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) xms_mirid: Option<String>,
}

impl Claims {
    fn new(
        tenant_id: Uuid,
        principal: &Principal,
        proof: Proof,
        audience: &Audience,
        now: Timestamp,
        lifetime: Duration,
    ) -> Self {
        let v2 = audience.is_application_id();
        let client_id = principal.client_id.to_string();
        let resource_id = match &principal.kind {
            PrincipalKind::ServicePrincipal { .. } => None,
            PrincipalKind::SystemAssigned { resource_id } | PrincipalKind::UserAssigned { resource_id } => {
                Some(resource_id.clone())
            }
        };
        let proof = match proof {
            Proof::Secret => "1",
            Proof::Assertion => "2",
        };
        let for_v1 = |value: String| (!v2).then_some(value);
        let for_v2 = |value: String| v2.then_some(value);
        let issued = now.as_second();
        let lifetime = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        Self {
            aud: audience.as_str().to_owned(),
            iss: if v2 { issuer_v2(tenant_id) } else { issuer_v1(tenant_id) },
            iat: issued.saturating_sub(NOT_BEFORE_SKEW_SECONDS),
            nbf: issued.saturating_sub(NOT_BEFORE_SKEW_SECONDS),
            exp: issued.saturating_add(lifetime),
            oid: principal.object_id.to_string(),
            sub: principal.object_id.to_string(),
            tid: tenant_id.to_string(),
            appid: for_v1(client_id.clone()),
            appidacr: for_v1(proof.to_owned()),
            azp: for_v2(client_id),
            azpacr: for_v2(proof.to_owned()),
            idp: for_v1(issuer_v1(tenant_id)),
            idtyp: "app".to_owned(),
            uti: Uuid::new_v4().simple().to_string(),
            ver: if v2 { "2.0" } else { "1.0" }.to_owned(),
            xms_mirid: resource_id,
        }
    }
}

/// Signs claims as Entra does: RS256, `kid` and `x5t` in the header.
pub(super) fn sign(key: &SigningKey, claims: &Claims) -> Result<String, jsonwebtoken::errors::Error> {
    let mut header = Header::new(Algorithm::RS256);
    header.kid = Some(key.id().to_owned());
    header.x5t = Some(key.id().to_owned());
    jsonwebtoken::encode(&header, claims, &key.encoding)
}

/// Real time: the lifetime of tokens is measured by clients that the stack's clock does not reach.
#[expect(clippy::disallowed_methods, reason = "token lifetimes run on real time, by which clients cache them")]
pub(crate) fn real_now() -> Timestamp {
    Timestamp::now()
}

fn issuer_v1(tenant_id: Uuid) -> String {
    format!("https://sts.windows.net/{tenant_id}/")
}

fn issuer_v2(tenant_id: Uuid) -> String {
    format!("https://login.microsoftonline.com/{tenant_id}/v2.0")
}

/// `Assumed:` Entra dates a token five minutes back, for verifiers whose clock is behind.
const NOT_BEFORE_SKEW_SECONDS: i64 = 300;
