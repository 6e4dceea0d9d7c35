//! Client assertions: a token that the client signs with a certificate, or a stranger's token that stands for it.
//!
//! <https://learn.microsoft.com/entra/identity-platform/certificate-credentials>. The certificate's own validity and chain are
//! not looked at, as Entra does not either; the one-time use of an assertion's `jti` is not enforced.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq;

use crate::config::Principal;
use crate::identity::aadsts::Refusal;
use crate::identity::federation;

/// A certificate with which an application proves itself: its public half, in PEM. The key is RSA.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct ClientCertificate {
    key: DecodingKey,
    /// SHA-1 of the DER, as `x5t` has it.
    sha1: String,
    /// SHA-256 of the DER, as `x5t#S256` has it.
    sha256: String,
}

impl FromStr for ClientCertificate {
    type Err = CertificateError;

    fn from_str(pem: &str) -> Result<Self, CertificateError> {
        let (_, rest) = pem.split_once(BEGIN).ok_or(CertificateError::NoPem)?;
        let (body, _) = rest.split_once(END).ok_or(CertificateError::NoPem)?;
        let compact: String = body.split_ascii_whitespace().collect();
        let der = STANDARD.decode(compact).map_err(|_| CertificateError::NoPem)?;
        let alone = format!("{BEGIN}{body}{END}\n");
        let key = DecodingKey::from_rsa_pem(alone.as_bytes()).map_err(|source| CertificateError::Key { source })?;
        let hash = |algorithm| URL_SAFE_NO_PAD.encode(digest::digest(algorithm, &der));
        Ok(Self { key, sha1: hash(&digest::SHA1_FOR_LEGACY_USE_ONLY), sha256: hash(&digest::SHA256) })
    }
}

impl TryFrom<String> for ClientCertificate {
    type Error = CertificateError;

    fn try_from(pem: String) -> Result<Self, CertificateError> {
        pem.parse()
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").field("sha256", &self.sha256).finish_non_exhaustive()
    }
}

/// Text that is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The key in it is not RSA, or it is no certificate at all.
    #[error("read the certificate's RSA key")]
    Key {
        /// What the library says.
        #[source]
        source: jsonwebtoken::errors::Error,
    },
    /// It is not PEM.
    #[error("read a certificate: expected PEM, -----BEGIN CERTIFICATE-----")]
    NoPem,
}

/// The claims of an assertion, as far as they are looked at.
#[derive(Debug, Deserialize)]
pub(super) struct AssertionClaims {
    pub(super) iss: String,
    pub(super) sub: String,
    pub(super) aud: Audiences,
    pub(super) exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
}

/// One audience, or several.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Audiences(serde_json::Value);

impl Audiences {
    pub(super) fn contains(&self, wanted: impl Fn(&str) -> bool) -> bool {
        match &self.0 {
            serde_json::Value::Array(several) => several.iter().filter_map(serde_json::Value::as_str).any(wanted),
            one => one.as_str().is_some_and(wanted),
        }
    }

    pub(super) fn shown(&self) -> String {
        self.0.as_str().map_or_else(|| self.0.to_string(), str::to_owned)
    }
}

/// Checks that `assertion` proves that its sender is `principal`. `audiences` are Entra's own names; `now` is real time.
///
/// # Errors
///
/// [`Refusal`]: the first thing that is wrong.
pub(super) fn verify(
    assertion: &str,
    principal: &Principal,
    audiences: &[String],
    now: Timestamp,
) -> Result<(), Refusal> {
    let header = jsonwebtoken::decode_header(assertion).map_err(|_| Refusal::AssertionMalformed)?;
    let claims: AssertionClaims = unverified(assertion)?;
    // An application speaks for itself; whoever else issued the token must be known to the principal.
    if claims.iss.eq_ignore_ascii_case(&principal.client_id.to_string()) {
        by_certificate(assertion, &header, &claims, principal, audiences)?;
    } else {
        federation::verify(assertion, &header, &claims, &principal.federated)?;
    }
    let moment = |seconds| Timestamp::from_second(seconds).map_err(|_| Refusal::AssertionMalformed);
    let (not_before, expires) = (moment(claims.nbf.unwrap_or(0))?, moment(claims.exp)?);
    if now >= not_before && now < expires {
        return Ok(());
    }
    let shown = |at: Timestamp| at.strftime("%Y-%m-%dT%H:%M:%S.0000000Z").to_string();
    Err(Refusal::AssertionTime { now: shown(now), not_before: shown(not_before), expires: shown(expires) })
}

fn by_certificate(
    assertion: &str,
    header: &Header,
    claims: &AssertionClaims,
    principal: &Principal,
    audiences: &[String],
) -> Result<(), Refusal> {
    let thumbprint = header.x5t.clone().or_else(|| header.x5t_s256.clone()).unwrap_or_default();
    let is_named = |certificate: &&ClientCertificate| {
        let same = |named: &Option<String>, own: &str| {
            named.as_ref().is_some_and(|named| bool::from(named.as_bytes().ct_eq(own.as_bytes())))
        };
        same(&header.x5t, &certificate.sha1) || same(&header.x5t_s256, &certificate.sha256)
    };
    let Some(certificate) = principal.certificates.iter().find(is_named) else {
        return Err(Refusal::CertificateNotFound { thumbprint });
    };
    // Neither `none` nor an HMAC with the certificate's public key.
    if !verifies(assertion, header, &certificate.key) {
        return Err(Refusal::AssertionSignature { thumbprint });
    }
    if claims.sub != claims.iss {
        return Err(Refusal::AssertionMalformed);
    }
    if !claims.aud.contains(|found| audiences.iter().any(|audience| audience.eq_ignore_ascii_case(found))) {
        return Err(Refusal::AssertionAudience { found: claims.aud.shown() });
    }
    Ok(())
}

/// Whether the signature holds, by an RSA algorithm and no other.
pub(super) fn verifies(assertion: &str, header: &Header, key: &DecodingKey) -> bool {
    if !RSA_ALGORITHMS.contains(&header.alg) {
        return false;
    }
    let mut validation = Validation::new(header.alg);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    jsonwebtoken::decode::<serde_json::Value>(assertion, key, &validation).is_ok()
}

fn unverified<T: DeserializeOwned>(assertion: &str) -> Result<T, Refusal> {
    let claims = assertion.split('.').nth(1).unwrap_or_default();
    let decoded = URL_SAFE_NO_PAD.decode(claims).map_err(|_| Refusal::AssertionMalformed)?;
    serde_json::from_slice(&decoded).map_err(|_| Refusal::AssertionMalformed)
}

const RSA_ALGORITHMS: [Algorithm; 4] = [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256];
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";
