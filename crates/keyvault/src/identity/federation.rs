//! Federated credentials: tokens of a stranger, such as a cluster's service-account tokens, that stand for a principal.
//!
//! <https://learn.microsoft.com/entra/workload-id/workload-identity-federation>. `Differs:` the stranger's keys are part of the
//! configuration, since nothing here goes out to fetch them.

use std::fmt;
use std::str::FromStr;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Header};
use serde::Deserialize;

use crate::identity::aadsts::Refusal;
use crate::identity::assertion::{AssertionClaims, verifies};

/// A stranger's tokens that stand for a principal.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FederatedCredential {
    /// Its `iss`, exactly.
    pub issuer: String,
    /// Its `sub`, exactly: `system:serviceaccount:{namespace}:{name}`.
    pub subject: String,
    /// Its `aud`; by default what Entra recommends.
    #[serde(default = "default_audience")]
    pub audience: String,
    /// The issuer's public keys.
    pub keys: IssuerKeys,
}

impl FederatedCredential {
    /// The audience that Entra recommends.
    pub const DEFAULT_AUDIENCE: &'static str = "api://AzureADTokenExchange";
}

fn default_audience() -> String {
    FederatedCredential::DEFAULT_AUDIENCE.to_owned()
}

/// An issuer's public keys: a JSON Web Key Set, as its `jwks_uri` answers.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct IssuerKeys(JwkSet);

impl FromStr for IssuerKeys {
    type Err = IssuerKeysError;

    fn from_str(json: &str) -> Result<Self, IssuerKeysError> {
        serde_json::from_str(json).map_err(|source| IssuerKeysError { source })
    }
}

impl fmt::Debug for IssuerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuerKeys({})", self.0.keys.len())
    }
}

/// Text that is no JSON Web Key Set.
#[derive(Debug, thiserror::Error)]
#[error("read a JSON Web Key Set")]
pub struct IssuerKeysError {
    #[source]
    source: serde_json::Error,
}

/// Checks a stranger's token.
///
/// # Errors
///
/// [`Refusal::FederationNotFound`] for the claim that matches no credential, [`Refusal::AssertionSignature`] if the issuer's
/// keys did not sign it.
pub(super) fn verify(
    assertion: &str,
    header: &Header,
    claims: &AssertionClaims,
    credentials: &[FederatedCredential],
) -> Result<(), Refusal> {
    let refused = |number, claim, found: &str| Refusal::FederationNotFound { number, claim, found: found.to_owned() };
    let mut left: Vec<_> = credentials.iter().filter(|credential| credential.issuer == claims.iss).collect();
    if left.is_empty() {
        return Err(refused(700_211, "issuer", &claims.iss));
    }
    left.retain(|credential| claims.aud.contains(|found| found == credential.audience));
    if left.is_empty() {
        return Err(refused(700_212, "audience", &claims.aud.shown()));
    }
    left.retain(|credential| credential.subject == claims.sub);
    let Some(credential) = left.first() else { return Err(refused(700_213, "subject", &claims.sub)) };
    let key_id = header.kid.clone().unwrap_or_default();
    let key = credential.keys.0.find(&key_id).and_then(|key| DecodingKey::from_jwk(key).ok());
    match key {
        Some(key) if verifies(assertion, header, &key) => Ok(()),
        _ => Err(Refusal::AssertionSignature { thumbprint: key_id }),
    }
}
