//! `storage/value/encrypt/envelope/kmsv2/envelope_test.go` and `cache_test.go`.

use std::collections::BTreeMap;

use envelope::{
    Annotations, CACHE_TTL, CacheKey, EncryptedDekSource, EncryptedObject, HealthError, KeyId, KeyMaterial, Kms,
    ProviderName, RpcCode, RpcError, SourceType, SystemRandom, WRITE_GRACE,
};
use jiff::Timestamp;

use crate::plugin::{PROVIDER, check, encrypted, healthy, now, read, status};

const KEY: &str = "0123456789";

fn disabled() -> RpcError {
    RpcError { code: RpcCode::Unknown, message: "Envelope service was disabled".into() }
}

fn seal(kms: &mut Kms, at: Timestamp) -> Vec<u8> {
    kms.writer(at).unwrap().seal(KEY, b"test", &SystemRandom).unwrap()
}

/// A record that says it was sealed so, of which nothing but its head is looked at.
fn record(source_type: u8, source: &[u8], key_id: &str) -> Vec<u8> {
    let source_head = [0x1a, u8::try_from(source.len()).unwrap()];
    let key_id_head = [0x12, u8::try_from(key_id.len()).unwrap()];
    let parts: [&[u8]; 7] = [
        b"k8s:enc:kms:v2:azurekmsprovider:\x0a\x01\x01",
        &key_id_head,
        key_id.as_bytes(),
        &source_head,
        source,
        &[0x28],
        &[source_type],
    ];
    parts.concat()
}

#[test]
fn test_envelope_caching() {
    // After the expiry: none, or the plugin's answer; then what a read says, and how often ten reads ask.
    for (is_expired, is_disabled, error, asked) in [
        (false, true, None, 0),
        (
            true,
            true,
            Some("failed to decrypt DEK, error: rpc error: code = Unknown desc = Envelope service was disabled"),
            10,
        ),
        (true, false, None, 1),
    ] {
        let mut kms = healthy("1");
        let (mut seed, mut calls) = (Vec::new(), 0);
        // The seed that will be read with is not the one that is current then.
        check(&mut kms, now() + CACHE_TTL, &SystemRandom, Ok(status("2")), |_, plaintext| {
            seed = plaintext.to_vec();
            Ok(encrypted(b"EDEK", "2", &[]))
        })
        .unwrap();
        let stored = seal(&mut kms, now() + CACHE_TTL);
        let answer = encrypted(b"another seed", "3", &[]);
        let later = now() + if is_expired { 3 * CACHE_TTL } else { CACHE_TTL + WRITE_GRACE };
        check(&mut kms, later, &SystemRandom, Ok(status("3")), |_, _| Ok(answer)).unwrap();
        seal(&mut kms, later); // Sweeps out what has expired.
        for _ in 0..10 {
            let opened = read(&mut kms, &stored, KEY, |_| {
                calls += 1;
                if is_disabled { Err(disabled()) } else { Ok(KeyMaterial::new(seed.clone())) }
            });
            let opened = opened.map(|opened| opened.plain).map_err(|error| error.to_string());
            assert_eq!(opened, error.map_or(Ok(b"test".to_vec()), |error| Err(error.to_owned())));
        }
        assert_eq!(calls, asked);
    }
}

