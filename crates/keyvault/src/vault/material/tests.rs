//! Every algorithm of every kind of key: round trips, known answers, and what must not open.

use std::sync::LazyLock;

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::algorithm::{ENCRYPTION, SIGNATURE};
use super::*;
use crate::vault::VaultError;

static KEYS: LazyLock<Vec<KeyMaterial>> = LazyLock::new(|| {
    let curves = Curve::ALL.map(KeyShape::Ec);
    let sizes = [AesSize::Aes128, AesSize::Aes192, AesSize::Aes256].map(KeyShape::Oct);
    let shapes = curves.into_iter().chain(sizes).chain([KeyShape::Rsa(RsaSize::Rsa2048)]);
    shapes.map(|shape| KeyMaterial::generate(shape).unwrap()).collect()
});

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|index| u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).unwrap()).collect()
}

fn opening(sealed: &Sealed) -> Opening<'_> {
    Opening { value: &sealed.value, iv: sealed.iv.as_deref(), tag: sealed.tag.as_deref(), aad: b"aad" }
}

fn has(shape: KeyShape, algorithm: EncryptionAlgorithm) -> bool {
    match (shape, algorithm) {
        (KeyShape::Ec(_), _) => false,
        (KeyShape::Rsa(_), algorithm) => matches!(algorithm, EncryptionAlgorithm::Rsa(_)),
        (KeyShape::Oct(own), algorithm) => match algorithm {
            EncryptionAlgorithm::AesCbc(size)
            | EncryptionAlgorithm::AesCbcPad(size)
            | EncryptionAlgorithm::AesGcm(size)
            | EncryptionAlgorithm::AesKw(size)
            | EncryptionAlgorithm::AesKwPad(size) => size == own,
            EncryptionAlgorithm::CkmAesKeyWrap | EncryptionAlgorithm::CkmAesKeyWrapPad => true,
            EncryptionAlgorithm::Rsa(_) => false,
        },
    }
}

#[test]
fn each_key_encrypts_with_its_own_algorithms_and_no_other() {
    let plaintext = [7; 32];
    for key in &*KEYS {
        for (name, algorithm) in ENCRYPTION {
            let sealed = key.encrypt(algorithm, &plaintext, None, b"aad");
            if has(key.shape(), algorithm) {
                let sealed = sealed.unwrap();
                assert_ne!(sealed.value, plaintext);
                assert_eq!(*key.decrypt(algorithm, &opening(&sealed)).unwrap(), plaintext, "{name}");
            } else {
                assert!(matches!(sealed, Err(VaultError::AlgorithmMismatch { .. })), "{name}: {sealed:?}");
                let empty = Sealed { value: Vec::new(), iv: None, tag: None };
                let opened = key.decrypt(algorithm, &opening(&empty));
                assert!(matches!(opened, Err(VaultError::AlgorithmMismatch { .. })), "{name}: {opened:?}");
            }
        }
    }
}

#[test]
fn each_key_signs_with_its_own_algorithms_and_no_other() {
    for key in &*KEYS {
        for (name, algorithm) in SIGNATURE {
            let own = match key.shape() {
                KeyShape::Ec(curve) => curve.signature_algorithm() == algorithm,
                KeyShape::Oct(_) => matches!(algorithm, SignatureAlgorithm::Hs(_)),
                KeyShape::Rsa(_) => matches!(algorithm, SignatureAlgorithm::Ps(_) | SignatureAlgorithm::Rs(_)),
            };
            let digest = vec![9; algorithm.hash().digest_bytes()];
            let signed = key.sign(algorithm, &digest);
            if !own {
                assert!(matches!(signed, Err(VaultError::AlgorithmMismatch { .. })), "{name}: {signed:?}");
                let verified = key.verify(algorithm, &digest, &[]);
                assert!(matches!(verified, Err(VaultError::AlgorithmMismatch { .. })), "{name}: {verified:?}");
                continue;
            }
            let mut signature = signed.unwrap();
            if let KeyShape::Ec(curve) = key.shape() {
                assert_eq!(signature.len(), 2 * curve.field_bytes(), "{name}");
            }
            assert_eq!(key.verify(algorithm, &digest, &signature), Ok(true), "{name}");
            let mut other = digest.clone();
            other[0] ^= 1;
            assert_eq!(key.verify(algorithm, &other, &signature), Ok(false), "{name}");
            let last = signature.len() - 1;
            signature[last] ^= 1;
            assert_eq!(key.verify(algorithm, &digest, &signature), Ok(false), "{name}");
            for wrong in [&signature[..last], &[], &[0; 1000]] {
                assert_eq!(key.verify(algorithm, &digest, wrong), Ok(false), "{name}");
            }
        }
    }
}

