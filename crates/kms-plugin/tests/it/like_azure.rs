//! What is done better on purpose can be done as Azure's plugin does it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use insta::assert_snapshot;
use kms_plugin::{Config, Difference, Plugin};
use tonic::{Code, Request};

use crate::peer::{FORBIDDEN_BY_RBAC, Fault, Peer};
use crate::rig::{Rig, config};

async fn rig(peer: &Peer, version: Option<&str>, difference: Difference) -> Rig {
    Rig::start_with(peer, version, |config, _| config.like_azure = BTreeSet::from([difference])).await
}

#[tokio::test]
async fn codes_are_all_unknown() {
    let rig = rig(&Peer::start(&["v1"]), Some("v1"), Difference::Codes).await;
    rig.encrypt(b"seed").await.unwrap();
    rig.peer.fail_next([Fault::Answer { status: 403, body: FORBIDDEN_BY_RBAC, retry_after: None }]);
    assert_eq!(rig.encrypt(b"seed").await.unwrap_err().code(), Code::Unknown);
}

#[tokio::test]
async fn decrypt_is_with_the_one_version_that_encrypts() {
    let peer = Peer::start(&["v1", "v2"]);
    let old = Rig::start(&peer, Some("v1")).await.encrypt(b"old").await.unwrap();
    let rig = rig(&peer, Some("v2"), Difference::Decrypt).await;
    let new = rig.encrypt(b"new").await.unwrap();
    assert_eq!(rig.decrypt(&new).await.unwrap(), b"new");
    let calls = peer.calls("decrypt");
    let status = rig.decrypt(&old).await.unwrap_err();
    assert_snapshot!(status.message(), @"key id 33a2afa52c5f74a593900f6f2cefb57a936a02cb8ac21e0ef10ddddd380f88f3 does not match expected key id b51ad6c75e5915ed538886675d72cb6857a173d7f3c1ed77fcdde9b3d7ceb251 used for encryption");
    assert_eq!(peer.calls("decrypt"), calls);
}

#[tokio::test]
async fn every_status_asks_the_vault() {
    let rig = rig(&Peer::start(&["v1"]), Some("v1"), Difference::Health).await;
    for _ in 0..3 {
        rig.status().await.unwrap();
    }
    assert_eq!((rig.peer.calls("encrypt"), rig.peer.calls("decrypt")), (3, 3));
}

#[tokio::test]
async fn a_key_id_comes_again_with_its_version() {
    let minute = Duration::from_mins(1);
    for (difference, again) in [(Some(Difference::KeyIds), false), (None, true)] {
        let peer = Peer::start(&["v1"]);
        let like_azure = difference.into_iter().collect();
        let rig = Rig::start_with(&peer, None, |config, _| config.like_azure = like_azure).await;
        let first = rig.status().await.unwrap();
        let old = rig.encrypt(b"old").await.unwrap();
        peer.add_version("v2");
        rig.clock.advance(minute).unwrap();
        assert_ne!(rig.status().await.unwrap(), first);
        peer.remove_version("v2");
        rig.clock.advance(minute).unwrap();
        let back = rig.status().await.unwrap();
        assert_eq!(back, if again { format!("{first}-2") } else { first });
        // Encrypt agrees with Status, and both ids mean the same version.
        let new = rig.encrypt(b"new").await.unwrap();
        assert_eq!(new.key_id, back);
        assert_eq!(rig.decrypt(&old).await.unwrap(), b"old");
        assert_eq!(rig.decrypt(&new).await.unwrap(), b"new");
    }
}

#[tokio::test]
async fn retries_outlast_the_caller() {
    let rig = rig(&Peer::start(&["v1"]), Some("v1"), Difference::Retries).await;
    rig.encrypt(b"seed").await.unwrap();
    rig.peer.fail_next([Fault::Answer { status: 429, body: "{}", retry_after: Some(30) }]);
    let mut request = Request::new(kms_api::v2::EncryptRequest { plaintext: b"seed".to_vec(), uid: "u".to_owned() });
    request.set_timeout(Duration::from_millis(500));
    let started = Instant::now();
    let status = rig.client.clone().encrypt(request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(started.elapsed() >= Duration::from_millis(400), "{:?}", started.elapsed());
}

#[tokio::test]
async fn checks_are_left_to_the_vault() {
    let rig = rig(&Peer::start(&["v1"]), Some("v1"), Difference::Checks).await;
    let mut sealed = rig.encrypt(b"seed").await.unwrap();
    sealed.ciphertext = b"AAAA".to_vec();
    let status = rig.decrypt(&sealed).await.unwrap_err();
    assert_snapshot!(status.message(), @"failed to decrypt, error: key vault answered 400 BadParameter: The parameter is incorrect.");
    assert_eq!(rig.peer.calls("decrypt"), 1);
}

#[tokio::test]
async fn a_version_is_demanded() {
    let refusal = |adjust: &dyn Fn(&mut Config)| {
        let mut config = config(&Peer::start(&[]), clock::Clock::new());
        adjust(&mut config);
        Plugin::start(config).unwrap_err().to_string()
    };
    let demanding = |config: &mut Config| config.like_azure = BTreeSet::from([Difference::Versions]);
    assert_eq!(refusal(&demanding), "key vault name, key name and key version are required");
    let moon = |config: &mut Config| {
        config.managed_hsm = true;
        config.cloud = kms_plugin::Cloud::China;
    };
    assert_eq!(refusal(&moon), "keyvault resource identifier not available for cloud: AzureChinaCloud");
}
