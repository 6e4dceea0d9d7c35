//! `storage/value/encrypt/secretbox/secretbox_test.go`.

use envelope::{KeyCipher, KeyList, KeyMaterial, SystemRandom};

use super::aes::rotate_keys;

#[test]
fn test_secretbox_key_rotation() {
    let elsewhere = rotate_keys(KeyCipher::Secretbox, &[1; 32], &[2; 32]);
    assert_eq!(elsewhere.unwrap(), b"firstvalue", "secretbox does not support authentication");
}

#[test]
fn test_round_trip() {
    let keys = KeyList::new(KeyCipher::Secretbox, [("k".to_owned(), KeyMaterial::new(vec![3; 32]))]).unwrap();
    for length in [0, 1, 15, 16, 17, 1024, 1025, 5000] {
        let plain = vec![7; length];
        let stored = keys.seal("/foo/bar", &plain, &SystemRandom).unwrap();
        let opened = keys.open("/foo/bar", &stored[KeyCipher::Secretbox.prefix().len()..], |_, _| {}).unwrap();
        assert_eq!((opened.plain, opened.stale), (plain, false));
    }
}
