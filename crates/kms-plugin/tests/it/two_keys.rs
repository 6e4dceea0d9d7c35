//! AKS's two-key rule: only the current and the previous key version are there to decrypt with. Rotating twice without
//! writing all Secrets again then loses what hangs on the first: Azure/kubernetes-kms issue 291.

use insta::assert_snapshot;
use tonic::Code;

use crate::peer::Peer;
use crate::rig::Rig;

async fn rig(peer: &Peer, version: &str, previous: Option<&str>) -> Rig {
    Rig::start_with(peer, Some(version), |config, _| {
        config.previous_key = previous.map(|previous| previous.parse().unwrap());
    })
    .await
}

#[tokio::test]
async fn rotating_twice_without_rewriting_loses_the_first_key_and_not_with_ours() {
    let peer = Peer::start(&["v1", "v2", "v3"]);
    let first = rig(&peer, "v1", None).await.encrypt(b"first").await.unwrap();
    let once = rig(&peer, "v2", Some("v1")).await;
    let second = once.encrypt(b"second").await.unwrap();
    assert_eq!(once.decrypt(&first).await.unwrap(), b"first", "one rotation is fine");

    let twice = rig(&peer, "v3", Some("v2")).await;
    assert_eq!(twice.decrypt(&second).await.unwrap(), b"second");
    let status = twice.decrypt(&first).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_snapshot!(status.message(), @"key id 33a2afa52c5f74a593900f6f2cefb57a936a02cb8ac21e0ef10ddddd380f88f3 does not match expected key id 8fd0587fd030fb296881c7732f9120c5de87acf2e441032e5f9427119295fd42 used for encryption");

    let ours = rig(&peer, "v3", None).await;
    assert_eq!(ours.decrypt(&first).await.unwrap(), b"first");
    assert_eq!(ours.decrypt(&second).await.unwrap(), b"second");
}

#[tokio::test]
async fn the_rule_holds_for_v1_too() {
    let peer = Peer::start(&["v1", "v2", "v3"]);
    let first = rig(&peer, "v1", None).await.encrypt_v1(b"first").await.unwrap();
    let second = rig(&peer, "v2", None).await.encrypt_v1(b"second").await.unwrap();
    let twice = rig(&peer, "v3", Some("v2")).await;
    assert_eq!(twice.decrypt_v1(&second).await.unwrap(), b"second");
    // Without integrity a wrong key may open it, to something else.
    assert_ne!(twice.decrypt_v1(&first).await.unwrap_or_default(), b"first");
}
