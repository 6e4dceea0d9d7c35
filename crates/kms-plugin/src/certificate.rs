//! A client certificate: a PKCS#12 file, and the assertions that prove to Entra that one has its key.
//!
//! Imitates what Azure's plugin does with `aadClientCertPath`: <https://learn.microsoft.com/entra/identity-platform/certificate-credentials>
//! says what an assertion holds. The SDK's own credential for it needs OpenSSL; the key is used with aws-lc-rs here.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use azure_core::error::{Error as SdkError, ErrorKind, Result as SdkResult};
use azure_core::http::ClientMethodOptions;
use azure_core::time::OffsetDateTime;
use azure_identity::ClientAssertion;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p12_keystore::{KeyStore, Pkcs12ImportPolicy};
use serde_json::json;

use crate::secret::ClientSecret;

/// A certificate and its key.
pub(crate) struct ClientCertificate {
    key: RsaKeyPair,
    /// The SHA-1 digest of the certificate, by which Entra finds it.
    thumbprint: String,
}

impl ClientCertificate {
    /// Reads a PKCS#12 file's content.
    pub(crate) fn from_pkcs12(content: &[u8], password: &ClientSecret) -> Result<Self, CertificateError> {
        let store = KeyStore::from_pkcs12(content, password.expose(), Pkcs12ImportPolicy::Strict)
            .map_err(|source| CertificateError::Pkcs12 { source: Box::new(source) })?;
        let (_, chain) = store.private_key_chain().ok_or(CertificateError::NoKey)?;
        let certificate = chain.certs().first().ok_or(CertificateError::NoCertificate)?;
        let key = RsaKeyPair::from_pkcs8(chain.key().as_der()).map_err(|_| CertificateError::NotRsa)?;
        let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate.as_der()));
        Ok(Self { key, thumbprint })
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").field("thumbprint", &self.thumbprint).finish_non_exhaustive()
    }
}

/// Why a file is no client certificate. The texts follow `failed to decode the client certificate`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// There is a key and no certificate for it.
    #[error("there is no certificate of the private key in it")]
    NoCertificate,
    /// There is no key.
    #[error("there is no private key in it")]
    NoKey,
    /// The text is Azure's plugin's.
    #[error("PKCS#12 certificate must contain a RSA private key")]
    NotRsa,
    /// It is damaged, or the password is wrong.
    #[error("it is not PKCS#12, or the password is wrong")]
    Pkcs12 {
        /// What the parser says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What makes assertions for one application at one token endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Assertions {
    pub(crate) audience: String,
    pub(crate) certificate: Arc<ClientCertificate>,
    pub(crate) client: String,
}

impl Assertions {
    /// A signed token that is good from now, for ten minutes of real time: Entra has no other clock.
    fn sign(&self, now: OffsetDateTime) -> Option<String> {
        let mut unique = [0_u8; 16];
        aws_lc_rs::rand::fill(&mut unique).ok()?;
        let seconds = now.unix_timestamp();
        let header = json!({ "alg": "RS256", "typ": "JWT", "x5t": self.certificate.thumbprint });
        let claims = json!({
            "aud": self.audience,
            "iss": self.client,
            "sub": self.client,
            "jti": hex::encode(unique),
            "nbf": seconds,
            "exp": seconds + LIFETIME_SECS,
        });
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let key = &self.certificate.key;
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).ok()?;
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

#[async_trait]
impl ClientAssertion for Assertions {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> SdkResult<String> {
        let signed = self.sign(OffsetDateTime::now_utc());
        signed.ok_or_else(|| SdkError::with_message(ErrorKind::Credential, "cannot sign a client assertion"))
    }
}

/// How long an assertion is good, in seconds; the SDKs' value.
const LIFETIME_SECS: i64 = 600;

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use proptest::prelude::*;

    use super::*;

    const FILES: [&[u8]; 2] = [
        include_bytes!("../tests/fixtures/certificate/modern.pfx"),
        include_bytes!("../tests/fixtures/certificate/legacy.pfx"),
    ];

    fn read(content: &[u8], password: &str) -> Result<ClientCertificate, CertificateError> {
        ClientCertificate::from_pkcs12(content, &ClientSecret::new(password.to_owned()))
    }

    #[test]
    fn an_assertion_is_signed_with_the_key_of_the_file() {
        for file in FILES {
            let certificate = Arc::new(read(file, "kyanite").unwrap());
            let audience = "https://login.microsoftonline.com/t/oauth2/v2.0/token".to_owned();
            let assertions = Assertions { audience: audience.clone(), certificate, client: "c".to_owned() };
            let token = assertions.sign(OffsetDateTime::UNIX_EPOCH).unwrap();
            let (signed, signature) = token.rsplit_once('.').unwrap();
            let public = include_bytes!("../tests/fixtures/certificate/public.der");
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public)
                .verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
                .unwrap();
            let parts: Vec<serde_json::Value> = signed
                .split('.')
                .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
                .collect();
            // By `openssl x509 -fingerprint -sha1`.
            assert_eq!(parts[0]["x5t"], "FISTLoZzAy5i2hdRDIS0DWaNFeA");
            assert_eq!((&parts[1]["aud"], &parts[1]["exp"]), (&json!(audience), &json!(600)));
            assert_eq!((&parts[1]["iss"], &parts[1]["sub"]), (&json!("c"), &json!("c")));
        }
    }

    #[test]
    fn what_is_none_is_refused_and_shown_without_the_key() {
        for (content, password) in
            [(FILES[0], "wrong"), (FILES[1], "wrong"), (&b"-----BEGIN"[..], "kyanite"), (b"", "")]
        {
            assert!(matches!(read(content, password), Err(CertificateError::Pkcs12 { .. })));
        }
        let shown = format!("{:?}", read(FILES[0], "kyanite").unwrap());
        assert_eq!(shown, r#"ClientCertificate { thumbprint: "FISTLoZzAy5i2hdRDIS0DWaNFeA", .. }"#);
    }

    proptest! {
        #[test]
        fn damage_never_panics(at in 0_usize..2000, byte: u8) {
            let mut content = FILES[1].to_vec();
            content[at] = byte;
            let _ = read(&content, "kyanite");
        }
    }
}