/// The state function of upstream is the check here; seeds are never turned off, so a record of type 0 stands for one that
/// was written without.
#[test]
fn test_envelope_transformer_staleness() {
    let error =
        read(&mut Kms::new(ProviderName::new(PROVIDER).unwrap()), &record(1, b"EDEK", "1"), KEY, |_| Err(disabled()));
    assert_eq!(error.unwrap_err().to_string(), "got unexpected nil transformer");
    let mut kms = healthy("1");
    let stored = seal(&mut kms, now());
    let stale = |kms: &mut Kms, stored: &[u8]| read(kms, stored, KEY, |_| Err(disabled())).unwrap().stale;
    assert!(!stale(&mut kms, &stored), "the same key id, with a seed");
    let later = now() + WRITE_GRACE;
    check(&mut kms, later, &SystemRandom, Ok(status("2")), |_, _| Ok(encrypted(b"x", "2", &[]))).unwrap();
    assert!(stale(&mut kms, &stored), "another key id");
    // `v2key` of spec/kms.md section 6, sealed under key id 1 by a key and not by a seed.
    let mut kms = healthy("1");
    let of_a_key = hex::decode(crate::vectors::V2_KEY).unwrap();
    let opened =
        read(&mut kms, &of_a_key, crate::vectors::ETCD_KEY, |_| Ok(KeyMaterial::new((0..32).collect()))).unwrap();
    assert!(opened.stale, "the same key id, towards seeds");
}

#[test]
fn test_envelope_transformer_state_func() {
    // Nothing works when there is no state.
    let mut kms = Kms::new(ProviderName::new(PROVIDER).unwrap());
    assert_eq!(kms.writer(now()).unwrap_err().to_string(), "got unexpected nil transformer");
    let error = read(&mut kms, &record(1, &[3], "2"), KEY, |_| panic!("not asked")).unwrap_err();
    assert_eq!(error.to_string(), "got unexpected nil transformer");

    // Everything works when there is one, and then even when the plugin is down.
    let mut kms = healthy("1");
    let stored = seal(&mut kms, now());
    assert_eq!(read(&mut kms, &stored, KEY, |_| Err(disabled())).unwrap().plain, b"test");

    // Writes fail when the plugin has been down for too long; reads of what is cached do not.
    let late = now() + WRITE_GRACE + jiff::SignedDuration::from_hours(1);
    let error = kms.writer(late).unwrap_err().to_string();
    let want = "encryptedDEKSource with keyID hash \"sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b\" \
                expired at 2026-11-24T20:56:30Z (current time is 2026-11-24T21:56:30Z)";
    assert_eq!(error, want);
    assert_eq!(read(&mut kms, &stored, KEY, |_| Err(disabled())).unwrap().plain, b"test");

    // Another encrypted DEK source has to be decrypted by the plugin.
    let body = stored.strip_prefix(b"k8s:enc:kms:v2:azurekmsprovider:").unwrap();
    let source = EncryptedObject::decode(body).unwrap().encrypted_dek_source().as_bytes().to_vec();
    let other = record(1, &[source.as_slice(), &[1]].concat(), "1");
    assert_eq!(
        read(&mut kms, &other, KEY, |_| Err(disabled())).unwrap_err().to_string(),
        "failed to decrypt DEK, error: rpc error: code = Unknown desc = Envelope service was disabled"
    );
}

/// The error of a seed made with these answers.
fn generate(ciphertext: &[u8], key_id: &str, annotations: &[(&str, &str)]) -> Result<(), String> {
    let mut kms = Kms::new(ProviderName::new(PROVIDER).unwrap());
    let answer = encrypted(ciphertext, key_id, annotations);
    check(&mut kms, now(), &SystemRandom, Ok(status("1")), |_, _| Ok(answer)).map_err(|error| error.to_string())
}

/// Upstream validates when it seals; what it would refuse never becomes a seed here, so no write can meet it.
#[test]
fn test_transform_to_storage_error() {
    let (long, nearly, rest) = ("a".repeat(32 * 1024), "a".repeat(31 * 1024), "a".repeat(1024));
    for annotations in [
        [("http://foo.example.com", "bar"), ("a.b", "")],
        [("simple", long.as_str()), ("a.b", "")],
        [("simple", nearly.as_str()), ("simple2", rest.as_str())],
    ] {
        let error = generate(b"EDEK", "1", &annotations).unwrap_err();
        assert!(error.contains("errGen=failed to validate annotations"), "{error}");
    }
}

