//! A data key of KMS v1: writes AES-GCM, reads that and the AES-CBC of servers before 1.25.
//!
//! Imitates `unionTransformers` of kube-apiserver's `encryptionconfig/config.go`.

use aws_lc_rs::aead::LessSafeKey;

use crate::dek_source::DekSourceError;
use crate::gcm;
use crate::keys::cbc;
use crate::kms::{OpenError, Opened, SealError};
use crate::material::KeyMaterial;
use crate::random::{self, Random};

#[derive(Debug)]
pub(super) struct Dek {
    gcm: LessSafeKey,
    material: KeyMaterial,
}

impl Dek {
    pub(super) fn new(material: KeyMaterial) -> Result<Self, DekSourceError> {
        let gcm = gcm::key(material.expose()).ok_or(DekSourceError::KeyLength { bytes: material.len() })?;
        Ok(Self { gcm, material })
    }

    pub(super) fn seal(
        &self,
        etcd_key: &str,
        plain: &[u8],
        random: &dyn Random,
        stored: &mut Vec<u8>,
    ) -> Result<(), SealError> {
        let nonce = random::bytes(random).map_err(SealError::Nonce)?;
        gcm::seal(&self.gcm, nonce, plain, etcd_key.as_bytes(), stored).ok_or(SealError::Encrypt)
    }

    /// What AES-CBC opens is stale.
    pub(super) fn open(&self, etcd_key: &str, sealed: &[u8]) -> Result<Opened, OpenError> {
        let by_gcm = match gcm::open(&self.gcm, sealed, etcd_key.as_bytes()) {
            Ok(plain) => return Ok(Opened { plain, stale: false }),
            Err(error) => error,
        };
        match cbc::open(self.material.expose(), sealed) {
            Ok(plain) => Ok(Opened { plain, stale: true }),
            Err(by_cbc) => Err(OpenError::Several(vec![OpenError::Body(by_gcm), OpenError::Body(by_cbc)])),
        }
    }
}
