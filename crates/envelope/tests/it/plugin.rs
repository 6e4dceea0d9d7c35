//! KMS plugins for tests, as functions: one that holds the recorded RSA keys, and helpers that drive a check.

use std::collections::BTreeMap;

use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use envelope::{
    Check, EncryptAnswer, EncryptedObject, HealthError, KeyMaterial, Kms, OpenError, Opened, ProviderName, Random,
    RandomError, Read, RpcError, StatusAnswer, SystemRandom,
};
use jiff::Timestamp;

pub(crate) const PROVIDER: &str = "azurekmsprovider";

pub(crate) fn now() -> Timestamp {
    "2026-11-24T20:53:30Z".parse().unwrap()
}

pub(crate) fn status(key_id: &str) -> StatusAnswer {
    StatusAnswer { version: "v2".into(), healthz: "ok".into(), key_id: key_id.into() }
}

pub(crate) fn encrypted(ciphertext: &[u8], key_id: &str, annotations: &[(&str, &str)]) -> EncryptAnswer {
    EncryptAnswer {
        ciphertext: ciphertext.to_vec(),
        key_id: key_id.into(),
        annotations: annotations
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
            .collect::<BTreeMap<_, _>>(),
    }
}

/// A whole check, with these answers.
pub(crate) fn check(
    kms: &mut Kms,
    at: Timestamp,
    random: &dyn Random,
    status: Result<StatusAnswer, RpcError>,
    encrypt: impl FnOnce(&str, &[u8]) -> Result<EncryptAnswer, RpcError>,
) -> Result<(), HealthError> {
    match kms.check(at) {
        Check::Done(outcome) => return outcome,
        Check::AskStatus => {}
        Check::AskEncrypt(_) => panic!("a check begins with Status"),
    }
    match kms.status_answered(status, at, random) {
        Check::Done(outcome) => outcome,
        Check::AskEncrypt(seed) => {
            let answer = encrypt(seed.uid(), seed.expose_plaintext());
            kms.encrypt_answered(seed, answer, at)
        }
        Check::AskStatus => panic!("Status was answered"),
    }
}

/// A provider whose plugin has answered well once.
pub(crate) fn healthy(key_id: &str) -> Kms {
    let mut kms = Kms::new(ProviderName::new(PROVIDER).unwrap());
    let answer = encrypted(b"the current seed", key_id, &[]);
    check(&mut kms, now(), &SystemRandom, Ok(status(key_id)), |_, _| Ok(answer)).unwrap();
    kms
}

/// Reads a stored value, asking `decrypt` if the seed is not cached.
pub(crate) fn read(
    kms: &mut Kms,
    stored: &[u8],
    etcd_key: &str,
    decrypt: impl FnOnce(&EncryptedObject) -> Result<KeyMaterial, RpcError>,
) -> Result<Opened, OpenError> {
    let body = stored.strip_prefix(b"k8s:enc:kms:v2:azurekmsprovider:").ok_or(OpenError::NoMatchingPrefix)?;
    let object = EncryptedObject::decode(body).map_err(OpenError::Decode)?;
    match kms.read(object, &SystemRandom)? {
        Read::Ready(opener) => opener.open(etcd_key),
        Read::AskDecrypt(pending) => {
            let answer = decrypt(pending.object());
            kms.decrypt_answered(pending, answer, now())?.open(etcd_key)
        }
    }
}

/// Hands out given bytes, in order, and no more than those.
pub(crate) struct Script(std::sync::Mutex<Vec<u8>>);

impl Script {
    pub(crate) fn new(bytes: impl IntoIterator<Item = u8>) -> Self {
        Self(std::sync::Mutex::new(bytes.into_iter().collect()))
    }
}

impl Random for Script {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        let mut left = self.0.lock().unwrap();
        if left.len() < bytes.len() {
            return Err(RandomError);
        }
        bytes.copy_from_slice(&left.drain(..bytes.len()).collect::<Vec<_>>());
        Ok(())
    }
}

/// The two RSA keys of `golden/keys.json`, by key id.
pub(crate) struct RsaKeys(BTreeMap<String, OaepPrivateDecryptingKey>);

impl RsaKeys {
    pub(crate) fn recorded() -> Self {
        let keys: serde_json::Value = serde_json::from_str(include_str!("../golden/keys.json")).unwrap();
        let key = |key: &serde_json::Value| {
            let private = PrivateDecryptingKey::from_pkcs8(&pkcs8(&key["jwk"])).unwrap();
            (key["key_id"].as_str().unwrap().to_owned(), OaepPrivateDecryptingKey::new(private).unwrap())
        };
        Self(keys.as_object().unwrap().values().map(key).collect())
    }

    /// What Azure's plugin does on Decrypt: the ciphertext is base64url text.
    pub(crate) fn decrypt(&self, object: &EncryptedObject) -> KeyMaterial {
        let key = &self.0[object.key_id().as_str()];
        let ciphertext = BASE64_URL_SAFE_NO_PAD.decode(object.encrypted_dek_source().as_bytes()).unwrap();
        let mut room = vec![0; key.min_output_size()];
        let plaintext = key.decrypt(&OAEP_SHA256_MGF1SHA256, &ciphertext, &mut room, None).unwrap();
        KeyMaterial::new(plaintext.to_vec())
    }
}

pub(crate) fn base64(value: &serde_json::Value) -> Vec<u8> {
    BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap()
}

/// A JWK as PKCS#8, the form aws-lc-rs reads (RFC 5208 around RFC 8017's `RSAPrivateKey`).
fn pkcs8(jwk: &serde_json::Value) -> Vec<u8> {
    let integer = |name: &str| {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
        let positive = if bytes[0] & 0x80 == 0 { bytes } else { [vec![0], bytes].concat() };
        der(0x02, &positive)
    };
    let numbers: Vec<u8> = ["n", "e", "d", "p", "q", "dp", "dq", "qi"].iter().flat_map(|name| integer(name)).collect();
    let version = der(0x02, &[0]);
    let rsa_private_key = der(0x30, &[version.clone(), numbers].concat());
    let rsa_encryption = der(0x30, b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00");
    der(0x30, &[version, rsa_encryption, der(0x04, &rsa_private_key)].concat())
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = match u16::try_from(content.len()).unwrap().to_be_bytes() {
        [0, short @ 0..=0x7f] => vec![short],
        [0, short] => vec![0x81, short],
        [high, low] => vec![0x82, high, low],
    };
    [vec![tag], length, content.to_vec()].concat()
}