#[test]
fn test_encode_decode() {
    let body = b"\x0a\x03\x01\x02\x03\x12\x011\x1a\x03\x04\x05\x06";
    let object = EncryptedObject::decode(body).unwrap();
    assert_eq!(object.encrypted_data(), [1, 2, 3]);
    assert_eq!(object.key_id().as_str(), "1");
    assert_eq!(object.encrypted_dek_source().as_bytes(), [4, 5, 6]);
    assert_eq!(object.encode(), body);
}

#[test]
fn test_validate_encrypted_object() {
    let decode =
        |fields: &[&[u8]]| EncryptedObject::decode(&fields.concat()).map(drop).map_err(|error| error.to_string());
    let (data, key_id, source) = (b"\x0a\x01\x01".as_slice(), b"\x12\x011".as_slice(), b"\x1a\x01\x01".as_slice());
    assert_eq!(decode(&[key_id, source]), Err("encrypted data is empty".into()));
    assert_eq!(decode(&[data, source]), Err("failed to validate key id: keyID is empty".into()));
    assert_eq!(
        decode(&[data, key_id]),
        Err("failed to validate encrypted DEK source: encrypted DEK source is empty".into())
    );
    assert_eq!(decode(&[data, key_id, source, b"\x28\x37"]), Err("unknown encryptedDEKSourceType: 55".into()));
    assert_eq!(
        decode(&[data, key_id, source, b"\x22\x03\x0a\x01x"]).unwrap_err().split(": ").next(),
        Some("failed to validate annotations")
    );
    assert_eq!(decode(&[data, key_id, source]), Ok(()));
    assert_eq!(decode(&[data, key_id, source, b"\x28\x01"]), Ok(()));
}

#[test]
fn test_validate_annotations() {
    let of = |annotations: &[(&str, &[u8])]| {
        let annotations = annotations.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec()));
        Annotations::new(annotations.collect::<BTreeMap<_, _>>()).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(of(&[]), Ok(()));
    assert_eq!(of(&[("foo.example.com", b"bar"), ("foo.example.com.", b"")]), Ok(()));
    for name in ["", "com", "Dev.k8s.io", ".foo.bar", "*.foo.bar", "foo.bar_baz", "a..b", "http://foo.example.com"] {
        let error = of(&[(name, b"bar")]).unwrap_err();
        assert!(error.starts_with("annotations: "), "{name}: {error}");
    }
    let error = of(&[("simple.io", &vec![b'a'; 32 * 1024])]).unwrap_err();
    assert_eq!(error, "total size of annotations is 32777, which exceeds the max size of 32768");
    assert_eq!(of(&[("simple.io", &vec![b'a'; 32 * 1024 - 9])]), Ok(()));
}

#[test]
fn test_validate_key_id() {
    let of = |text: String| KeyId::new(text).map(drop).map_err(|error| error.to_string());
    assert_eq!(of("1234".into()), Ok(()));
    assert_eq!(of(String::new()), Err("keyID is empty".into()));
    assert_eq!(of("a".repeat(1024)), Ok(()));
    assert_eq!(of("a".repeat(1025)), Err("keyID is 1025 bytes, which exceeds the max size of 1024".into()));
}

#[test]
fn test_validate_encrypted_dek_source() {
    let of = |bytes| EncryptedDekSource::new(vec![1; bytes]).map(drop).map_err(|error| error.to_string());
    assert_eq!(of(4), Ok(()));
    assert_eq!(of(0), Err("encrypted DEK source is empty".into()));
    assert_eq!(of(1024), Ok(()));
    assert_eq!(of(1025), Err("encrypted DEK source is 1025 bytes, which exceeds the max size of 1024".into()));
}

