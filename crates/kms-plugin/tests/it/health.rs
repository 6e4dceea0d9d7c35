//! Status tells the truth without asking the vault each time.

use std::time::Duration;

use insta::assert_snapshot;
use tonic::Code;

use crate::peer::Peer;
use crate::rig::Rig;

const FRESHNESS: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_vault_is_asked_every_thirty_seconds_of_the_stacks_clock() {
    let rig = Rig::start(&Peer::start(&["v1"]), Some("v1")).await;
    let asked = || (rig.peer.calls("encrypt"), rig.peer.calls("decrypt"));
    for _ in 0..10 {
        rig.status().await.unwrap();
    }
    assert_eq!(asked(), (1, 1));
    rig.clock.advance(FRESHNESS).unwrap();
    rig.status().await.unwrap();
    rig.status().await.unwrap();
    assert_eq!(asked(), (2, 2));
    // Real work is as good as a probe.
    rig.clock.advance(FRESHNESS).unwrap();
    let sealed = rig.encrypt(b"seed").await.unwrap();
    rig.decrypt(&sealed).await.unwrap();
    rig.status().await.unwrap();
    assert_eq!(asked(), (3, 3));
}

#[tokio::test]
async fn many_at_once_share_one_round_trip() {
    let rig = Rig::start(&Peer::start(&["v1"]), Some("v1")).await;
    for status in futures::future::join_all((0..50).map(|_| rig.status())).await {
        status.unwrap();
    }
    assert!(rig.peer.calls("encrypt") <= 2, "{}", rig.peer.calls("encrypt"));
}

#[tokio::test]
async fn a_disabled_key_is_ill_within_thirty_seconds_and_heals_at_once() {
    let rig = Rig::start(&Peer::start(&["v1"]), Some("v1")).await;
    let key_id = rig.status().await.unwrap();
    rig.peer.set_enabled("v1", false);
    rig.clock.advance(FRESHNESS).unwrap();
    let status = rig.status().await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_snapshot!(status.message(), @"failed to encrypt, error: key vault answered 403 Forbidden (KeyDisabled): Operation encrypt is not allowed on a disabled key.");
    assert_eq!(rig.status().await.unwrap_err().code(), Code::FailedPrecondition, "and stays ill");
    rig.peer.set_enabled("v1", true);
    assert_eq!(rig.status().await.unwrap(), key_id);
}

#[tokio::test]
async fn what_a_real_call_has_seen_is_told_at_once() {
    let rig = Rig::start(&Peer::start(&["v1"]), Some("v1")).await;
    let sealed = rig.encrypt(b"seed").await.unwrap();
    rig.status().await.unwrap();
    rig.peer.set_enabled("v1", false);
    rig.status().await.expect("nobody has noticed yet");
    assert_eq!(rig.decrypt(&sealed).await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(rig.status().await.unwrap_err().code(), Code::FailedPrecondition);
    let last = rig.plugin.report().last_result.unwrap();
    assert_eq!(last.failure.unwrap().0, kms_plugin::FailureClass::KeyState);
}
