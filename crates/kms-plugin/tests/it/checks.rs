//! What cannot succeed is refused with Azure's texts, in Azure's order, and never sent to the vault.

use insta::assert_snapshot;
use kms_api::v2::EncryptResponse;
use tonic::{Code, Status};

use crate::peer::Peer;
use crate::rig::{Rig, wait_until};

fn shown(status: &Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}

/// A plugin that has done its first listing, so that calls can be counted.
async fn settled() -> (Rig, EncryptResponse) {
    let rig = Rig::start(&Peer::start(&["v1"]), Some("v1")).await;
    let sealed = rig.encrypt(b"seed").await.unwrap();
    wait_until(async || rig.peer.calls("versions"), |calls| *calls == 1).await;
    (rig, sealed)
}

#[tokio::test]
async fn decrypt_checks_in_azures_order() {
    let (rig, sealed) = settled().await;
    // Everything is wrong at first, then one thing after the other is put right.
    let mut request = EncryptResponse { key_id: "00".to_owned(), ciphertext: Vec::new(), ..EncryptResponse::default() };
    assert_snapshot!(shown(&rig.decrypt(&request).await.unwrap_err()), @"InvalidArgument: invalid annotations, annotations cannot be empty");

    request.annotations = sealed.annotations.clone();
    request.annotations.insert("algorithm.azure.akv.io".to_owned(), b"RSA1_5".to_vec());
    request.annotations.insert("version.azure.akv.io".to_owned(), b"2".to_vec());
    assert_snapshot!(shown(&rig.decrypt(&request).await.unwrap_err()), @"NotFound: key id 00 is of no known version of https://kyanite.vault.azure.net/keys/kms (known: v1 is 33a2afa52c5f74a593900f6f2cefb57a936a02cb8ac21e0ef10ddddd380f88f3)");

    request.key_id.clone_from(&sealed.key_id);
    assert_snapshot!(shown(&rig.decrypt(&request).await.unwrap_err()), @"InvalidArgument: algorithm RSA1_5 does not match expected algorithm RSA-OAEP-256 used for encryption");

    request.annotations.insert("algorithm.azure.akv.io".to_owned(), b"RSA-OAEP-256".to_vec());
    assert_snapshot!(shown(&rig.decrypt(&request).await.unwrap_err()), @"InvalidArgument: version 2 does not match expected version 1 used for encryption");

    request.annotations.clone_from(&sealed.annotations);
    assert_snapshot!(shown(&rig.decrypt(&request).await.unwrap_err()), @"InvalidArgument: ciphertext is 0 bytes, which is not 1 to 1024");

    request.ciphertext = b"not base64url!".to_vec();
    assert_snapshot!(shown(&rig.decrypt(&request).await.unwrap_err()), @"InvalidArgument: ciphertext is not the base64url text of key vault");

    request.ciphertext = vec![b'A'; 1025];
    assert_snapshot!(shown(&rig.decrypt(&request).await.unwrap_err()), @"InvalidArgument: ciphertext is 1025 bytes, which is not 1 to 1024");

    request.ciphertext = b"AAAA".to_vec();
    assert_snapshot!(shown(&rig.decrypt(&request).await.unwrap_err()), @"InvalidArgument: ciphertext is of 3 bytes, which no ciphertext of this key has");

    assert_eq!(rig.peer.calls("decrypt"), 0, "nothing of this was sent");
    request.ciphertext.clone_from(&sealed.ciphertext);
    assert_eq!(rig.decrypt(&request).await.unwrap(), b"seed");
}

#[tokio::test]
async fn before_the_keys_size_is_known_the_largest_key_is_thought_of() {
    let rig = Rig::start(&Peer::start(&["v1"]), Some("v1")).await;
    assert_snapshot!(shown(&rig.encrypt(&[0; 447]).await.unwrap_err()), @"InvalidArgument: plaintext is 447 bytes, which is not 1 to 446");
    assert_eq!(rig.peer.calls("encrypt"), 0);
}

#[tokio::test]
async fn encrypt_refuses_what_rsa_cannot_hold() {
    let (rig, _) = settled().await;
    let calls = rig.peer.calls("encrypt");
    assert_snapshot!(shown(&rig.encrypt(&[]).await.unwrap_err()), @"InvalidArgument: plaintext is 0 bytes, which is not 1 to 190");
    assert_snapshot!(shown(&rig.encrypt(&[0; 191]).await.unwrap_err()), @"InvalidArgument: plaintext is 191 bytes, which is not 1 to 190");
    assert_eq!(rig.peer.calls("encrypt"), calls);
    assert_eq!(rig.encrypt(&[7; 190]).await.unwrap().ciphertext.len(), 342);
}

#[tokio::test]
async fn a_foreign_ciphertext_is_rejected_and_does_not_make_the_plugin_ill() {
    let (rig, sealed) = settled().await;
    rig.status().await.unwrap();
    let before = rig.peer.calls("encrypt");
    let mut ciphertext = sealed.ciphertext.clone();
    ciphertext[5] = if ciphertext[5] == b'A' { b'B' } else { b'A' };
    let forged = EncryptResponse { ciphertext, ..sealed };
    let status = rig.decrypt(&forged).await.unwrap_err();
    assert_snapshot!(shown(&status), @"InvalidArgument: failed to decrypt, error: key vault answered 400 BadParameter: The parameter is incorrect.");
    assert_eq!(status.code(), Code::InvalidArgument);
    rig.status().await.unwrap();
    assert_eq!(rig.peer.calls("encrypt"), before, "health is still known");
}
