//! The stack's certificate authority and the certificates it signs.
//!
//! ECDSA P-256, as most of the web; clients check validity on real time, so the dates here are real ones even when the
//! stack's clock is years ahead. Private keys stay in memory; only the CA's own is stored, with mode 0600, and only
//! for a stack that keeps its data.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::runtime::write_private;

/// A certificate authority that only this stack's clients trust.
#[derive(Debug)]
pub struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
    now: Timestamp,
}

impl Ca {
    /// A new authority. `now` is real time.
    ///
    /// # Errors
    ///
    /// [`PkiError::Sign`].
    pub fn create(now: Timestamp) -> Result<Self, PkiError> {
        Self::of(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(PkiError::Sign)?, now)
    }

    /// The authority whose key `directory` holds, or a new one whose key is stored there.
    ///
    /// Its certificate is made anew each time, with the same name and key and later dates: who trusts an earlier one
    /// trusts what this one signs.
    ///
    /// # Errors
    ///
    /// [`PkiError::File`] if the directory cannot be used; [`PkiError::Stored`] if what it holds is no key.
    pub fn load_or_create(directory: &Path, now: Timestamp) -> Result<Self, PkiError> {
        let path = directory.join(CA_KEY);
        match fs::read_to_string(&path) {
            Ok(pem) => Self::of(KeyPair::from_pem(&pem).map_err(|source| PkiError::Stored { path, source })?, now),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let ca = Self::create(now)?;
                let pem = Zeroizing::new(ca.issuer.key().serialize_pem());
                write_private(&path, pem.as_bytes()).map_err(|source| PkiError::File { path, source })?;
                Ok(ca)
            }
            Err(source) => Err(PkiError::File { path, source }),
        }
    }

    /// The authority's certificate, for clients to trust.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A TLS configuration for a server of `names`: DNS names (also `*.example`) and IP addresses.
    ///
    /// # Errors
    ///
    /// [`PkiError::Sign`] or [`PkiError::Tls`] if a name is not one.
    pub fn server(&self, names: &[&str]) -> Result<Arc<ServerConfig>, PkiError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(PkiError::Sign)?;
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, names.first().cloned().unwrap_or_default());
        let mut params = CertificateParams::new(names).map_err(PkiError::Sign)?;
        params.distinguished_name = subject;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, self.now, SERVER_DAYS);
        let certificate = params.signed_by(&key, &self.issuer).map_err(PkiError::Sign)?;
        let private_key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(PkiError::Tls)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private_key)
            .map_err(PkiError::Tls)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn of(key: KeyPair, now: Timestamp) -> Result<Self, PkiError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        // Named after its key: a client that trusts several stacks must not mistake one's authority for another's.
        let digest = digest(&SHA256, key.public_key_raw());
        let name = hex::encode(digest.as_ref().get(..8).unwrap_or_default());
        params.distinguished_name.push(DnType::CommonName, format!("Kyanite CA {name}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params, now, CA_DAYS);
        let issuer = CertifiedIssuer::self_signed(params, key).map_err(PkiError::Sign)?;
        Ok(Self { issuer, now })
    }
}

/// Valid from yesterday, for clocks that are a little behind, for `days` days.
fn set_validity(params: &mut CertificateParams, now: Timestamp, days: i64) {
    let date = |days: i64| {
        let day = now.to_zoned(TimeZone::UTC).date().saturating_add(Span::new().days(days));
        // A month and a day of the calendar are small and positive.
        rcgen::date_time_ymd(day.year().into(), day.month().unsigned_abs(), day.day().unsigned_abs())
    };
    params.not_before = date(-1);
    params.not_after = date(days);
}

/// Why there is no certificate.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PkiError {
    /// A stored file cannot be read or written.
    #[error("use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A key or certificate cannot be made.
    #[error("sign a certificate")]
    Sign(#[source] rcgen::Error),
    /// The stored key is no key.
    #[error("use the private key in {}", path.display())]
    Stored {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rcgen::Error,
    },
    /// TLS does not take the certificate.
    #[error("set up TLS")]
    Tls(#[source] rustls::Error),
}

const CA_KEY: &str = "ca.key";
const CA_DAYS: i64 = 10 * 365;
/// Below the 398 days that some clients allow a server's certificate.
const SERVER_DAYS: i64 = 365;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

    use super::*;

    fn now() -> Timestamp {
        clock::Clock::new().now()
    }

    /// Runs a handshake in memory: a client that trusts `pem` and calls the server by `name`.
    fn handshake(server: Arc<ServerConfig>, pem: &str, name: &str) -> Result<(), rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
        let client = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut client = ClientConnection::new(Arc::new(client), ServerName::try_from(name.to_owned()).unwrap())?;
        let mut server = ServerConnection::new(server)?;
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets()?;
            let mut wire = Vec::new();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets()?;
        }
        Ok(())
    }

    #[test]
    fn a_client_that_trusts_the_authority_accepts_each_name_and_no_other() {
        let ca = Ca::create(now()).unwrap();
        let server = ca.server(&["*.vault.azure.net", "login.microsoftonline.com", "localhost", "127.0.0.1"]).unwrap();
        for name in ["kyanite.vault.azure.net", "login.microsoftonline.com", "localhost", "127.0.0.1"] {
            handshake(Arc::clone(&server), &ca.pem(), name).unwrap();
        }
        assert!(handshake(Arc::clone(&server), &ca.pem(), "example.com").is_err());
        let stranger = Ca::create(now()).unwrap();
        assert!(handshake(server, &stranger.pem(), "localhost").is_err());
    }

    #[test]
    fn a_stored_authority_is_still_trusted_after_a_restart() {
        let temp = tempfile::tempdir().unwrap();
        let before = Ca::load_or_create(temp.path(), now()).unwrap().pem();
        let mode = fs::metadata(temp.path().join(CA_KEY)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let after = Ca::load_or_create(temp.path(), now()).unwrap();
        handshake(after.server(&["localhost"]).unwrap(), &before, "localhost").unwrap();
        fs::write(temp.path().join(CA_KEY), "no key").unwrap();
        assert!(matches!(Ca::load_or_create(temp.path(), now()), Err(PkiError::Stored { .. })));
    }
}
