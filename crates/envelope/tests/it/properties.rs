//! What holds for every value: it opens to what was sealed, under its own key only, with every bit in place; no bytes
//! panic; what is decoded and encoded again is the same.

use std::collections::BTreeMap;

use envelope::storage::{
    self, ConfigMap, FieldsV1, ManagedFieldsEntry, Namespace, NamespaceSpec, NamespaceStatus, ObjectMeta,
    OwnerReference, Secret, StoredObject, Time, bytes_entries, string_entries,
};
use envelope::{EncryptAnswer, EncryptedObject, Kms, ProviderName, Read, SystemRandom, open_identity};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use crate::plugin::{PROVIDER, check, now, status};

const PREFIX: &[u8] = b"k8s:enc:kms:v2:azurekmsprovider:";

fn annotations() -> impl Strategy<Value = BTreeMap<String, Vec<u8>>> {
    btree_map("[a-z0-9]([-a-z0-9]{0,10}[a-z0-9])?(\\.[a-z0-9]{1,8}){1,3}", vec(any::<u8>(), 0..40), 0..5)
}

/// A provider with a seed, as this plugin encrypted it.
fn provider() -> impl Strategy<Value = Kms> {
    (vec(any::<u8>(), 1..=1024), "\\PC{1,64}", annotations()).prop_map(|(ciphertext, key_id, annotations)| {
        let mut kms = Kms::new(ProviderName::new(PROVIDER).unwrap());
        let answer = EncryptAnswer { ciphertext, key_id: key_id.clone(), annotations };
        check(&mut kms, now(), &SystemRandom, Ok(status(&key_id)), |_, _| Ok(answer)).unwrap();
        kms
    })
}

fn seal(kms: &mut Kms, etcd_key: &str, plain: &[u8]) -> Vec<u8> {
    kms.writer(now()).unwrap().seal(etcd_key, plain, &SystemRandom).unwrap()
}

/// What a read with the seeds in the cache gives: `None` unless it opens.
fn open_cached(kms: &Kms, etcd_key: &str, stored: &[u8]) -> Option<Vec<u8>> {
    let object = EncryptedObject::decode(stored.strip_prefix(PREFIX)?).ok()?;
    match kms.read(object, &SystemRandom).ok()? {
        Read::Ready(opener) => opener.open(etcd_key).ok().map(|opened| opened.plain),
        Read::AskDecrypt(_) => None,
    }
}

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,12}"
}

fn time() -> impl Strategy<Value = Time> {
    prop_oneof![
        Just(Time::default()),
        (-62_135_596_800_i64..253_402_300_799).prop_map(|seconds| Time { seconds: Some(seconds), nanos: Some(0) })
    ]
}

fn strings() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(text(), text(), 0..4)
}

fn managed_fields() -> impl Strategy<Value = ManagedFieldsEntry> {
    (text(), text(), option::of(time()), option::of(option::of(vec(any::<u8>(), 0..20)))).prop_map(
        |(manager, operation, time, fields)| ManagedFieldsEntry {
            manager,
            operation,
            api_version: "v1".into(),
            time,
            fields_type: "FieldsV1".into(),
            fields_v1: fields.map(|raw| FieldsV1 { raw }),
            subresource: String::new(),
        },
    )
}

fn meta() -> impl Strategy<Value = ObjectMeta> {
    let owner = (text(), option::of(any::<bool>())).prop_map(|(name, controller)| OwnerReference {
        name,
        controller,
        ..OwnerReference::default()
    });
    let scalars = (text(), text(), any::<i64>(), time(), option::of(time()), option::of(any::<i64>()));
    (scalars, strings(), strings(), vec(owner, 0..3), vec(text(), 0..3), vec(managed_fields(), 0..3)).prop_map(
        |((name, namespace, generation, created, deleted, grace), labels, annotations, owners, finalizers, managed)| {
            ObjectMeta {
                name,
                namespace,
                generation,
                creation_timestamp: created,
                deletion_timestamp: deleted,
                deletion_grace_period_seconds: grace,
                labels: string_entries(labels),
                annotations: string_entries(annotations),
                owner_references: owners,
                finalizers,
                managed_fields: managed,
                ..ObjectMeta::default()
            }
        },
    )
}

