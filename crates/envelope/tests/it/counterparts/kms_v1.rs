//! `storage/value/encrypt/envelope/envelope_test.go`, with KMS v1's real body (AES-GCM) in place of the test's AES-CBC.

use std::num::NonZeroUsize;

use envelope::{KeyMaterial, KmsV1, KmsV1Error, OpenError, Opened, ReadV1, RpcCode, RpcError, SystemRandom};

const KEY: &str = "0123456789";
const PREFIX: &str = "k8s:enc:kms:v1:p:";

/// The plugin of upstream's tests: its cipher is base64, which here is the plaintext itself.
struct Plugin {
    is_disabled: bool,
    decrypts: usize,
}

impl Plugin {
    fn answer(&self, bytes: &[u8]) -> Result<Vec<u8>, KmsV1Error> {
        let disabled = RpcError { code: RpcCode::Unknown, message: "Envelope service was disabled".into() };
        if self.is_disabled { Err(KmsV1Error::Rpc(disabled)) } else { Ok(bytes.to_vec()) }
    }

    fn seal(&self, kms: &mut KmsV1, plain: &[u8]) -> Vec<u8> {
        let pending = KmsV1::new_dek(&SystemRandom).unwrap();
        let answer = self.answer(pending.expose_plaintext());
        kms.encrypt_answered(pending, answer).unwrap().seal(KEY, plain, &SystemRandom).unwrap()
    }

    fn open(&mut self, kms: &mut KmsV1, stored: &[u8]) -> Result<Opened, OpenError> {
        match kms.read(stored.strip_prefix(PREFIX.as_bytes()).unwrap())? {
            ReadV1::Ready(opener) => opener.open(KEY),
            ReadV1::AskDecrypt(pending) => {
                self.decrypts += 1;
                let answer = self.answer(pending.encrypted_dek()).map(KeyMaterial::new);
                kms.decrypt_answered(pending, answer)?.open(KEY)
            }
        }
    }
}

#[test]
fn test_envelope_caching() {
    for (cache_size, is_disabled, error) in [
        (1000, true, None),
        (0, true, Some("rpc error: code = Unknown desc = Envelope service was disabled")),
        (0, false, None),
    ] {
        let mut plugin = Plugin { is_disabled: false, decrypts: 0 };
        let mut kms = KmsV1::new("p", NonZeroUsize::new(cache_size));
        let stored = plugin.seal(&mut kms, b"test");
        assert_eq!(plugin.open(&mut kms, &stored).unwrap().plain, b"test");
        plugin.is_disabled = is_disabled;
        let opened = plugin.open(&mut kms, &stored).map(|opened| opened.plain).map_err(|error| error.to_string());
        assert_eq!(opened, error.map_or(Ok(b"test".to_vec()), |error| Err(error.to_owned())));
    }
}

#[test]
fn test_envelope_cache_limit() {
    const SIZE: usize = 10;
    let mut plugin = Plugin { is_disabled: false, decrypts: 0 };
    let mut kms = KmsV1::new("p", NonZeroUsize::new(SIZE));
    let stored: Vec<_> = (0..2 * SIZE).map(|number| plugin.seal(&mut kms, number.to_string().as_bytes())).collect();
    for (number, stored) in stored.iter().enumerate() {
        assert_eq!(plugin.open(&mut kms, stored).unwrap().plain, number.to_string().as_bytes());
    }
    assert_eq!(plugin.decrypts, 2 * SIZE, "read from the oldest on, each has just gone from the cache");
    plugin.open(&mut kms, &stored[2 * SIZE - 1]).unwrap();
    assert_eq!(plugin.decrypts, 2 * SIZE);
    assert!(kms.cache_fill().is_some_and(|fill| (fill - 1.0).abs() < f64::EPSILON));
}

/// Values of servers before 1.25 have a body of AES-CBC: they open, and are stale.
#[test]
fn test_backwards_compatibility() {
    let dek = [7; 32];
    let list = envelope::KeyList::new(envelope::KeyCipher::AesCbc, [("k".to_owned(), KeyMaterial::new(dek.to_vec()))]);
    let cbc = list.unwrap().seal(KEY, b"old", &SystemRandom).unwrap();
    let body = &cbc["k8s:enc:aescbc:v1:k:".len()..];
    let stored = [PREFIX.as_bytes(), &[0, 32], &dek, body].concat();

    let mut plugin = Plugin { is_disabled: false, decrypts: 0 };
    let mut kms = KmsV1::new("p", NonZeroUsize::new(10));
    for _ in 0..2 {
        let opened = plugin.open(&mut kms, &stored).unwrap();
        assert_eq!((opened.plain.as_slice(), opened.stale), (b"old".as_slice(), true));
        plugin.is_disabled = true;
    }
}

#[test]
fn values_that_do_not_open_are_told_in_upstreams_words() {
    let mut plugin = Plugin { is_disabled: false, decrypts: 0 };
    let mut kms = KmsV1::new("p", None);
    let mut told = |body: &[u8]| plugin.open(&mut kms, &[PREFIX.as_bytes(), body].concat()).unwrap_err().to_string();
    let too_short = "invalid data encountered by envelope transformer: failed to read uint16 length prefixed data";
    for body in [b"".as_slice(), b"\0", b"\0\x05EDEK"] {
        assert_eq!(told(body), too_short, "{body:?}");
    }
    assert_eq!(told(b"\0\x04EDEK"), "crypto/aes: invalid key size 4");
    let sealed = |body: &[u8]| [[0, 32].as_slice(), &[7; 32], body].concat();
    assert_eq!(told(&sealed(&[0; 11])), "the stored data was shorter than the required size", "equal errors once");
    assert_eq!(
        told(&sealed(&[0; 30])),
        "[cipher: message authentication failed, the stored data is not a multiple of the block size]"
    );
}
