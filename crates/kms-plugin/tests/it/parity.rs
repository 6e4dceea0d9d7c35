//! What Kubernetes stores is to the byte what Azure's plugin makes it store.

use std::time::Duration;

use crate::peer::{Peer, REGION};
use crate::rig::Rig;

/// `sha256("https://kyanite.vault.azure.net/keys/kms/v1")`, by `sha256sum`.
const KEY_ID: &str = "33a2afa52c5f74a593900f6f2cefb57a936a02cb8ac21e0ef10ddddd380f88f3";

#[tokio::test]
async fn key_id_ciphertext_and_annotations_are_azures() {
    let rig = Rig::start(&Peer::start(&["v1"]), Some("v1")).await;
    let sealed = rig.encrypt(b"a seed of thirty-two bytes, pad!").await.unwrap();

    assert_eq!(sealed.key_id, KEY_ID);
    assert_eq!(rig.status().await.unwrap(), KEY_ID);
    let text = String::from_utf8(sealed.ciphertext.clone()).unwrap();
    assert_eq!(text, rig.peer.ciphertexts()[0], "the vault's own text");
    assert_eq!(text.len(), 342);

    let annotations: Vec<(&str, String)> = sealed
        .annotations
        .iter()
        .map(|(key, value)| (key.as_str(), String::from_utf8(value.clone()).unwrap()))
        .filter(|(key, _)| *key != "date.azure.akv.io")
        .collect();
    assert_eq!(
        annotations,
        [
            ("algorithm.azure.akv.io", "RSA-OAEP-256".to_owned()),
            ("version.azure.akv.io", "1".to_owned()),
            ("x-ms-keyvault-region.azure.akv.io", REGION.to_owned()),
            ("x-ms-request-id.azure.akv.io", "9d2e1a31-6c39-4c51-9d0b-0a3c1b2d4e5f".to_owned()),
        ]
    );
    let date = String::from_utf8(sealed.annotations["date.azure.akv.io"].clone()).unwrap();
    assert!(date.ends_with(" GMT"), "the vault's Date header: {date}");

    assert_eq!(rig.decrypt(&sealed).await.unwrap(), b"a seed of thirty-two bytes, pad!");
}

#[tokio::test]
async fn one_token_serves_all_calls_and_the_uid_goes_along() {
    let rig = Rig::start(&Peer::start(&["v1"]), Some("v1")).await;
    let calls = (0..20).map(|_| rig.encrypt(b"seed"));
    for sealed in futures::future::join_all(calls).await {
        rig.decrypt(&sealed.unwrap()).await.unwrap();
    }
    assert_eq!(rig.peer.calls("token"), 1);
    let ids = rig.peer.request_ids();
    assert_eq!(ids.iter().filter(|id| *id == "uid-encrypt").count(), 20, "{ids:?}");
    assert_eq!(ids.iter().filter(|id| *id == "uid-decrypt").count(), 20, "{ids:?}");
}

#[tokio::test]
async fn it_stops_when_told_and_takes_its_socket_along() {
    let rig = Rig::start(&Peer::start(&["v1"]), Some("v1")).await;
    rig.status().await.unwrap();
    let path = rig.folder.path().join("kms.sock");
    assert!(path.exists());
    rig.shutdown.cancel();
    // The client's connection is still open.
    tokio::time::timeout(Duration::from_secs(20), rig.server).await.unwrap().unwrap();
    assert!(!path.exists());
}
