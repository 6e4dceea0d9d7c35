//! Vectors made with another implementation (Python's `cryptography`), which also decrypts upstream's recorded values.

use envelope::{
    CacheKey, EncryptedObject, KeyCipher, KeyList, KeyMaterial, Kms, KmsV1, ProviderName, ReadV1, SourceType,
};

use crate::plugin::{PROVIDER, Script, check, encrypted, healthy, now, read, status};

pub(crate) const ETCD_KEY: &str = "/registry/secrets/default/vec1";
const PLAIN: &str = "6b3873000a0c0a027631120653656372657412590a470a047665633112001a0764656661756c7422002a2430303030303030302d303030302d343030302d383030302d3030303030303030303030313200380042080880e2cfaa06100012060a016b1201761a064f70617175651a002200";
const V2_SEED: &str = "6b38733a656e633a6b6d733a76323a617a7572656b6d7370726f76696465723a0aad01404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f808182838485868788898a8ba6faceb24ae7867d2ef40aca286547cb023a4befabbcc13dff84fae9dc285dee4a8c944739489ecbb23de95bfa0ddd7b3da2ef190f49fe3eb1dc81967e85274e92e281496e6fde994f01392981966627d68cb3a75d33b73e5f0a4b5478b747ba53f419163b21016bd5dfee8fd642595aa046318c9002354d1d09c5ab2194a206401201311a044544454b22190a1476657273696f6e2e617a7572652e616b762e696f1201312801";
pub(crate) const V2_KEY: &str = "6b38733a656e633a6b6d733a76323a617a7572656b6d7370726f76696465723a0a8d01a1a2a3a401ca9a3b00000000417949f7dfb3e0a5b0a8b4b3c145e5b68d495bbf8b44f717714c0228051f112642652dd1257695d0c7aa0f5e1954c721fd1bd692312409fd2fb4588d1fcd75f1158ddd825ae250583520e194966adfe26326ac6948f8c4452d9c0be237fa69c1ffc43e2a699c04823d4bb62b53bb4c9792f7946fcd25c2695e4d0461874a03a60d1201311a044544454b";
const CACHE_KEY: &str = "541d171facab0d670b881caf05dfa06424cec9a20759bacebb00a7f7a41fcbb6";

fn seed() -> Vec<u8> {
    (0..32).collect()
}

fn bytes(hex_text: &str) -> Vec<u8> {
    hex::decode(hex_text).unwrap()
}

#[test]
fn a_write_gives_the_vectors_bytes() {
    let uid = [0; 16];
    let random = Script::new([seed(), uid.to_vec(), (0x40..0x60).collect(), (0x80..0x8c).collect()].concat());
    let mut kms = Kms::new(ProviderName::new(PROVIDER).unwrap());
    let answer = encrypted(b"EDEK", "1", &[("version.azure.akv.io", "1")]);
    check(&mut kms, now(), &random, Ok(status("1")), |_, plaintext| {
        assert_eq!(plaintext, seed());
        Ok(answer)
    })
    .unwrap();
    let stored = kms.writer(now()).unwrap().seal(ETCD_KEY, &bytes(PLAIN), &random).unwrap();
    assert_eq!(hex::encode(stored), V2_SEED);
}

#[test]
fn a_seed_record_opens() {
    let mut kms = healthy("1");
    let opened = read(&mut kms, &bytes(V2_SEED), ETCD_KEY, |object| {
        assert_eq!(object.encrypted_dek_source().as_bytes(), b"EDEK");
        assert_eq!(object.annotations().get("version.azure.akv.io"), Some(b"1".as_slice()));
        Ok(KeyMaterial::new(seed()))
    })
    .unwrap();
    assert_eq!(hex::encode(opened.plain), PLAIN);
    assert!(!opened.stale, "same key id: another seed is not stale");
}

#[test]
fn a_key_record_opens_and_is_stale() {
    let mut kms = healthy("1");
    let opened = read(&mut kms, &bytes(V2_KEY), ETCD_KEY, |object| {
        assert_eq!(object.source_type(), SourceType::AesGcmKey);
        Ok(KeyMaterial::new(seed()))
    })
    .unwrap();
    assert_eq!(hex::encode(opened.plain), PLAIN);
    assert!(opened.stale);
}

#[test]
fn the_cache_key_is_the_vectors() {
    let stored = bytes(V2_SEED);
    let body = stored.strip_prefix(b"k8s:enc:kms:v2:azurekmsprovider:").unwrap();
    let object = EncryptedObject::decode(body).unwrap();
    let key = CacheKey::new(object.source_type(), object.encrypted_dek_source(), object.key_id(), object.annotations());
    assert_eq!(hex::encode(key.as_bytes()), CACHE_KEY);
    assert_eq!(object.encode(), body);
}

/// The vectors `v1gcm`, `cbc` and `gcm` of spec/kms.md section 6 are given as SHA-256 of the whole value.
fn sha256(bytes: &[u8]) -> String {
    hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes))
}

#[test]
fn writes_of_the_other_providers_give_the_vectors_bytes() {
    let keys = |cipher| KeyList::new(cipher, [("key1".to_owned(), KeyMaterial::new(seed()))]).unwrap();
    let cbc = keys(KeyCipher::AesCbc).seal(ETCD_KEY, &bytes(PLAIN), &Script::new(0..16)).unwrap();
    assert_eq!(sha256(&cbc), "c23d1ca907321f37f3be0bce6eed173eb5ad9d9114db7c0c18530638108555e7");
    let gcm = keys(KeyCipher::AesGcm).seal(ETCD_KEY, &bytes(PLAIN), &Script::new(0x80..0x8c)).unwrap();
    assert_eq!(sha256(&gcm), "78d82db7479a46808cc47fb8570fea5cb7f246fdd446e457881db223c46e163d");
}

#[test]
fn a_write_of_kms_v1_gives_the_vectors_bytes_and_is_read_back() {
    let random = Script::new(seed().into_iter().chain(0x80..0x8c));
    let mut kms = KmsV1::new(PROVIDER, None);
    let pending = KmsV1::new_dek(&random).unwrap();
    assert_eq!(pending.expose_plaintext(), seed());
    let dek = kms.encrypt_answered(pending, Ok(b"EDEK".to_vec())).unwrap();
    let stored = dek.seal(ETCD_KEY, &bytes(PLAIN), &random).unwrap();
    assert_eq!(sha256(&stored), "6a824f1a31a6ced2613ee94aac4edb11cc7c22d28068d52953621b4830088d42");
    let head = "6b38733a656e633a6b6d733a76313a617a7572656b6d7370726f76696465723a00044544454b808182838485868788898a8b0b9d1d1b4b1e\
                eb93e8ba07361516c957c22aa7a6";
    assert!(hex::encode(&stored).starts_with(head));

    let ReadV1::AskDecrypt(pending) = kms.read(&stored[32..]).unwrap() else { panic!("no cache") };
    assert_eq!(pending.encrypted_dek(), b"EDEK");
    let opened = kms.decrypt_answered(pending, Ok(KeyMaterial::new(seed()))).unwrap().open(ETCD_KEY).unwrap();
    assert_eq!((opened.plain, opened.stale), (bytes(PLAIN), false));
}
