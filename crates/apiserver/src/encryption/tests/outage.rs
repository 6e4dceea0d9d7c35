//! The plugin goes away and comes back, under a running server and before it starts.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::world::{KEY, World, masked, recorded, recorded_cause, wait_until};
use crate::encryption::KmsCheck;

const RECORDED: &str = include_str!("golden/plugin_down.json");

/// What follows `internal server error: ` in the recorded answer of a health path.
fn recorded_health(world: &World, what: &str) -> String {
    let body = recorded(RECORDED, what)["body"].as_str().unwrap().trim_end().to_owned();
    world.localised(body.strip_prefix("internal server error: ").unwrap())
}

#[tokio::test]
async fn a_running_server_reads_on_and_stops_writing_after_three_minutes() {
    let mut world = World::impatient();
    let plugin = world.plugin_up().await;
    let server = world.server().await;
    let stored = server.seal("secrets", KEY, b"plain").await.unwrap();
    plugin.stop().await;

    assert_eq!(server.open("secrets", KEY, &stored).await.unwrap().plain, b"plain");
    server.seal("secrets", KEY, b"more").await.unwrap();

    world.advance(181);
    let error = server.seal("secrets", KEY, b"late").await.unwrap_err().to_string();
    assert_eq!(masked(&error), masked(&recorded_cause(RECORDED, "create starts to fail after s")));
    let opened = server.open("secrets", KEY, &stored).await.unwrap();
    assert_eq!((opened.plain.as_slice(), opened.stale), (b"plain".as_slice(), false));

    world.advance(4);
    let first = server.check(KmsCheck::All).await.unwrap_err().to_string();
    assert_eq!(first, recorded_health(&world, "plugin down, write DEK expired /healthz/kms-providers"));
    let again = server.check(KmsCheck::All).await.unwrap_err().to_string();
    assert_eq!(again, recorded_health(&world, "plugin down, write DEK expired /readyz/kms-providers"));

    let _plugin = world.plugin_up().await;
    world.advance(4);
    server.check(KmsCheck::All).await.unwrap();
    let stored = server.seal("secrets", KEY, b"again").await.unwrap();
    assert_eq!(server.open("secrets", KEY, &stored).await.unwrap().plain, b"again");
    assert_eq!(world.plugin.count("encrypt"), 1, "the key is the same, and so is the seed");
}

#[tokio::test]
async fn a_server_that_starts_without_its_plugin_waits_for_it() {
    let mut world = World::impatient();
    let shutdown = CancellationToken::new();
    let plugin = world.plugin_up().await;
    let stored = world.server().await.seal("secrets", KEY, b"plain").await.unwrap();
    plugin.stop().await;

    let server = world.server_until(&shutdown).await;
    assert_eq!(server.checks(), [KmsCheck::All]);
    let no_seed = "got unexpected nil transformer";
    assert_eq!(server.seal("secrets", KEY, b"x").await.unwrap_err().to_string(), no_seed);
    assert_eq!(server.open("secrets", KEY, &stored).await.unwrap_err().to_string(), no_seed);
    assert_eq!(
        server.check(KmsCheck::All).await.unwrap_err().to_string(),
        recorded_health(&world, "server started with plugin down /healthz/kms-providers")
    );
    // What no rule is for is stored as it is.
    assert_eq!(server.seal("configmaps", "/registry/configmaps/default/a", b"x").await.unwrap(), b"x");

    let _plugin = world.plugin_up().await;
    world.advance(10);
    let opened =
        wait_until(|| async { server.open("secrets", KEY, &stored).await.map_err(|error| error.to_string()) }).await;
    assert_eq!(opened.plain, b"plain");
    server.check(KmsCheck::All).await.unwrap();
    shutdown.cancel();
}

#[tokio::test]
async fn test_kms_plugin_late_start() {
    let mut world = World::new();
    let endpoint = world.endpoint.clone();
    let plugin = world.plugin.clone();
    let mut starting = std::pin::pin!(world.server());
    // The first call is under way while nobody listens: it waits, however often the scheduler comes round.
    for _ in 0..1_000 {
        tokio::select! {
            biased;
            _ = &mut starting => panic!("the server has started without its plugin"),
            () = tokio::task::yield_now() => {}
        }
    }
    let _plugin = super::plugin::Running::start(&endpoint, &plugin).await;
    let server = starting.await;
    server.check(KmsCheck::All).await.unwrap();
    assert_eq!(plugin.count("status"), 1);
}

#[tokio::test]
async fn test_intermittent_connection_loss() {
    let mut world = World::new();
    let mut plugin = world.plugin_up().await;
    let server = world.server().await;
    for _ in 0..5 {
        plugin.stop().await;
        plugin = world.plugin_up().await;
        world.advance(21);
        server.check(KmsCheck::All).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_while_it_starts_does() {
    let mut world = World::new();
    let shutdown = CancellationToken::new();
    shutdown.cancel();
    let config = world.config("[{kms: {apiVersion: v2, name: slow, endpoint: 'unix:///nobody/here', timeout: 1h}}]");
    let server = tokio::time::timeout(Duration::from_secs(5), world.server_with(config, &shutdown)).await.unwrap();
    assert_eq!(server.checks(), [KmsCheck::All]);
}

#[tokio::test]
async fn something_else_on_the_socket_is_an_error_by_the_deadline() {
    let mut world = World::impatient();
    // It accepts, says something that is no HTTP/2, and hangs up.
    let listener = tokio::net::UnixListener::bind(world.endpoint.path().unwrap()).unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let server = world.server().await;
    let error = server.check(KmsCheck::All).await.unwrap_err().to_string();
    assert!(error.starts_with("kms-provider-0: rpc error: code = DeadlineExceeded desc = "), "{error}");
}
