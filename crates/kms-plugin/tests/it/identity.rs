//! The plugin as the machine itself: managed identities, asked for through the proxy at their fixed address.

use insta::assert_snapshot;
use kms_plugin::Credential;
use tonic::Code;

use crate::peer::Peer;
use crate::rig::Rig;

async fn rig(client: Option<&str>) -> Rig {
    let client = client.map(str::to_owned);
    Rig::start_with(&Peer::start(&["v1"]), Some("v1"), |config, _| {
        config.credential = Credential::ManagedIdentity { client };
    })
    .await
}

#[tokio::test]
async fn both_kinds_of_identity_get_their_token() {
    for client in [None, Some("known")] {
        let rig = rig(client).await;
        let sealed = rig.encrypt(b"seed").await.unwrap();
        assert_eq!(rig.decrypt(&sealed).await.unwrap(), b"seed");
        assert_eq!(rig.peer.calls("token"), 1);
    }
}

#[tokio::test]
async fn an_identity_that_the_machine_does_not_have_is_denied() {
    let status = rig(Some("foreign")).await.encrypt(b"seed").await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_snapshot!(status.message(), @"failed to encrypt, error: token endpoint answered 400 invalid_request: Identity not found");
}
