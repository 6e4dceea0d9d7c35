//! The plugin as the machine itself: managed identities, asked for through the proxy at their fixed address.

use insta::assert_snapshot;
use kms_plugin::{ClientSecret, Credential, Plugin};
use tonic::Code;

use crate::peer::Peer;
use crate::rig::{Rig, config};

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

#[tokio::test]
async fn a_certificate_is_proved_by_its_key() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/certificate");
    let rig = Rig::start_with(&Peer::start(&["v1"]), Some("v1"), |config, _| {
        config.credential = Credential::ClientCertificate {
            tenant: "11111111-1111-4111-8111-111111111111".to_owned(),
            client: "22222222-2222-4222-8222-222222222222".to_owned(),
            path: format!("{folder}/legacy.pfx").into(),
            password: ClientSecret::new("kyanite".to_owned()),
        };
    })
    .await;
    let sealed = rig.encrypt(b"seed").await.unwrap();
    assert_eq!(rig.decrypt(&sealed).await.unwrap(), b"seed");
    // What is in it, and that its signature holds, is tried beside the code that makes it.
    let form = rig.peer.token_forms().pop().unwrap();
    assert!(form.contains("client_assertion=ey") && !form.contains("client_secret"), "{form}");
    assert!(form.contains("client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"));
}

#[tokio::test]
async fn a_certificate_that_is_not_there_is_said_at_the_start() {
    let refusal = |path: &str, password: &str| {
        let mut config = config(&Peer::start(&[]), clock::Clock::new());
        config.credential = Credential::ClientCertificate {
            tenant: "t".to_owned(),
            client: "c".to_owned(),
            path: path.into(),
            password: ClientSecret::new(password.to_owned()),
        };
        Plugin::start(config).unwrap_err().to_string()
    };
    assert_snapshot!(refusal("/nonexistent.pfx", "x"), @"failed to read client certificate from file /nonexistent.pfx");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/certificate/modern.pfx");
    assert_snapshot!(refusal(file, "wrong"), @"failed to decode the client certificate");
}
