//! One plugin for old and new versions of its key.

use std::time::{Duration, Instant};

use insta::assert_snapshot;
use tonic::Code;

use crate::peer::{Fault, Peer};
use crate::rig::{Rig, wait_until};

/// By `sha256sum`, of `https://kyanite.vault.azure.net/keys/kms/v1` and `…/v2`.
const V1: &str = "33a2afa52c5f74a593900f6f2cefb57a936a02cb8ac21e0ef10ddddd380f88f3";
const V2: &str = "b51ad6c75e5915ed538886675d72cb6857a173d7f3c1ed77fcdde9b3d7ceb251";

const POLL: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_key_without_a_version_is_followed() {
    let rig = Rig::start(&Peer::start(&["v1"]), None).await;
    let old = rig.encrypt(b"old").await.unwrap();
    assert_eq!((old.key_id.as_str(), rig.status().await.unwrap().as_str()), (V1, V1));

    rig.peer.add_version("v2");
    assert_eq!(rig.status().await.unwrap(), V1, "not before the vault was asked");
    rig.clock.advance(POLL).unwrap();
    assert_eq!(rig.status().await.unwrap(), V2, "the first Status after the interval knows");

    let new = rig.encrypt(b"new").await.unwrap();
    assert_eq!(new.key_id, V2);
    assert_eq!(rig.decrypt(&old).await.unwrap(), b"old");
    assert_eq!(rig.decrypt(&new).await.unwrap(), b"new");

    // The end of the old version is nobody's illness.
    rig.peer.set_enabled("v1", false);
    assert_eq!(rig.decrypt(&old).await.unwrap_err().code(), Code::FailedPrecondition);
    rig.clock.advance(Duration::from_secs(30)).unwrap();
    assert_eq!(rig.status().await.unwrap(), V2);
}

#[tokio::test]
async fn a_new_version_that_does_not_work_is_not_announced() {
    let rig = Rig::start(&Peer::start(&["v1"]), None).await;
    rig.status().await.unwrap();
    rig.peer.add_version("v2");
    rig.peer.set_enabled("v2", false);
    rig.clock.advance(POLL).unwrap();
    assert_eq!(rig.status().await.unwrap(), V1);
    assert_eq!(rig.encrypt(b"seed").await.unwrap().key_id, V1);

    rig.peer.set_enabled("v2", true);
    rig.clock.advance(POLL).unwrap();
    assert_eq!(rig.status().await.unwrap(), V2);
}

#[tokio::test]
async fn a_new_version_is_noticed_without_any_caller() {
    let rig = Rig::start(&Peer::start(&["v1"]), None).await;
    let version = || rig.plugin.report().version.map(|version| version.as_str().to_owned());
    wait_until(async || version(), |seen| seen.as_deref() == Some("v1")).await;
    rig.peer.add_version("v2");
    rig.clock.advance(POLL).unwrap();
    wait_until(async || version(), |seen| seen.as_deref() == Some("v2")).await;
}

#[tokio::test]
async fn a_look_that_hangs_does_not_keep_a_healthy_status_from_the_api_server() {
    let hour = Duration::from_hours(1);
    let rig = Rig::start_with(&Peer::start(&["v1"]), None, |config, _| config.status_freshness = hour).await;
    rig.status().await.unwrap();
    wait_until(async || rig.peer.calls("versions"), |calls| *calls == 1).await;
    rig.peer.fail_next([Fault::Hang]);
    rig.clock.advance(POLL).unwrap();
    let started = Instant::now();
    assert_eq!(rig.status().await.unwrap(), V1);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_pinned_plugin_decrypts_what_other_versions_made() {
    let peer = Peer::start(&["v1", "v2"]);
    let old = Rig::start(&peer, Some("v1")).await.encrypt(b"old").await.unwrap();
    let rig = Rig::start(&peer, Some("v2")).await;
    assert_eq!(rig.decrypt(&old).await.unwrap(), b"old");
    rig.clock.advance(POLL).unwrap();
    assert_eq!(rig.status().await.unwrap(), V2);

    // A version that came after the start is found when it is met.
    rig.peer.add_version("v3");
    let newest = Rig::start(&peer, Some("v3")).await.encrypt(b"newest").await.unwrap();
    assert_eq!(rig.decrypt(&newest).await.unwrap(), b"newest");
    assert_eq!(rig.plugin.report().known.len(), 3);
}

#[tokio::test]
async fn without_the_right_to_list_what_was_seen_is_known_across_a_restart() {
    let peer = Peer::start(&["v1"]);
    peer.forbid_listing();
    let first = Rig::start_with(&peer, None, |config, folder| {
        config.known_versions_file = Some(folder.path().join("versions.json"));
    })
    .await;
    let old = first.encrypt(b"old").await.unwrap();
    peer.add_version("v2");
    first.clock.advance(POLL).unwrap();
    assert_eq!(first.status().await.unwrap(), V2);

    let file = first.folder.path().join("versions.json");
    let second = Rig::start_with(&peer, None, |config, _| config.known_versions_file = Some(file)).await;
    assert_eq!(second.decrypt(&old).await.unwrap(), b"old");
    assert_eq!(second.status().await.unwrap(), V2);

    // Without the file nobody can tell what the id means.
    let third = Rig::start(&peer, None).await;
    third.status().await.unwrap();
    let status = third.decrypt(&old).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_snapshot!(status.message(), @"key id 33a2afa52c5f74a593900f6f2cefb57a936a02cb8ac21e0ef10ddddd380f88f3 is of no known version of https://kyanite.vault.azure.net/keys/kms (known: v2 is b51ad6c75e5915ed538886675d72cb6857a173d7f3c1ed77fcdde9b3d7ceb251; listing the versions failed: key vault answered 403 Forbidden (ForbiddenByRbac): Caller is not authorized to perform action on resource. If role assignments, deny assignments or role definitions were changed recently, please observe propagation time. Caller: appid=22222222-2222-4222-8222-222222222222;oid=33333333-3333-4333-8333-333333333333;iss=https://sts.windows.net/11111111-1111-4111-8111-111111111111/ Action: 'Microsoft.KeyVault/vaults/keys/read' Vault: kyanite;location=westeurope)");
}

#[tokio::test]
async fn unknown_key_ids_do_not_flood_the_vault() {
    let rig = Rig::start(&Peer::start(&["v1"]), Some("v1")).await;
    let mut sealed = rig.encrypt(b"seed").await.unwrap();
    wait_until(async || rig.peer.calls("versions"), |calls| *calls == 1).await;
    for number in 0..20 {
        sealed.key_id = format!("{number:064}");
        assert_eq!(rig.decrypt(&sealed).await.unwrap_err().code(), Code::NotFound);
    }
    assert_eq!(rig.peer.calls("versions"), 2);
    rig.clock.advance(Duration::from_secs(10)).unwrap();
    rig.decrypt(&sealed).await.unwrap_err();
    assert_eq!(rig.peer.calls("versions"), 3);
}

#[tokio::test]
async fn a_plugin_that_starts_before_its_vault_works_when_that_comes() {
    let rig = Rig::start(&Peer::start(&[]), None).await;
    assert_eq!(rig.status().await.unwrap_err().code(), Code::NotFound);
    assert_eq!(rig.plugin.report().key_id, None);
    rig.peer.add_version("v1");
    assert_eq!(rig.status().await.unwrap(), V1);
}