#[test]
fn a_digest_has_exactly_one_length() {
    for key in &*KEYS {
        let algorithm = match key.shape() {
            KeyShape::Ec(curve) => curve.signature_algorithm(),
            KeyShape::Oct(_) => continue,
            KeyShape::Rsa(_) => SignatureAlgorithm::Ps(Hash::Sha384),
        };
        let expected_bytes = algorithm.hash().digest_bytes();
        for actual_bytes in [0, 20, expected_bytes - 1, expected_bytes + 1] {
            let refused = VaultError::DigestLength { algorithm: algorithm.as_str(), expected_bytes, actual_bytes };
            assert_eq!(key.sign(algorithm, &vec![0; actual_bytes]), Err(refused.clone()));
            assert_eq!(key.verify(algorithm, &vec![0; actual_bytes], &[]), Err(refused));
        }
    }
}

/// RFC 3394, section 4: the key data of 128 bits under the three sizes of key.
#[test]
fn keys_are_wrapped_as_rfc_3394_says() {
    let key_data = bytes("00112233445566778899aabbccddeeff");
    for (length, expected) in [
        (16, "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"),
        (24, "96778b25ae6ca435f92b5b97c050aed2468ab8a17ad84e5d"),
        (32, "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7"),
    ] {
        let key = OctKey::from_bytes(Zeroizing::new((0..length).collect())).unwrap();
        let algorithm = EncryptionAlgorithm::AesKw(key.size());
        let sealed = key.encrypt(algorithm, &key_data, None, &[]).unwrap();
        assert_eq!(sealed.value, bytes(expected));
        assert_eq!(*key.decrypt(algorithm, &opening(&sealed)).unwrap(), key_data);
    }
}

/// RFC 5649, section 6: 20 and 7 bytes under a key of 192 bits.
#[test]
fn keys_are_padded_and_wrapped_as_rfc_5649_says() {
    let key = bytes("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8");
    let key = OctKey::from_bytes(Zeroizing::new(key)).unwrap();
    for (plaintext, expected) in [
        (
            "c37b7e6492584340bed12207808941155068f738",
            "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
        ),
        ("466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f"),
    ] {
        for algorithm in [EncryptionAlgorithm::AesKwPad(AesSize::Aes192), EncryptionAlgorithm::CkmAesKeyWrapPad] {
            let sealed = key.encrypt(algorithm, &bytes(plaintext), None, &[]).unwrap();
            assert_eq!(sealed.value, bytes(expected));
            assert_eq!(*key.decrypt(algorithm, &opening(&sealed)).unwrap(), bytes(plaintext));
        }
    }
}

#[test]
fn lengths_and_vectors_that_do_not_fit_are_told() {
    let key = OctKey::generate(AesSize::Aes256).unwrap();
    let (cbc, gcm) = (EncryptionAlgorithm::AesCbc(AesSize::Aes256), EncryptionAlgorithm::AesGcm(AesSize::Aes256));
    let wrap = EncryptionAlgorithm::AesKw(AesSize::Aes256);
    let blocks =
        |algorithm, block_bytes, actual_bytes| Err(VaultError::BlockLength { algorithm, block_bytes, actual_bytes });
    assert_eq!(key.encrypt(cbc, &[0; 17], None, &[]), blocks("A256CBC", 16, 17));
    assert_eq!(key.encrypt(wrap, &[0; 17], None, &[]), blocks("A256KW", 8, 17));
    assert_eq!(key.encrypt(wrap, &[0; 8], None, &[]), blocks("A256KW", 8, 8));
    assert_eq!(key.encrypt(cbc, &[0; 16], Some(&[0; 12]), &[]), Err(VaultError::InvalidIv { algorithm: "A256CBC" }));
    assert_eq!(key.encrypt(gcm, &[], Some(&[0; 12]), &[]), Err(VaultError::InvalidIv { algorithm: "A256GCM" }));
    // Nothing is made from the same nonce twice.
    let nonce = || key.encrypt(gcm, &[], None, &[]).unwrap().iv;
    assert_ne!(nonce(), nonce());
}

