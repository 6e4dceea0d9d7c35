//! Decrypt fails on a server whose cache is cold.

use tonic::{Code, Status};

use super::world::{KEY, World, recorded_cause};
use crate::encryption::KmsCheck;

const RECORDED: &str = include_str!("golden/decrypt_fails.json");
const CONTRACT: &str = include_str!("golden/plugin_contract.json");

/// A value stored by a server before this one.
async fn stored(world: &mut World) -> Vec<u8> {
    world.server().await.seal("secrets", KEY, b"plain").await.unwrap()
}

#[tokio::test]
async fn each_code_is_told_as_go_tells_it_and_asked_again() {
    let mut world = World::new();
    let _plugin = world.plugin_up().await;
    let stored = stored(&mut world).await;
    let server = world.server().await;
    let codes = [
        ("UNAVAILABLE", Code::Unavailable),
        ("UNKNOWN", Code::Unknown),
        ("INTERNAL", Code::Internal),
        ("PERMISSION_DENIED", Code::PermissionDenied),
        ("UNAUTHENTICATED", Code::Unauthenticated),
        ("NOT_FOUND", Code::NotFound),
        ("INVALID_ARGUMENT", Code::InvalidArgument),
        ("RESOURCE_EXHAUSTED", Code::ResourceExhausted),
        ("DEADLINE_EXCEEDED", Code::DeadlineExceeded),
    ];
    for (asked, (name, code)) in codes.into_iter().enumerate() {
        let message = format!("failed to decrypt, error: vault said {name}");
        world.plugin.behave(|plugin| plugin.decrypt_fails = Some(Status::new(code, message)));
        let error = server.open("secrets", KEY, &stored).await.unwrap_err().to_string();
        assert_eq!(error, recorded_cause(RECORDED, &format!("get {name}")));
        assert_eq!(world.plugin.count("decrypt"), asked + 1, "one call for one read, and failures are not kept");
        assert_eq!(server.check(KmsCheck::All).await, Ok(()), "a failing Decrypt does not show in the health check");
    }
    world.plugin.behave(|_| {});
    assert_eq!(server.open("secrets", KEY, &stored).await.unwrap().plain, b"plain");
    assert_eq!(server.open("secrets", KEY, &stored).await.unwrap().plain, b"plain");
    assert_eq!(world.plugin.count("decrypt"), codes.len() + 1, "the seed is kept");
}

#[tokio::test]
async fn test_timeouts() {
    let mut world = World::impatient();
    let _plugin = world.plugin_up().await;
    let stored = stored(&mut world).await;
    let server = world.server().await;
    world.plugin.behave(|plugin| plugin.hangs = vec!["decrypt"]);
    let error = server.open("secrets", KEY, &stored).await.unwrap_err().to_string();
    assert_eq!(error, recorded_cause(RECORDED, "get, Decrypt slower than the 3 s timeout"));
}

#[tokio::test]
async fn a_strict_plugin_that_has_moved_on() {
    let mut world = World::new();
    let _plugin = world.plugin_up().await;
    let stored = stored(&mut world).await;
    let server = world.server().await;
    let recorded = recorded_cause(CONTRACT, "get");
    let message = recorded.strip_prefix("failed to decrypt DEK, error: rpc error: code = Unknown desc = ").unwrap();
    world.behave(|plugin| {
        plugin.key_id = "k4".into();
        plugin.decrypt_fails = Some(Status::unknown(message));
    });
    server.check(KmsCheck::All).await.unwrap();
    assert_eq!(server.open("secrets", KEY, &stored).await.unwrap_err().to_string(), recorded);
    let new = server.seal("secrets", KEY, b"new").await.unwrap();
    assert_eq!(server.open("secrets", KEY, &new).await.unwrap().plain, b"new");
}
