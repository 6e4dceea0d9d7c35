//! Every way in which a plugin can break its contract, with the health text a real kube-apiserver showed.

use tonic::Status;

use super::plugin::Behaviour;
use super::world::{KEY, World, masked, recorded};
use crate::encryption::KmsCheck;

const RECORDED: &str = include_str!("golden/plugin_contract.json");

type Break = fn(&mut Behaviour);

const BREAKS: [(&str, Break); 15] = [
    ("healthz text not ok", |plugin| plugin.healthz = "vault unreachable: 403 Forbidden".into()),
    ("version v1beta1", |plugin| plugin.version = "v1beta1".into()),
    ("version empty", |plugin| plugin.version.clear()),
    ("version v2beta1 (allowed)", |plugin| plugin.version = "v2beta1".into()),
    ("empty key id in Status", |plugin| plugin.key_id.clear()),
    ("1025-byte key id in Status", |plugin| plugin.key_id = "k".repeat(1025)),
    ("Status error UNAVAILABLE", |plugin| plugin.status_fails = Some(Status::unavailable("vault down"))),
    ("Status slower than timeout", |plugin| plugin.hangs = vec!["status"]),
    ("Status key id differs from Encrypt's (stale/mismatch)", |plugin| {
        plugin.key_id = "k2".into();
        plugin.encrypt_key_id = Some("k1".into());
    }),
    ("Status key id changed, Encrypt fails", |plugin| {
        plugin.key_id = "k2".into();
        plugin.encrypt_fails = Some(Status::permission_denied("no encrypt permission"));
    }),
    ("new key, Encrypt ciphertext 1025 bytes", |plugin| {
        plugin.key_id = "k2".into();
        plugin.ciphertext = Some(vec![b'c'; 1025]);
    }),
    ("new key, Encrypt ciphertext empty", |plugin| {
        plugin.key_id = "k2".into();
        plugin.ciphertext = Some(Vec::new());
    }),
    ("new key, annotation key not a domain", |plugin| {
        plugin.key_id = "k2".into();
        plugin.annotations = [("date".to_owned(), b"today".to_vec())].into();
    }),
    ("new key, annotations over 32 kB", |plugin| {
        plugin.key_id = "k2".into();
        plugin.annotations = [("big.azure.akv.io".to_owned(), vec![b'x'; 33_013 - "big.azure.akv.io".len()])].into();
    }),
    ("healthy", |_| {}),
];

#[tokio::test]
async fn health_tells_what_is_wrong_and_creates_go_on() {
    let mut world = World::impatient();
    let _plugin = world.plugin_up().await;
    let server = world.server().await;
    for (what, break_it) in BREAKS {
        world.behave(|_| {});
        assert_eq!(server.check(KmsCheck::All).await, Ok(()), "before {what}");
        world.behave(break_it);
        let text = match server.check(KmsCheck::All).await {
            Ok(()) => "ok".to_owned(),
            Err(error) => error.to_string(),
        };
        let entry = recorded(RECORDED, what);
        let body = entry["health"]["body"].as_str().or(entry["body"].as_str()).unwrap();
        let body = body.strip_prefix("internal server error: ").unwrap_or(body);
        // The recorder cut the space that ends the text about an empty version.
        assert_eq!(masked(text.trim_end()), masked(body), "{what}");
        // The seed of before goes on writing, as `create: 201` says.
        server.seal("secrets", KEY, b"plain").await.unwrap_or_else(|error| panic!("{what}: {error}"));
    }
}

#[tokio::test]
async fn several_problems_are_told_together() {
    let mut world = World::new();
    let _plugin = world.plugin_up().await;
    let server = world.server().await;
    world.behave(|plugin| {
        plugin.healthz = "tired".into();
        plugin.version = "v1".into();
        plugin.key_id = String::new();
    });
    let text = server.check(KmsCheck::All).await.unwrap_err().to_string();
    assert_eq!(
        text,
        "kms-provider-0: kmsv2 Provider azurekmsprovider is not healthy, error: [got unexpected healthz status: tired, expected \
         KMSv2 API version v2, got v1, got invalid KMSv2 KeyID hash \"\": keyID is empty]"
    );
}

#[tokio::test]
async fn a_check_is_remembered_twenty_seconds_or_three() {
    let mut world = World::new();
    let _plugin = world.plugin_up().await;
    let server = world.server().await;
    assert_eq!(world.plugin.count("status"), 1, "the check at the start");
    world.advance(19);
    server.check(KmsCheck::All).await.unwrap();
    assert_eq!(world.plugin.count("status"), 1, "remembered");
    world.plugin.behave(|plugin| plugin.status_fails = Some(Status::unavailable("vault down")));
    world.advance(2);
    let first = server.check(KmsCheck::All).await.unwrap_err().to_string();
    world.advance(2);
    let again = server.check(KmsCheck::All).await.unwrap_err().to_string();
    assert_eq!(world.plugin.count("status"), 2, "remembered");
    assert_eq!(again, "kms-provider-0: rpc error: code = Unavailable desc = vault down");
    assert!(first.ends_with("error: rpc error: code = Unavailable desc = vault down"), "{first}");
    assert_ne!(first, again, "the first report tells more");
    world.advance(2);
    server.check(KmsCheck::All).await.unwrap_err();
    assert_eq!(world.plugin.count("status"), 3);
}

#[tokio::test]
async fn checks_at_the_same_time_are_one() {
    let mut world = World::new();
    let _plugin = world.plugin_up().await;
    let server = world.server().await;
    world.advance(21);
    let checks: Vec<_> = (0..16)
        .map(|_| {
            let server = std::sync::Arc::clone(&server);
            tokio::spawn(async move { server.check(KmsCheck::All).await })
        })
        .collect();
    for check in checks {
        check.await.unwrap().unwrap();
    }
    assert_eq!(world.plugin.count("status"), 2, "one at the start, one now");
}
