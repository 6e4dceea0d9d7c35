//! Answers that Azure gave to others, as they were published: each has its origin beside it. What the plugin makes of
//! them must not depend on what this project thinks Azure says.

use serde::Deserialize;
use tonic::Code;

use crate::peer::{Fault, Peer};
use crate::rig::{Rig, wait_until};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Published {
    origin: String,
    status: u16,
    body: serde_json::Value,
    code: String,
    says: String,
    #[serde(default)]
    of_entra: bool,
}

#[tokio::test]
async fn each_gets_its_code_and_is_said_in_azures_words() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/azure");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|file| file.extension().is_some_and(|extension| extension == "json")).collect();
    files.sort();
    assert!(files.len() >= 10, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let published: Published = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file:?}: {error}"));
        assert!(published.origin.contains("http"), "{file:?}");
        let peer = Peer::start(&["v1"]);
        let rig = Rig::start(&peer, Some("v1")).await;
        let body: &'static str = published.body.to_string().leak();
        let fault = Fault::Answer { status: published.status, body, retry_after: Some(60) };
        if published.of_entra {
            peer.fail_next_tokens(std::iter::repeat_n(fault, 5));
        } else {
            rig.encrypt(b"seed").await.unwrap();
            wait_until(async || peer.calls("versions"), |calls| *calls == 1).await;
            // A 401 is tried once more with a new token.
            peer.fail_next([fault.clone(), fault]);
        }
        let status = rig.encrypt(b"seed").await.unwrap_err();
        let code: Code = status.code();
        assert_eq!(format!("{code:?}"), published.code, "{file:?}: {status:?}");
        assert!(status.message().contains(&published.says), "{file:?}: {status:?}");
    }
}
