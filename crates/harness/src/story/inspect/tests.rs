//! Snapshots of what an inspection shows, over values that another implementation made.

use super::*;
use crate::document::{schema_text, testing::assert_current};
use crate::story::wire::StoredValue;

/// Vector `v2seed`, made with Python's `cryptography`.
const SEALED: &str = "6b38733a656e633a6b6d733a76323a617a7572656b6d7370726f76696465723a0aad01404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f808182838485868788898a8ba6faceb24ae7867d2ef40aca286547cb023a4befabbcc13dff84fae9dc285dee4a8c944739489ecbb23de95bfa0ddd7b3da2ef190f49fe3eb1dc81967e85274e92e281496e6fde994f01392981966627d68cb3a75d33b73e5f0a4b5478b747ba53f419163b21016bd5dfee8fd642595aa046318c9002354d1d09c5ab2194a206401201311a044544454b22190a1476657273696f6e2e617a7572652e616b762e696f1201312801";
/// The same Secret unsealed, as kube-apiserver stores it under `identity`.
const PLAIN: &str = "6b3873000a0c0a027631120653656372657412590a470a047665633112001a0764656661756c7422002a2430303030303030302d303030302d343030302d383030302d3030303030303030303030313200380042080880e2cfaa06100012060a016b1201761a064f70617175651a002200";

fn value(hex: &str) -> StoredValue {
    let key = "/registry/secrets/default/vec1".to_owned();
    StoredValue { key, bytes: hex::decode(hex).unwrap(), mod_revision: 12 }
}

/// A sealed value as a stack shows it that can open it.
fn opened() -> Inspection {
    let mut inspection = Inspection::of_bytes(&value(SEALED).bytes);
    let inside = Inspection::of_bytes(&value(PLAIN).bytes);
    (inspection.key, inspection.revision) = (Some(value(SEALED).key), Some(12));
    if let Sealing::KmsV2 { trace, .. } = &mut inspection.sealing {
        *trace = Some(KeyTrace {
            version: Some("https://kyanite.vault.azure.net/keys/kms/0123456789abcdef0123456789abcdef".to_owned()),
            number: Some(1),
            versions: 2,
            enabled: Some(true),
            stale: Some(true),
        });
    }
    inspection.opened = Some(Opened::Yes { size_bytes: inside.size_bytes, parts: inside.parts });
    inspection
}

fn key_use() -> KeyUse {
    let version = |version: &str, enabled, seeds, objects: &[&str]| VersionUse {
        key: "https://kyanite.vault.azure.net/keys/kms".to_owned(),
        version: version.repeat(32),
        key_id: format!("{version}{version}aa").repeat(16),
        enabled,
        seeds,
        objects: objects.iter().map(|&object| object.to_owned()).collect(),
    };
    KeyUse {
        versions: vec![
            version("0", false, 2, &["/registry/secrets/default/a", "/registry/secrets/kube-system/b"]),
            version("1", true, 0, &[]),
            version("2", true, 1, &["/registry/secrets/default/c"]),
        ],
        strangers: vec![StrangerUse {
            key_id: "f".repeat(64),
            seeds: 1,
            objects: vec!["/registry/secrets/default/d".to_owned()],
        }],
        unencrypted_secrets: vec!["/registry/secrets/default/e".to_owned()],
        vault_refusal: None,
    }
}

#[test]
fn a_sealed_value_is_shown_byte_by_byte_and_opened() {
    insta::assert_snapshot!(opened().text(false));
}

#[test]
fn a_sealed_value_in_a_few_lines() {
    insta::assert_snapshot!(table(&value(SEALED)).join("\n"));
}

#[test]
fn an_unsealed_value_in_a_few_lines() {
    insta::assert_snapshot!(table(&value(PLAIN)).join("\n"));
}

#[test]
fn every_line_fits_into_100_columns() {
    let golden = opened().text(false) + &table(&value(SEALED)).join("\n") + &key_use().text(false);
    for line in golden.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn the_parts_are_all_the_bytes() {
    for hex in [SEALED, PLAIN, "", "00", "6b38733a656e633a"] {
        let joined: String =
            Inspection::of_bytes(&hex::decode(hex).unwrap()).parts.into_iter().map(|part| part.hex).collect();
        assert_eq!(joined, hex);
    }
}

#[test]
fn the_line_break_of_etcdctl_is_no_byte_of_the_value() {
    for hex in [SEALED, PLAIN] {
        let value = hex::decode(hex).unwrap();
        let printed = [value.as_slice(), b"\n"].concat();
        assert_eq!(Inspection::of_printed(&printed), Inspection::of_bytes(&value));
        assert_eq!(Inspection::of_printed(&value), Inspection::of_bytes(&value));
    }
    assert_eq!(Inspection::of_printed(b"{}\n").size_bytes, 3, "who knows what this is");
}

#[test]
fn colour_adds_nothing_but_colour() {
    let plain = |text: String| text.replace("\u{1b}[1m", "").replace("\u{1b}[2m", "").replace("\u{1b}[0m", "");
    assert_eq!(plain(opened().text(true)), opened().text(false));
    assert_eq!(plain(key_use().text(true)), key_use().text(false));
}

#[test]
fn keys_are_shown_with_what_needs_them() {
    insta::assert_snapshot!(key_use().text(false));
}

#[test]
fn the_blast_radius_is_what_falls_with_one_version() {
    let objects = |id: &str| -> Vec<String> {
        let radius = key_use().blast_radius(id).unwrap();
        let versions = radius.versions.into_iter().flat_map(|version| version.objects);
        versions.chain(radius.strangers.into_iter().flat_map(|stranger| stranger.objects)).collect()
    };
    assert_eq!(objects("2222"), ["/registry/secrets/default/c"], "by version");
    assert_eq!(objects("00aa"), ["/registry/secrets/default/a", "/registry/secrets/kube-system/b"], "by key id");
    assert_eq!(objects("ffff"), ["/registry/secrets/default/d"], "a key id that the vault does not know");
    assert_eq!(objects("1111"), [""; 0]);
    for unknown in ["3333", "2", ""] {
        assert!(matches!(key_use().blast_radius(unknown), Err(InspectError::UnknownVersion { .. })), "{unknown}");
    }
}

#[test]
fn the_checked_in_schemas_are_current() {
    assert_current("inspect.json", &schema_text::<Inspection>());
    assert_current("keys.json", &schema_text::<KeyUse>());
}
