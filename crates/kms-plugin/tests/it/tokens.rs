//! One token for all calls, renewed beside the traffic.

use tonic::Code;

use crate::peer::{Fault, Peer};
use crate::rig::{Rig, wait_until};

#[tokio::test]
async fn a_token_near_its_end_is_renewed_without_any_call() {
    let peer = Peer::start(&["v1"]);
    peer.set_token_lifetime_secs(3);
    let rig = Rig::start(&peer, Some("v1")).await;
    rig.encrypt(b"seed").await.unwrap();
    wait_until(
        async || (peer.calls("encrypt"), peer.calls("token")),
        |(encrypts, tokens)| {
            assert_eq!(*encrypts, 1, "nobody called");
            *tokens >= 2
        },
    )
    .await;
    // The vault takes only the newest from now on, and the next call has it at once.
    rig.encrypt(b"seed").await.unwrap();
}

#[tokio::test]
async fn a_renewal_that_fails_is_tried_again_and_calls_go_on() {
    let peer = Peer::start(&["v1"]);
    peer.set_token_lifetime_secs(4);
    let rig = Rig::start(&peer, Some("v1")).await;
    rig.encrypt(b"seed").await.unwrap();
    peer.fail_next_tokens([Fault::Answer { status: 500, body: "{}", retry_after: None }]);
    wait_until(async || peer.calls("token"), |tokens| *tokens >= 3).await;
    rig.encrypt(b"seed").await.unwrap();
}

#[tokio::test]
async fn a_throttling_entra_is_waited_for_and_said() {
    let throttled = || Fault::Answer {
        status: 429,
        body: r#"{"error":"too_many_requests","error_description":"AADSTS90055: The server has received too many requests."}"#,
        retry_after: None,
    };
    let peer = Peer::start(&["v1"]);
    peer.fail_next_tokens([throttled()]);
    let rig = Rig::start(&peer, Some("v1")).await;
    rig.encrypt(b"seed").await.unwrap();

    let peer = Peer::start(&["v1"]);
    peer.fail_next_tokens(std::iter::repeat_with(throttled).take(50));
    let rig = Rig::start(&peer, Some("v1")).await;
    let status = rig.encrypt(b"seed").await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("AADSTS90055"), "{status:?}");
}
