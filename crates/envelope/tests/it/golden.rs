//! Values that a real kube-apiserver wrote: decode, unwrap with the RSA keys, decrypt, decode, and back to the same bytes.

use envelope::storage::{self, StoredObject};
use envelope::{EncryptedObject, SourceType, open_identity};
use serde_json::Value;

use crate::plugin::{PROVIDER, RsaKeys, base64, healthy, read};

fn secrets() -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("../golden/secrets.json")).unwrap();
    assert_eq!(file["provider"], PROVIDER);
    let secrets = file["secrets"].as_array().unwrap().clone();
    assert_eq!(secrets.len(), 6);
    secrets
}

fn body(recorded: &Value) -> EncryptedObject {
    let raw = base64(&recorded["raw_b64"]);
    EncryptedObject::decode(raw.strip_prefix(b"k8s:enc:kms:v2:azurekmsprovider:").unwrap()).unwrap()
}

#[test]
fn records_decode_to_their_recorded_parts() {
    for secret in secrets() {
        for key in ["k1", "k2"] {
            let recorded = &secret[key];
            let object = body(recorded);
            assert_eq!(object.key_id().as_str(), recorded["key_id"]);
            assert_eq!(
                object.encrypted_dek_source().as_bytes(),
                recorded["encryptedDEKSource"].as_str().unwrap().as_bytes()
            );
            assert_eq!(object.source_type(), SourceType::HkdfSha256XnonceAesGcmSeed);
            let annotations = recorded["annotations"].as_object().unwrap();
            assert_eq!(object.annotations().len(), annotations.len());
            for (name, value) in annotations {
                assert_eq!(object.annotations().get(name), Some(value.as_str().unwrap().as_bytes()), "{name}");
            }
            assert!(
                object.encrypted_data().starts_with(&[base64(&recorded["info"]), base64(&recorded["nonce"])].concat())
            );
            // Annotations come out sorted, so the bytes may differ from Go's; what they say does not.
            let encoded = object.encode();
            assert_eq!(encoded.len() + "k8s:enc:kms:v2:azurekmsprovider:".len(), base64(&recorded["raw_b64"]).len());
            assert_eq!(EncryptedObject::decode(&encoded), Ok(object));
        }
    }
}

#[test]
fn records_decrypt_to_the_recorded_plaintext() {
    let keys = RsaKeys::recorded();
    for secret in secrets() {
        let etcd_key = secret["etcd_key"].as_str().unwrap();
        // A server whose plugin is now at k2: what k1 encrypted reads, and is stale.
        let mut kms = healthy(secret["k2"]["key_id"].as_str().unwrap());
        for (key, stale) in [("k1", true), ("k2", false)] {
            let recorded = &secret[key];
            let stored = base64(&recorded["raw_b64"]);
            let opened = read(&mut kms, &stored, etcd_key, |object| {
                let seed = keys.decrypt(object);
                assert_eq!(seed.expose(), base64(&recorded["seed"]), "the unwrapped seed");
                Ok(seed)
            })
            .unwrap();
            assert_eq!(opened.plain, base64(&secret["plain_b64"]), "{etcd_key} under {key}");
            assert_eq!(opened.stale, stale, "{etcd_key} under {key}");
            // The second read asks nobody.
            let again = read(&mut kms, &stored, etcd_key, |_| panic!("the seed is cached")).unwrap();
            assert_eq!(again, opened);
        }
    }
}

#[test]
fn plain_values_decode_and_encode_to_the_same_bytes() {
    for secret in secrets() {
        let plain = base64(&secret["plain_b64"]);
        let StoredObject::Secret(decoded) = storage::decode_any(&plain).unwrap() else { panic!("a Secret") };
        assert_eq!(decoded.metadata.name, secret["name"]);
        assert_eq!(decoded.metadata.uid, secret["kubectl_json"]["metadata"]["uid"]);
        assert_eq!(decoded.r#type, secret["kubectl_json"]["type"]);
        let shown = secret["kubectl_json"]["data"].as_object();
        assert_eq!(decoded.data.len(), shown.map_or(0, serde_json::Map::len));
        for entry in &decoded.data {
            assert_eq!(entry.value.clone().unwrap_or_default(), base64(&shown.unwrap()[&entry.key]));
        }
        assert_eq!(storage::encode(&decoded), plain, "{}", secret["name"]);
        let identity = base64(&secret["identity_raw_b64"]);
        assert_eq!(open_identity(&identity).unwrap().plain, plain);
    }
}
