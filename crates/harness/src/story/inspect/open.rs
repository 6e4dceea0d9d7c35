//! Opens a sealed value with its seed, as `spec` of KMS v2 has it and without the code that sealed it.
//!
//! A second, independent reading of the format on purpose: what `kyanite inspect` shows as plaintext does not depend on
//! the code it inspects. Sources: `k8s.io/apiserver` `pkg/storage/value/encrypt/envelope/kmsv2` and `encrypt/aes`
//! (extended-nonce GCM).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk};
use envelope::{EncryptedObject, SourceType};
use zeroize::Zeroizing;

/// The plaintext of `record`, stored under `etcd_key`, or `None` if this seed and key do not open it.
pub(super) fn open(record: &EncryptedObject, seed: &[u8], etcd_key: &str) -> Option<Zeroizing<Vec<u8>>> {
    let data = record.encrypted_data();
    let (key, body) = match record.source_type() {
        SourceType::AesGcmKey => (Zeroizing::new(seed.to_vec()), data),
        SourceType::HkdfSha256XnonceAesGcmSeed => {
            let (info, body) = data.split_at_checked(INFO_BYTES)?;
            (derived(seed, info)?, body)
        }
    };
    let (nonce, sealed) = body.split_at_checked(NONCE_BYTES)?;
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).ok()?);
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut buffer = Zeroizing::new(sealed.to_vec());
    let length = key.open_in_place(nonce, Aad::from(etcd_key.as_bytes()), &mut buffer).ok()?.len();
    buffer.truncate(length);
    Some(buffer)
}

/// HKDF-Expand alone: the seed is the pseudo-random key.
fn derived(seed: &[u8], info: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut key = Zeroizing::new(vec![0_u8; KEY_BYTES]);
    let prk = Prk::new_less_safe(HKDF_SHA256, seed);
    prk.expand(&[info], KeyLength).ok()?.fill(&mut key).ok()?;
    Some(key)
}

struct KeyLength;

impl KeyType for KeyLength {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

const INFO_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
const KEY_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::runner::kms_v2_record;

    const ETCD_KEY: &str = "/registry/secrets/default/vec1";
    const PLAIN: &str = "6b3873000a0c0a027631120653656372657412590a470a047665633112001a0764656661756c7422002a2430303030303030302d303030302d343030302d383030302d3030303030303030303030313200380042080880e2cfaa06100012060a016b1201761a064f70617175651a002200";
    /// Sealed by Python's `cryptography`: one record in seed mode, one in key mode, both under the bytes 00 to 1f.
    const RECORDS: [&str; 2] = [
        "6b38733a656e633a6b6d733a76323a617a7572656b6d7370726f76696465723a0aad01404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f808182838485868788898a8ba6faceb24ae7867d2ef40aca286547cb023a4befabbcc13dff84fae9dc285dee4a8c944739489ecbb23de95bfa0ddd7b3da2ef190f49fe3eb1dc81967e85274e92e281496e6fde994f01392981966627d68cb3a75d33b73e5f0a4b5478b747ba53f419163b21016bd5dfee8fd642595aa046318c9002354d1d09c5ab2194a206401201311a044544454b22190a1476657273696f6e2e617a7572652e616b762e696f1201312801",
        "6b38733a656e633a6b6d733a76323a617a7572656b6d7370726f76696465723a0a8d01a1a2a3a401ca9a3b00000000417949f7dfb3e0a5b0a8b4b3c145e5b68d495bbf8b44f717714c0228051f112642652dd1257695d0c7aa0f5e1954c721fd1bd692312409fd2fb4588d1fcd75f1158ddd825ae250583520e194966adfe26326ac6948f8c4452d9c0be237fa69c1ffc43e2a699c04823d4bb62b53bb4c9792f7946fcd25c2695e4d0461874a03a60d1201311a044544454b",
    ];

    fn seed() -> Vec<u8> {
        (0..32).collect()
    }

    #[test]
    fn records_of_another_implementation_are_opened() {
        for record in RECORDS {
            let record = kms_v2_record(&hex::decode(record).unwrap()).unwrap();
            assert_eq!(hex::encode(&*open(&record, &seed(), ETCD_KEY).unwrap()), PLAIN);
        }
    }

    #[test]
    fn another_key_or_another_seed_opens_nothing() {
        let record = kms_v2_record(&hex::decode(RECORDS[0]).unwrap()).unwrap();
        assert!(open(&record, &seed(), "/registry/secrets/default/vec2").is_none());
        assert!(open(&record, &[7; 32], ETCD_KEY).is_none());
        assert!(open(&record, &[], ETCD_KEY).is_none());
    }
}