#[test]
fn an_imported_curve_key_may_lack_leading_zeros_but_must_fit_its_point() {
    let scalar = [1];
    // The generator of P-256: the public point of the scalar one.
    let x = bytes("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296");
    let y = bytes("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5");
    let key = EcKey::from_parts(Curve::P256, &scalar, &x, &y).unwrap();
    assert_eq!(key.point(), (x.as_slice(), y.as_slice()));
    let mut wide = vec![0; 40];
    wide.extend_from_slice(&scalar);
    assert!(EcKey::from_parts(Curve::P256, &wide, &x, &y).is_ok());
    let refused = |result: Result<EcKey, CryptoError>| assert_eq!(result.map(|_| ()), Err(CryptoError::Decode));
    refused(EcKey::from_parts(Curve::P256, &[2], &x, &y));
    refused(EcKey::from_parts(Curve::P256, &scalar, &y, &x));
    refused(EcKey::from_parts(Curve::P256k, &scalar, &x, &y));
    refused(EcKey::from_parts(Curve::P256, &[0], &x, &y));
    refused(EcKey::from_parts(Curve::P256, &[], &[], &[]));
    refused(EcKey::from_parts(Curve::P256, &[0xff; 33], &x, &y));
}

#[test]
fn no_key_is_ever_shown() {
    for key in &*KEYS {
        let shown = format!("{key:?}");
        assert!(shown.len() < 60 && shown.ends_with("{ .. })") | shown.ends_with(", .. })"), "{shown}");
    }
}

proptest! {
    #[test]
    fn symmetric_ciphertexts_open_or_are_refused(
        bits in prop::sample::select(vec![128_usize, 192, 256]),
        plaintext in prop::collection::vec(any::<u8>(), 1..100),
        flip in any::<prop::sample::Index>(),
    ) {
        let size = AesSize::from_bits(bits).unwrap();
        let key = OctKey::generate(size).unwrap();
        let whole = &plaintext[..plaintext.len() / 16 * 16];
        for (algorithm, plaintext) in [
            (EncryptionAlgorithm::AesCbc(size), whole),
            (EncryptionAlgorithm::AesCbcPad(size), &plaintext[..]),
            (EncryptionAlgorithm::AesGcm(size), &plaintext[..]),
            (EncryptionAlgorithm::AesKwPad(size), &plaintext[..]),
        ] {
            let mut sealed = key.encrypt(algorithm, plaintext, None, b"aad").unwrap();
            prop_assert_eq!(&*key.decrypt(algorithm, &opening(&sealed)).unwrap(), plaintext);
            if sealed.value.is_empty() {
                continue;
            }
            let at = flip.index(sealed.value.len());
            sealed.value[at] ^= 1;
            let opened = key.decrypt(algorithm, &opening(&sealed));
            let is_authenticated = !matches!(algorithm, EncryptionAlgorithm::AesCbc(_) | EncryptionAlgorithm::AesCbcPad(_));
            if is_authenticated {
                prop_assert_eq!(opened, Err(VaultError::Decryption));
            } else if let Ok(opened) = opened {
                prop_assert_ne!(&*opened, plaintext);
            }
        }
    }

    #[test]
    fn nothing_that_is_given_to_a_key_panics(
        key in 0_usize..8,
        value in prop::collection::vec(any::<u8>(), 0..100),
        iv in prop::option::of(prop::collection::vec(any::<u8>(), 0..20)),
        tag in prop::option::of(prop::collection::vec(any::<u8>(), 0..20)),
    ) {
        let key = &KEYS[key];
        for (_, algorithm) in ENCRYPTION {
            let _ = key.encrypt(algorithm, &value, iv.as_deref(), &value);
            let input = Opening { value: &value, iv: iv.as_deref(), tag: tag.as_deref(), aad: &value };
            let _ = key.decrypt(algorithm, &input);
        }
        for (_, algorithm) in SIGNATURE {
            let _ = key.sign(algorithm, &value);
            let _ = key.verify(algorithm, &value, &value);
        }
    }
}