fn object() -> impl Strategy<Value = StoredObject> {
    let bytes = || btree_map(text(), vec(any::<u8>(), 0..30), 0..4);
    prop_oneof![
        (meta(), bytes(), text(), option::of(any::<bool>())).prop_map(|(metadata, data, r#type, immutable)| {
            StoredObject::Secret(Secret { metadata, data: bytes_entries(data), r#type, immutable, string_data: vec![] })
        }),
        (meta(), strings(), bytes(), option::of(any::<bool>())).prop_map(|(metadata, data, binary, immutable)| {
            StoredObject::ConfigMap(ConfigMap {
                metadata,
                data: string_entries(data),
                binary_data: bytes_entries(binary),
                immutable,
            })
        }),
        (meta(), vec(text(), 0..3), text()).prop_map(|(metadata, finalizers, phase)| {
            let status = NamespaceStatus { phase, conditions: vec![] };
            StoredObject::Namespace(Namespace { metadata, spec: NamespaceSpec { finalizers }, status })
        }),
    ]
}

fn encode(object: &StoredObject) -> Vec<u8> {
    match object {
        StoredObject::ConfigMap(map) => storage::encode(map),
        StoredObject::Namespace(namespace) => storage::encode(namespace),
        StoredObject::Secret(secret) => storage::encode(secret),
        _ => panic!("no other kind is generated"),
    }
}

proptest! {
    #[test]
    fn what_is_sealed_opens(mut kms in provider(), etcd_key in "\\PC{1,40}", plain in any::<Vec<u8>>()) {
        let stored = seal(&mut kms, &etcd_key, &plain);
        prop_assert_eq!(open_cached(&kms, &etcd_key, &stored), Some(plain));
        prop_assert!(open_identity(&stored).is_err());
    }

    #[test]
    fn any_flipped_bit_fails(mut kms in provider(), plain in any::<Vec<u8>>(), bit: prop::sample::Index) {
        let stored = seal(&mut kms, "/registry/secrets/a/b", &plain);
        let mut flipped = stored.clone();
        let bit = bit.index(stored.len() * 8);
        flipped[bit / 8] ^= 1 << (bit % 8);
        if open_cached(&kms, "/registry/secrets/a/b", &flipped).is_some() {
            // One bit says nothing: the wire type in front of an annotation's empty value. What is read is the same.
            let record = |stored: &[u8]| EncryptedObject::decode(stored.strip_prefix(PREFIX).unwrap());
            prop_assert_eq!(record(&flipped), record(&stored));
        }
    }

    #[test]
    fn any_other_key_fails(mut kms in provider(), one in "\\PC{1,20}", other in "\\PC{0,20}", plain in any::<Vec<u8>>()) {
        prop_assume!(one != other);
        let stored = seal(&mut kms, &one, &plain);
        prop_assert_eq!(open_cached(&kms, &other, &stored), None);
    }

    #[test]
    fn any_other_provider_fails(mut one in provider(), mut other in provider(), plain in any::<Vec<u8>>()) {
        let stored = seal(&mut one, "/a", &plain);
        seal(&mut other, "/a", &plain);
        prop_assert_eq!(open_cached(&other, "/a", &stored), None);
    }

    #[test]
    fn a_cut_value_fails(mut kms in provider(), plain in any::<Vec<u8>>(), at: prop::sample::Index) {
        let stored = seal(&mut kms, "/a", &plain);
        prop_assert_eq!(open_cached(&kms, "/a", &stored[..at.index(stored.len())]), None);
    }

    #[test]
    fn records_encode_to_the_bytes_they_were(mut kms in provider(), plain in any::<Vec<u8>>()) {
        let stored = seal(&mut kms, "/a", &plain);
        let body = stored.strip_prefix(PREFIX).unwrap();
        prop_assert_eq!(EncryptedObject::decode(body).unwrap().encode(), body);
    }

    #[test]
    fn no_bytes_panic(bytes in any::<Vec<u8>>()) {
        let _ = EncryptedObject::decode(&bytes);
        let _ = storage::decode_any(&bytes);
        let _ = storage::decode_any(&[b"k8s\0".as_slice(), &bytes].concat());
        let _ = open_identity(&bytes);
    }

    #[test]
    fn no_damage_to_a_record_panics(mut kms in provider(), at: prop::sample::Index, byte: u8) {
        let mut stored = seal(&mut kms, "/a", b"plain");
        let at = at.index(stored.len());
        stored[at] = byte;
        if let Some(Ok(object)) = stored.strip_prefix(PREFIX).map(EncryptedObject::decode) {
            // Whatever was decoded is within the limits, so it encodes to something that decodes to the same.
            prop_assert_eq!(EncryptedObject::decode(&object.encode()), Ok(object));
        }
    }

    #[test]
    fn objects_decode_and_encode_to_the_same(object in object()) {
        let plain = encode(&object);
        let decoded = storage::decode_any(&plain).unwrap();
        prop_assert_eq!(&decoded, &object);
        prop_assert_eq!(encode(&decoded), plain);
    }
}
