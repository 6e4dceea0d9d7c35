//! The key id changes, and the clock jumps.

use tokio_util::sync::CancellationToken;

use super::world::{KEY, World, wait_until};
use crate::encryption::KmsCheck;

#[tokio::test]
async fn a_new_key_id_makes_one_new_seed_and_old_values_stale() {
    let mut world = World::new();
    let _plugin = world.plugin_up().await;
    let server = world.server().await;
    let old = server.seal("secrets", KEY, b"plain").await.unwrap();
    assert!(!server.open("secrets", KEY, &old).await.unwrap().stale);

    world.behave(|plugin| plugin.key_id = "k2".into());
    server.check(KmsCheck::All).await.unwrap();
    let opened = server.open("secrets", KEY, &old).await.unwrap();
    assert_eq!((opened.plain.as_slice(), opened.stale), (b"plain".as_slice(), true));
    let new = server.seal("secrets", KEY, &opened.plain).await.unwrap();
    assert!(!server.open("secrets", KEY, &new).await.unwrap().stale);
    assert_eq!(world.plugin.count("encrypt"), 2);
    assert_eq!(world.plugin.count("decrypt"), 0, "both seeds were made here");
}

#[tokio::test]
async fn a_healthy_plugin_is_checked_every_minute_without_anybody_asking() {
    let mut world = World::new();
    let shutdown = CancellationToken::new();
    let _plugin = world.plugin_up().await;
    let server = world.server_until(&shutdown).await;
    let old = server.seal("secrets", KEY, b"plain").await.unwrap();
    world.plugin.behave(|plugin| plugin.key_id = "k2".into());
    world.advance(60);
    wait_until(|| async {
        if server.open("secrets", KEY, &old).await.unwrap().stale {
            Ok(())
        } else {
            Err("still the old key".to_owned())
        }
    })
    .await;
    shutdown.cancel();
}

#[tokio::test]
async fn a_jump_of_the_clock_does_not_stop_a_healthy_plugins_writes() {
    let mut world = World::new();
    let _plugin = world.plugin_up().await;
    let server = world.server().await;
    let old = server.seal("secrets", KEY, b"plain").await.unwrap();
    world.advance(90 * 24 * 3600);
    let new = server.seal("secrets", KEY, b"new").await.unwrap();
    assert_eq!(server.open("secrets", KEY, &new).await.unwrap().plain, b"new");
    // The same seed goes on, so the old value still opens without a call.
    assert_eq!(server.open("secrets", KEY, &old).await.unwrap().plain, b"plain");
    assert_eq!((world.plugin.count("encrypt"), world.plugin.count("decrypt")), (1, 0));
}

#[tokio::test]
async fn a_restart_makes_a_new_seed_that_is_not_stale() {
    let mut world = World::new();
    let _plugin = world.plugin_up().await;
    let old = world.server().await.seal("secrets", KEY, b"plain").await.unwrap();
    let server = world.server().await;
    let opened = server.open("secrets", KEY, &old).await.unwrap();
    assert_eq!((opened.plain.as_slice(), opened.stale), (b"plain".as_slice(), false));
    assert_eq!((world.plugin.count("encrypt"), world.plugin.count("decrypt")), (2, 1));
}
