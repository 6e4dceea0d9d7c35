//! KMS v1beta1 on the same socket: the algorithm of Azure's plugin, and what old clusters hold.

use insta::assert_snapshot;
use kms_api::v1beta1::{DecryptRequest, EncryptRequest, VersionRequest};
use tonic::Code;

use crate::peer::Peer;
use crate::rig::{Rig, wait_until};

#[tokio::test]
async fn the_version_is_what_azures_plugin_says() {
    let rig = Rig::start(&Peer::start(&["v1"]), Some("v1")).await;
    let answer = rig.client_v1.clone().version(VersionRequest { version: "v1beta1".to_owned() }).await.unwrap();
    let answer = answer.into_inner();
    assert_eq!((answer.version.as_str(), answer.runtime_name.as_str()), ("v1beta1", "Microsoft AzureKMS"));
    assert!(!answer.runtime_version.is_empty());
}

#[tokio::test]
async fn a_data_key_goes_there_and_back() {
    let rig = Rig::start(&Peer::start(&["v1"]), Some("v1")).await;
    let sealed = rig.encrypt_v1(b"data key").await.unwrap();
    assert_eq!(sealed, rig.peer.ciphertexts()[0].as_bytes(), "the vault's own text");
    assert_eq!(rig.decrypt_v1(&sealed).await.unwrap(), b"data key");
    // It is no ciphertext of v2, whose algorithm is another.
    let mut v2 = rig.encrypt(b"seed").await.unwrap();
    v2.ciphertext = sealed;
    assert_eq!(rig.decrypt(&v2).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_new_version_opens_what_the_old_one_sealed() {
    let peer = Peer::start(&["v1", "v2", "v3"]);
    let old = Rig::start(&peer, Some("v2")).await.encrypt_v1(b"old").await.unwrap();
    let rig = Rig::start(&peer, Some("v3")).await;
    wait_until(async || rig.plugin.report().known.len(), |known| *known == 3).await;
    assert_eq!(rig.decrypt_v1(&old).await.unwrap(), b"old");
}

#[tokio::test]
async fn what_cannot_succeed_is_not_sent() {
    let rig = Rig::start(&Peer::start(&["v1"]), Some("v1")).await;
    rig.encrypt_v1(b"data key").await.unwrap();
    let sent = rig.peer.calls("encrypt");
    let mut seen = Vec::new();
    for cipher in [&b""[..], b"not base64url!", b"AAAA", &[b'A'; 1025]] {
        seen.push(rig.decrypt_v1(cipher).await.unwrap_err());
    }
    seen.push(rig.encrypt_v1(b"").await.unwrap_err());
    seen.push(rig.encrypt_v1(&[1; 246]).await.unwrap_err());
    let wrong = "v9".to_owned();
    let request = EncryptRequest { version: wrong.clone(), plain: b"data key".to_vec() };
    seen.push(rig.client_v1.clone().encrypt(request).await.unwrap_err());
    let request = DecryptRequest { version: wrong, cipher: b"AAAA".to_vec() };
    seen.push(rig.client_v1.clone().decrypt(request).await.unwrap_err());
    let shown: Vec<String> = seen.iter().map(|status| format!("{:?}: {}", status.code(), status.message())).collect();
    assert_snapshot!(shown.join("\n"), @r#"
    InvalidArgument: ciphertext is 0 bytes, which is not 1 to 1024
    InvalidArgument: ciphertext is not the base64url text of key vault
    InvalidArgument: ciphertext is of 3 bytes, which no ciphertext of this key has
    InvalidArgument: ciphertext is 1025 bytes, which is not 1 to 1024
    InvalidArgument: plaintext is 0 bytes, which is not 1 to 245
    InvalidArgument: plaintext is 246 bytes, which is not 1 to 245
    InvalidArgument: KMS API version "v9" is not supported, only v1beta1 is
    InvalidArgument: KMS API version "v9" is not supported, only v1beta1 is
    "#);
    assert_eq!((rig.peer.calls("encrypt"), rig.peer.calls("decrypt")), (sent, 0));
    assert_eq!(rig.encrypt_v1(&[1; 245]).await.unwrap().len(), 342);
}
