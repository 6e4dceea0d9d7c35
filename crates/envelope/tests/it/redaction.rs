//! No secret byte is ever printed: every type that holds one is rendered, and the bytes are looked for.

use std::num::NonZeroUsize;

use envelope::storage::{self, Secret, bytes_entries};
use envelope::{
    Check, EncryptedObject, EncryptionConfiguration, KeyCipher, KeyList, KeyMaterial, Kms, KmsV1, OpenError,
    ProviderName, Read, ReadV1, SystemRandom,
};

use crate::plugin::{PROVIDER, Script, encrypted, now, status};

/// A byte whose decimal, hex and character forms stand nowhere else: `¥` in Latin-1, 165, a5.
const SECRET: u8 = 0xa5;

#[track_caller]
fn assert_hidden(what: &dyn std::fmt::Debug) {
    for rendered in [format!("{what:?}"), format!("{what:#?}")] {
        let squeezed: String = rendered.split_whitespace().collect();
        for form in ["165,165", "a5a5", "a5,a5", "\\xa5\\xa5", "paWlpa"] {
            assert!(!squeezed.contains(form), "{form} in {rendered}");
        }
    }
}

#[test]
fn nothing_renders_its_secret() {
    let mut kms = Kms::new(ProviderName::new(PROVIDER).unwrap());
    let Check::AskStatus = kms.check(now()) else { panic!("nothing to remember") };
    let check = kms.status_answered(Ok(status("1")), now(), &Script::new([[SECRET; 32].as_slice(), &[1; 16]].concat()));
    assert_hidden(&check);
    let Check::AskEncrypt(seed) = check else { panic!("no seed yet") };
    assert_eq!(seed.expose_plaintext(), [SECRET; 32], "the test looks for the real seed");
    assert_hidden(&seed);
    kms.encrypt_answered(seed, Ok(encrypted(b"EDEK", "1", &[])), now()).unwrap();
    let writer = kms.writer(now()).unwrap();
    assert_hidden(&writer);
    assert_hidden(&kms);

    let secret = Secret { data: bytes_entries([("k".to_owned(), vec![SECRET; 8])]), ..Secret::default() };
    assert_hidden(&secret);
    let plain = storage::encode(&secret);
    let stored = writer.seal("/a", &plain, &SystemRandom).unwrap();
    let object = EncryptedObject::decode(stored.strip_prefix(writer_prefix()).unwrap()).unwrap();
    let read = kms.read(object.clone(), &SystemRandom).unwrap();
    assert_hidden(&read);
    let Read::Ready(opener) = read else { panic!("cached") };
    assert_hidden(&opener);
    assert_hidden(&opener.open("/a").unwrap());

    assert_hidden(&KeyMaterial::new(vec![SECRET; 31]));
    // A record of type 0: the DEK source is the key itself.
    let of_a_key = EncryptedObject::decode(b"\x0a\x01\x00\x12\x011\x1a\x04EDEK").unwrap();
    let Read::AskDecrypt(pending) = kms.read(of_a_key, &SystemRandom).unwrap() else { panic!("not cached") };
    assert_hidden(&kms.decrypt_answered(pending, Ok(KeyMaterial::new(vec![SECRET; 32])), now()).unwrap());
    assert_hidden(&kms);
    let pending = Kms::new(ProviderName::new(PROVIDER).unwrap()).read(object, &SystemRandom);
    assert_eq!(pending.unwrap_err(), OpenError::NoSeed);
    assert_hidden(&storage::decode_any(&plain).unwrap());
}

#[test]
fn keys_of_a_file_and_of_kms_v1_are_hidden() {
    let key = "paWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaU=";
    for cipher in KeyCipher::ALL {
        let keys = format!("{{keys: [{{name: k, secret: {key}}}, {{name: bad, secret: {}}}]}}", &key[..20]);
        let file = |keys: &str| {
            format!(
                "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  \
                 providers: [{{{}: {keys}}}]",
                cipher.name()
            )
        };
        // A file that is refused shows no key either, the good one or the bad one.
        let problems = EncryptionConfiguration::parse(file(&keys).as_bytes()).unwrap_err();
        assert_hidden(&problems);
        assert!(!problems.to_string().contains("paWl"), "{problems}");
        let good = format!("{{keys: [{{name: k, secret: {key}}}]}}");
        assert_hidden(&EncryptionConfiguration::parse(file(&good).as_bytes()).unwrap());
        assert_hidden(&KeyList::new(cipher, [("k".to_owned(), KeyMaterial::new(vec![SECRET; 32]))]).unwrap());
    }
    let mut kms = KmsV1::new("v1", NonZeroUsize::new(10));
    let pending = KmsV1::new_dek(&Script::new([SECRET; 32])).unwrap();
    assert_eq!(pending.expose_plaintext(), [SECRET; 32]);
    assert_hidden(&pending);
    let dek = kms.encrypt_answered(pending, Ok(b"EDEK".to_vec())).unwrap();
    assert_hidden(&dek);
    let stored = dek.seal("/a", b"plain", &SystemRandom).unwrap();
    let ReadV1::Ready(opener) = kms.read(&stored["k8s:enc:kms:v1:v1:".len()..]).unwrap() else { panic!("cached") };
    assert_hidden(&opener);
    assert_hidden(&kms);
}

fn writer_prefix() -> &'static [u8] {
    b"k8s:enc:kms:v2:azurekmsprovider:"
}
