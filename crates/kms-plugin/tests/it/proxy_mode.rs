//! Proxy mode and managed HSMs: other ways to the vault, the same key ids for the same names.

use kms_plugin::Proxy;

use crate::peer::Peer;
use crate::rig::Rig;

#[tokio::test]
async fn everything_goes_through_the_helper_with_the_key_id_of_azures_name() {
    let peer = Peer::start(&["v1"]);
    let rig = Rig::start_with(&peer, None, |config, _| {
        config.http.proxy = Proxy::Direct;
        config.proxy_mode = Some(peer.helper.clone());
    })
    .await;
    let sealed = rig.encrypt(b"seed").await.unwrap();
    // By `sha256sum`, of `https://kyanite.vault.azure.net/keys/kms/v1`.
    assert_eq!(sealed.key_id, "33a2afa52c5f74a593900f6f2cefb57a936a02cb8ac21e0ef10ddddd380f88f3");
    assert_eq!(rig.decrypt(&sealed).await.unwrap(), b"seed");
    let targets = peer.targets();
    assert!(targets.contains(&"AzureActiveDirectory".to_owned()), "{targets:?}");
    assert!(targets.iter().all(|target| target == "KeyVault" || target == "AzureActiveDirectory"), "{targets:?}");
}

#[tokio::test]
async fn a_managed_hsm_has_its_own_name_and_audience() {
    let rig = Rig::start_with(&Peer::start(&["v1"]), Some("v1"), |config, _| config.managed_hsm = true).await;
    let sealed = rig.encrypt(b"seed").await.unwrap();
    // By `sha256sum`, of `https://kyanite.managedhsm.azure.net/keys/kms/v1`.
    assert_eq!(sealed.key_id, "fec1a5decfeb262731c05be879af754378ced9fadb32a35165d0652f1e7266ac");
    assert_eq!(rig.decrypt(&sealed).await.unwrap(), b"seed");
}