/// A plugin whose ciphertext never changes and whose annotation holds what it really is.
#[test]
fn test_cache_not_corrupted() {
    let mut kms = Kms::new(ProviderName::new(PROVIDER).unwrap());
    let mut stored = Vec::new();
    for (number, key_id) in ["1", "2"].into_iter().enumerate() {
        let source = format!("encrypted-dek-{number}");
        let answer = encrypted(b"constant", "same", &[("encrypted-dek.kms.kubernetes.io", &source)]);
        let answer = envelope::EncryptAnswer { key_id: key_id.into(), ..answer };
        check(
            &mut kms,
            now() + WRITE_GRACE * i32::try_from(number).unwrap(),
            &SystemRandom,
            Ok(status(key_id)),
            |_, _| Ok(answer),
        )
        .unwrap();
        stored.push(seal(&mut kms, now() + WRITE_GRACE * i32::try_from(number).unwrap()));
    }
    for stored in stored {
        assert_eq!(read(&mut kms, &stored, KEY, |_| panic!("both are cached")).unwrap().plain, b"test");
    }
}

#[test]
fn test_generate_cache_key() {
    let annotations = [[("a.io", "45"), ("b.io", "67")], [("x.io", "9"), ("y.io", "1")]].map(|pairs| {
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        Annotations::new(BTreeMap::from(pairs)).unwrap()
    });
    let mut keys = Vec::new();
    for source_type in [SourceType::AesGcmKey, SourceType::HkdfSha256XnonceAesGcmSeed] {
        for source in [[1, 2, 3], [4, 5, 6]] {
            for key_id in ["id1", "id2"] {
                for annotations in &annotations {
                    let source = EncryptedDekSource::new(source.to_vec()).unwrap();
                    let key = || CacheKey::new(source_type, &source, &KeyId::new(key_id).unwrap(), annotations);
                    assert_eq!(key(), key(), "equal questions share one answer");
                    keys.push(key());
                }
            }
        }
    }
    for (position, key) in keys.iter().enumerate() {
        assert!(!keys[..position].contains(key), "no other two of the sixteen do");
    }
}

#[test]
fn test_generate_transformer() {
    let mut kms = Kms::new(ProviderName::new(PROVIDER).unwrap());
    let error = check(&mut kms, now(), &SystemRandom, Ok(status("1")), |_, _| Err(disabled())).unwrap_err();
    assert!(
        error.to_string().contains(
            "errGen=failed to encrypt DEK, error: rpc error: code = Unknown desc = Envelope service was disabled"
        ),
        "{error}"
    );
    assert!(matches!(error, HealthError::Unhealthy { .. }));
    for (ciphertext, key_id, annotation, want) in [
        (b"EDEK".as_slice(), "", "a.b", "failed to validate key id: keyID is empty"),
        (b"", "1", "a.b", "failed to validate encrypted DEK source: encrypted DEK source is empty"),
        (
            b"EDEK",
            "1",
            "invalid",
            "failed to validate annotations: annotations: Invalid value: \"invalid\": should be a domain with at least two \
             segments separated by dots",
        ),
    ] {
        let error = generate(ciphertext, key_id, &[(annotation, "")]).unwrap_err();
        assert!(error.contains(&format!("errGen={want}, ")), "{error}");
    }
    generate(b"EDEK", "1", &[]).unwrap();
}

/// `Test_simpleCache` and `TestSimpleCache` of upstream's two caches: what is set is got, and a second seed beside it too.
#[test]
fn test_simple_cache() {
    let mut kms = healthy("1");
    assert_eq!(kms.cached_dek_sources(), 0, "a check alone keeps nothing");
    let first = seal(&mut kms, now());
    assert_eq!(kms.cached_dek_sources(), 1);
    let later = now() + WRITE_GRACE;
    check(&mut kms, later, &SystemRandom, Ok(status("2")), |_, _| Ok(encrypted(b"x", "2", &[]))).unwrap();
    let second = seal(&mut kms, later);
    assert_eq!(kms.cached_dek_sources(), 2);
    for stored in [first, second] {
        read(&mut kms, &stored, KEY, |_| panic!("cached")).unwrap();
    }
}
