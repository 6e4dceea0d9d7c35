//! The vault fails in all its ways: the gRPC code means something, the text is the vault's, and the answer is there
//! before the API server stops listening.

use std::time::{Duration, Instant};

use insta::assert_snapshot;
use tonic::{Code, Request};

use crate::peer::{FORBIDDEN_BY_RBAC, Fault, Peer};
use crate::rig::{Rig, wait_until};

/// A pinned plugin whose first listing is done, so that the script's faults go to the calls of the test.
async fn settled() -> Rig {
    let rig = Rig::start(&Peer::start(&["v1"]), Some("v1")).await;
    rig.encrypt(b"seed").await.unwrap();
    wait_until(async || rig.peer.calls("versions"), |calls| *calls == 1).await;
    rig
}

fn answer(status: u16, body: &'static str) -> Fault {
    Fault::Answer { status, body, retry_after: None }
}

const THROTTLED: &str = r#"{"error":{"code":"Throttled","message":"Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached"}}"#;

#[tokio::test]
async fn what_cannot_get_better_fails_at_once() {
    let rig = settled().await;
    let mut seen = Vec::new();
    for fault in [
        answer(403, FORBIDDEN_BY_RBAC),
        answer(
            403,
            r#"{"error":{"code":"Forbidden","message":"Operation encrypt is not allowed on an expired key.","innererror":{"code":"KeyExpired"}}}"#,
        ),
        answer(
            404,
            r#"{"error":{"code":"KeyNotFound","message":"A key with (name/id) kms/v1 was not found in this key vault."}}"#,
        ),
        answer(400, r#"{"error":{"code":"BadParameter","message":"Property  has invalid value\r\n"}}"#),
        answer(403, "<html><title>Blocked by your company</title></html>"),
        answer(200, "<html></html>"),
        answer(200, r#"{"kid":"https://kyanite.vault.azure.net/keys/kms/v1"}"#),
        Fault::WrongKid,
        Fault::Answer { status: 429, body: THROTTLED, retry_after: Some(30) },
    ] {
        let before = rig.peer.calls("encrypt");
        rig.peer.fail_next([fault]);
        let status = rig.encrypt(b"seed").await.unwrap_err();
        assert_eq!(rig.peer.calls("encrypt"), before + 1, "one try: {status:?}");
        seen.push(format!("{:?}: {}", status.code(), status.message()));
    }
    assert_snapshot!(seen.join("\n"), @r"
    PermissionDenied: failed to encrypt, error: key vault answered 403 Forbidden (ForbiddenByRbac): Caller is not authorized to perform action on resource. If role assignments, deny assignments or role definitions were changed recently, please observe propagation time. Caller: appid=22222222-2222-4222-8222-222222222222;oid=33333333-3333-4333-8333-333333333333;iss=https://sts.windows.net/11111111-1111-4111-8111-111111111111/ Action: 'Microsoft.KeyVault/vaults/keys/read' Vault: kyanite;location=westeurope
    FailedPrecondition: failed to encrypt, error: key vault answered 403 Forbidden (KeyExpired): Operation encrypt is not allowed on an expired key.
    NotFound: failed to encrypt, error: key vault answered 404 KeyNotFound: A key with (name/id) kms/v1 was not found in this key vault.
    InvalidArgument: failed to encrypt, error: key vault answered 400 BadParameter: Property has invalid value
    PermissionDenied: failed to encrypt, error: key vault answered 403: (the body is not an error of the service)
    Internal: failed to encrypt, error: key vault's answer cannot be read: it is not the JSON of a key operation
    Internal: failed to encrypt, error: key vault's answer cannot be read: it has no value
    Internal: failed to encrypt, error: key id initialized does not match with the key id from encryption result, expected: 33a2afa52c5f74a593900f6f2cefb57a936a02cb8ac21e0ef10ddddd380f88f3, got: https://other.vault.azure.net/keys/kms/v1
    ResourceExhausted: failed to encrypt, error: key vault answered 429 Throttled: Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached
    ");
}

#[tokio::test]
async fn what_may_get_better_is_tried_again() {
    let rig = settled().await;
    for fault in [answer(429, THROTTLED), answer(503, ""), answer(500, "{}"), Fault::HalfBody] {
        let before = rig.peer.calls("encrypt");
        rig.peer.fail_next([fault.clone(), fault]);
        rig.encrypt(b"seed").await.unwrap();
        assert_eq!(rig.peer.calls("encrypt"), before + 3);
    }
}

#[tokio::test]
async fn the_answer_is_the_vaults_and_comes_before_the_deadline() {
    let rig = settled().await;
    rig.peer.fail_next(std::iter::repeat_n(answer(429, THROTTLED), 10));
    let started = Instant::now();
    let status = rig.encrypt(b"seed").await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("VaultRequestTypeLimitReached"), "{status:?}");
    assert_eq!(rig.peer.calls("encrypt"), 1 + 4, "four tries");
}

#[tokio::test]
async fn a_hanging_vault_is_said_before_the_deadline() {
    let rig = settled().await;
    let hurried = || {
        let mut request =
            Request::new(kms_api::v2::EncryptRequest { plaintext: b"seed".to_vec(), uid: "u".to_owned() });
        request.set_timeout(Duration::from_secs(1));
        request
    };
    rig.peer.fail_next([Fault::Hang]);
    let status = rig.client.clone().encrypt(hurried()).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(status.message(), "failed to encrypt, error: key vault has not answered within 0.9 s");

    // After a real error the vault hangs: the real error is the answer.
    rig.peer.fail_next([answer(503, ""), Fault::Hang]);
    let status = rig.client.clone().encrypt(hurried()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("key vault answered 503"), "{status:?}");
}

#[tokio::test]
async fn a_weird_vault_on_decrypt_gets_its_class_within_the_deadline() {
    let rig = settled().await;
    let sealed = rig.encrypt(b"seed").await.unwrap();
    for (fault, code) in [
        (answer(200, "<html><body>Sign in to the hotel's network</body></html>"), Code::Internal),
        (answer(200, "{}"), Code::Internal),
        (answer(200, r#"{"kid":"k","value":"padded=="}"#), Code::Internal),
        (answer(302, ""), Code::Internal),
        (answer(503, "<html>"), Code::Unavailable),
        (Fault::HalfBody, Code::Unavailable),
        (Fault::Hang, Code::DeadlineExceeded),
    ] {
        let started = Instant::now();
        // Enough for every try, and none left for the next case.
        rig.peer.fail_next(std::iter::repeat_n(fault, 4));
        let status = rig.decrypt(&sealed).await.unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(3), "{status:?}");
        assert_eq!(status.code(), code, "{status:?}");
        rig.peer.forget_faults();
    }
    assert_eq!(rig.decrypt(&sealed).await.unwrap(), b"seed");
}

#[tokio::test]
async fn a_token_that_is_refused_says_what_entra_said() {
    let peer = Peer::start(&["v1"]);
    peer.refuse_tokens();
    let rig = Rig::start(&peer, Some("v1")).await;
    let status = rig.encrypt(b"seed").await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_snapshot!(status.message(), @"failed to encrypt, error: token endpoint answered 401 invalid_client: AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID.");
}

#[tokio::test]
async fn a_token_the_vault_does_not_take_any_more_is_replaced() {
    let rig = settled().await;
    rig.peer.revoke_tokens();
    rig.encrypt(b"seed").await.unwrap();
    assert_eq!(rig.peer.calls("token"), 2);
}

#[tokio::test]
async fn an_unreachable_vault_is_said() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut peer = Peer::start(&["v1"]);
    peer.proxy = format!("http://{nobody}");
    let rig = Rig::start(&peer, Some("v1")).await;
    let status = rig.encrypt(b"seed").await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_snapshot!(status.message(), @"failed to encrypt, error: cannot reach key vault kyanite.vault.azure.net (Connection refused (os error 111))");
}
