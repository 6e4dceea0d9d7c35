//! Many calls at the same moment: what a restart of an API server brings.

use std::collections::BTreeSet;

use futures::future::join_all;
use kms_plugin::Difference;

use crate::peer::Peer;
use crate::rig::{Rig, wait_until};

#[tokio::test]
async fn identical_decrypts_in_flight_are_one_call() {
    let rig = Rig::start(&Peer::start(&["v1"]), Some("v1")).await;
    let (sealed, other) = (rig.encrypt(b"seed").await.unwrap(), rig.encrypt(b"other").await.unwrap());
    rig.peer.hold();
    let opened = async {
        let same = join_all((0..20).map(|_| rig.decrypt(&sealed)));
        tokio::join!(same, rig.decrypt(&other))
    };
    let release = async {
        wait_until(async || rig.peer.at_once().0, |waiting| *waiting == 2).await;
        rig.peer.release();
    };
    let ((same, other), ()) = tokio::join!(opened, release);
    assert!(same.into_iter().all(|plain| plain.unwrap() == b"seed"));
    assert_eq!(other.unwrap(), b"other");
    assert_eq!(rig.peer.calls("decrypt"), 2);
    rig.decrypt(&sealed).await.unwrap();
    assert_eq!(rig.peer.calls("decrypt"), 3, "no result is kept");
}

#[tokio::test]
async fn azures_plugin_sends_them_all() {
    let rig = Rig::start_with(&Peer::start(&["v1"]), Some("v1"), |config, _| {
        config.like_azure = BTreeSet::from([Difference::Joining, Difference::Limit]);
    })
    .await;
    let sealed = rig.encrypt(b"seed").await.unwrap();
    rig.peer.hold();
    let release = async {
        wait_until(async || rig.peer.at_once().0, |waiting| *waiting == 20).await;
        rig.peer.release();
    };
    let (opened, ()) = tokio::join!(join_all((0..20).map(|_| rig.decrypt(&sealed))), release);
    assert!(opened.into_iter().all(|plain| plain.unwrap() == b"seed"));
}

#[tokio::test]
async fn no_more_calls_than_allowed_are_made_at_once() {
    let rig = Rig::start_with(&Peer::start(&["v1"]), Some("v1"), |config, _| config.max_vault_calls = 3).await;
    rig.encrypt(b"seed").await.unwrap();
    wait_until(async || rig.peer.calls("versions"), |calls| *calls == 1).await;
    rig.peer.hold();
    let release = async {
        wait_until(async || rig.peer.at_once().0, |waiting| *waiting == 3).await;
        rig.peer.release();
    };
    let (sealed, ()) = tokio::join!(join_all((0..12).map(|_| rig.encrypt(b"seed"))), release);
    assert!(sealed.into_iter().all(|sealed| sealed.is_ok()));
    assert_eq!(rig.peer.at_once(), (0, 3));
}
