//! `storage/value/encrypt/aes/aes_test.go` and `cache_test.go`.

use envelope::{EncryptionConfiguration, KeyCipher, KeyList, KeyMaterial, OpenError, SystemRandom};

use super::encryptionconfig::{open, secrets};
use crate::plugin::{healthy, now, read};

const DATA: &str = "authenticated_data";

fn list(cipher: KeyCipher, keys: &[(&str, &[u8])]) -> KeyList {
    KeyList::new(cipher, keys.iter().map(|(name, key)| ((*name).to_owned(), KeyMaterial::new(key.to_vec())))).unwrap()
}

/// Seals under keys `first` and `second` in turn and reads with both orders. Returns what a read under another etcd key says.
pub(super) fn rotate_keys(cipher: KeyCipher, first: &[u8], second: &[u8]) -> Result<Vec<u8>, OpenError> {
    let keys = list(cipher, &[("first", first), ("second", second)]);
    let stored = keys.seal(DATA, b"firstvalue", &SystemRandom).unwrap();
    let body = stored.strip_prefix(cipher.prefix().as_bytes()).unwrap();
    assert!(body.starts_with(b"first:"));
    let opened = keys.open(DATA, body, |_, _| {}).unwrap();
    assert_eq!((opened.plain.as_slice(), opened.stale), (b"firstvalue".as_slice(), false));
    let elsewhere = keys.open("incorrect_context", body, |_, _| {}).map(|opened| opened.plain);

    let reversed = list(cipher, &[("second", second), ("first", first)]);
    let opened = reversed.open(DATA, body, |_, _| {}).unwrap();
    assert_eq!((opened.plain.as_slice(), opened.stale), (b"firstvalue".as_slice(), true));
    elsewhere
}

/// What a provider with keys adds to a value stays what it is: all stored values hang on it.
#[test]
fn test_gcm_data_stable() {
    let keys = list(KeyCipher::AesGcm, &[("k", b"0123456789abcdef")]);
    let stored = keys.seal(DATA, b"", &SystemRandom).unwrap();
    assert_eq!(stored.len(), "k8s:enc:aesgcm:v1:k:".len() + 12 + 16, "a nonce of 12 bytes and a tag");
}

#[test]
fn test_gcm_legacy_data_compatibility() {
    // Recorded by upstream from `NewGCMTransformer` at commit 3b1fc60d.
    let ciphertext = "9f27c8fcea8a58c467d8e437dbf2d85955f9b4bd912f4ef967d788a0cb07797dac0a3f0a0845605ca85ac8562b4ae1";
    let keys = list(KeyCipher::AesGcm, &[("k", b"snorlax_awesomes")]);
    let body = [b"k:".as_slice(), &hex::decode(ciphertext).unwrap()].concat();
    assert_eq!(keys.open("bamboo", &body, |_, _| {}).unwrap().plain, b"pandas are the best");
}

#[test]
fn test_extended_nonce_gcm_legacy_data_compatibility() {
    // Recorded by upstream in kubernetes/kubernetes pull request 118828: seed and sealed value.
    let seed = "5d40323a820ff95561675e3b95e81867c5fdd561d35a88a2d08b08aa9d4fcf5c";
    let sealed = "2442759e33945fbad709db577a0f037fd8a709fc76979b8942209debcecb9d57efe3d6ff6a1ef6ee9a5003b9833b3043cec1e4\
                  7b35175b151107a8d2416b0e296bbf66b5d102fcefdf9a78f293d271";
    let sealed = hex::decode(sealed).unwrap();
    let head = [0x0a, u8::try_from(sealed.len()).unwrap()];
    let stored =
        [b"k8s:enc:kms:v2:azurekmsprovider:".as_slice(), &head, &sealed, b"\x12\x011\x1a\x04EDEK\x28\x01"].concat();
    let opened =
        read(&mut healthy("1"), &stored, "bamboo", |_| Ok(KeyMaterial::new(hex::decode(seed).unwrap()))).unwrap();
    assert_eq!(opened.plain, b"pandas are the best");
}

/// Nonces are random, and so is the info in front of them where the key comes from a seed. The counter of the mode "unsafe"
/// is never written here.
#[test]
fn test_gcm_nonce() {
    let keys = list(KeyCipher::AesGcm, &[("k", b"abcdefghijklmnopabcdefghijklmnop")]);
    let mut kms = healthy("1");
    let writer = kms.writer(now()).unwrap();
    let data = b"k8s:enc:kms:v2:azurekmsprovider:".len();
    for number in 0..1000_u16 {
        let plain = vec![u8::try_from(number % 8).unwrap(); 100];
        let stored = keys.seal(DATA, &plain, &SystemRandom).unwrap();
        let nonce = &stored["k8s:enc:aesgcm:v1:k:".len()..][..12];
        assert!(nonce[..4] != [0; 4] && nonce[4..] != [0; 8], "{nonce:02x?}");
        let stored = writer.seal(DATA, &plain, &SystemRandom).unwrap();
        // Tag and length of `encryptedData` take three bytes.
        let (info, nonce) = stored[data + 3..][..44].split_at(32);
        assert!(info != [0; 32] && nonce[..4] != [0; 4] && nonce[4..] != [0; 8], "{stored:02x?}");
    }
}

#[test]
fn test_gcm_key_rotation() {
    let elsewhere =
        rotate_keys(KeyCipher::AesGcm, b"abcdefghijklmnopabcdefghijklmnop", b"0123456789abcdef0123456789abcdef");
    assert_eq!(elsewhere.unwrap_err().to_string(), "cipher: message authentication failed");
}

#[test]
fn test_cbc_key_rotation() {
    let elsewhere = rotate_keys(KeyCipher::AesCbc, b"abcdefghijklmnop", b"0123456789abcdef");
    assert_eq!(elsewhere.unwrap(), b"firstvalue", "CBC mode does not support authentication");
}

#[test]
fn test_round_trip() {
    for cipher in [KeyCipher::AesCbc, KeyCipher::AesGcm] {
        for key_bytes in [16, 24, 32] {
            let keys = list(cipher, &[("k", &vec![b'a'; key_bytes])]);
            for length in [0, 1, 15, 16, 17, 1024, 1025, 5000] {
                let plain = vec![7; length];
                let stored = keys.seal("/foo/bar", &plain, &SystemRandom).unwrap();
                let body = &stored[cipher.prefix().len()..];
                let opened = keys.open("/foo/bar", body, |_, _| {}).unwrap();
                assert_eq!((opened.plain, opened.stale), (plain, false));
            }
        }
    }
}

/// Two keys of one name do not stand in each other's way.
#[test]
fn keys_of_one_name_are_tried_in_turn() {
    let config: EncryptionConfiguration = secrets(
        "[{aesgcm: {keys: [{name: k, secret: AAAAAAAAAAAAAAAAAAAAAA==}, {name: k, secret: AQAAAAAAAAAAAAAAAAAAAA==}]}}]",
    );
    let second = list(KeyCipher::AesGcm, &[("k", &[[1].as_slice(), &[0; 15]].concat())]);
    let opened = open(&config, DATA, &second.seal(DATA, b"v", &SystemRandom).unwrap()).unwrap();
    assert_eq!((opened.plain.as_slice(), opened.stale), (b"v".as_slice(), true));
}
