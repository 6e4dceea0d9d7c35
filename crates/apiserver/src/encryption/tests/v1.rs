//! KMS v1 over its socket: the handshake, the cache, health, and what is counted.
//!
//! `test_…` are counterparts of `envelope/grpc_service_unix_test.go` and of `encryptionconfig/config_test.go`.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::world::{KEY, World};
use crate::encryption::{Encryption, KmsCheck};

const V1: &str = "[{kms: {apiVersion: v1, name: v1, endpoint: SOCKET}}]";
const NO_CACHE: &str = "[{kms: {apiVersion: v1, name: v1, endpoint: SOCKET, cachesize: -1}}]";

async fn server(world: &mut World, providers: &str) -> Arc<Encryption> {
    let config = world.config(providers);
    world.server_with(config, &CancellationToken::new()).await
}

async fn opened(server: &Encryption, stored: &[u8]) -> (Vec<u8>, bool) {
    let opened = server.open("secrets", KEY, stored).await.unwrap();
    (opened.plain, opened.stale)
}

#[tokio::test]
async fn test_grpc_service() {
    let mut world = World::new();
    let _plugin = world.plugin_up().await;
    let server = server(&mut world, NO_CACHE).await;
    let stored = server.seal("secrets", KEY, b"plain").await.unwrap();
    assert!(stored.starts_with(b"k8s:enc:kms:v1:v1:\0\x20"), "a data key of 32 bytes, as long when it is encrypted");
    assert_eq!(opened(&server, &stored).await, (b"plain".to_vec(), false));
    let another = server.seal("secrets", KEY, b"plain").await.unwrap();
    assert_ne!(stored[20..52], another[20..52], "each write has its own data key");
    let calls = ["v1 version", "v1 encrypt", "v1 decrypt"].map(|call| world.plugin.count(call));
    assert_eq!(calls, [1, 2, 1], "the version is asked for once");
}

#[tokio::test]
async fn test_grpc_service_concurrent_access() {
    let mut world = World::new();
    let _plugin = world.plugin_up().await;
    let server = server(&mut world, NO_CACHE).await;
    let tasks: Vec<_> = (0..100_u8)
        .map(|number| {
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                let stored = server.seal("secrets", KEY, &[number]).await.unwrap();
                assert_eq!(server.open("secrets", KEY, &stored).await.unwrap().plain, [number]);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(world.plugin.count("v1 version"), 1);
}

#[tokio::test]
async fn test_unsupported_version() {
    let mut world = World::new();
    let _plugin = world.plugin_up().await;
    world.plugin.behave(|plugin| plugin.v1_version = "invalid version".into());
    let server = server(&mut world, V1).await;
    let told = server.seal("secrets", KEY, b"plain").await.unwrap_err().to_string();
    assert_eq!(told, "KMS provider api version invalid version is not supported, only v1beta1 is supported now");
    assert_eq!(world.plugin.count("v1 encrypt"), 0);
    world.plugin.behave(|plugin| plugin.status_fails = Some(Status::unavailable("soon")));
    let told = server.seal("secrets", KEY, b"plain").await.unwrap_err().to_string();
    assert_eq!(told, "failed get version from remote KMS provider: rpc error: code = Unavailable desc = soon");
    world.plugin.behave(|_| {});
    server.seal("secrets", KEY, b"plain").await.unwrap();
}

#[tokio::test]
async fn test_kms_plugin_late_start() {
    let mut world = World::new();
    let server = server(&mut world, V1).await;
    let late = Arc::clone(&server);
    let write = tokio::spawn(async move { late.seal("secrets", KEY, b"plain").await });
    let _plugin = world.plugin_up().await;
    assert_eq!(opened(&server, &write.await.unwrap().unwrap()).await.0, b"plain");
}

/// Zero is no valid time-out here, as upstream's own validation has it.
#[tokio::test]
async fn test_timeouts() {
    let mut world = World::impatient();
    let plugin = world.plugin_up().await;
    let server = server(&mut world, V1).await;
    server.seal("secrets", KEY, b"plain").await.unwrap();
    world.plugin.behave(|plugin| plugin.hangs = vec!["v1 encrypt"]);
    let told = server.seal("secrets", KEY, b"plain").await.unwrap_err().to_string();
    assert_eq!(told, "rpc error: code = DeadlineExceeded desc = context deadline exceeded");
    drop(plugin);
}

#[tokio::test]
async fn test_intermittent_connection_loss() {
    let mut world = World::new();
    let plugin = world.plugin_up().await;
    let server = server(&mut world, NO_CACHE).await;
    let stored = server.seal("secrets", KEY, b"plain").await.unwrap();
    plugin.stop().await;
    let late = Arc::clone(&server);
    let read = tokio::spawn(async move { late.open("secrets", KEY, &stored).await });
    let _plugin = world.plugin_up().await;
    assert_eq!(read.await.unwrap().unwrap().plain, b"plain");
}

#[tokio::test]
async fn a_cached_data_key_needs_no_plugin() {
    let mut world = World::impatient();
    let plugin = world.plugin_up().await;
    let server = server(&mut world, V1).await;
    let stored = server.seal("secrets", KEY, b"plain").await.unwrap();
    plugin.stop().await;
    assert_eq!(opened(&server, &stored).await.0, b"plain");
    assert_eq!(
        world.metrics(&["envelope_encryption_dek_cache", "storage_envelope_transformation_cache_misses"])[..2],
        [
            "envelope_encryption_dek_cache_fill_percent 0.001",
            "envelope_encryption_dek_cache_inter_arrival_time_seconds_bucket{transformation_type=\"from_storage\",le=\"60\"} 1"
        ]
    );
}

#[tokio::test]
async fn test_totals() {
    let mut world = World::new();
    let _plugin = world.plugin_up().await;
    let server = server(&mut world, NO_CACHE).await;
    let stored = server.seal("secrets", KEY, b"plain").await.unwrap();
    world.plugin.behave(|plugin| {
        plugin.encrypt_fails = Some(Status::permission_denied("no"));
        plugin.decrypt_fails = Some(Status::unavailable("down"));
    });
    let told = server.seal("secrets", KEY, b"plain").await.unwrap_err().to_string();
    assert_eq!(told, "rpc error: code = PermissionDenied desc = no");
    let told = server.open("secrets", KEY, &stored).await.unwrap_err().to_string();
    assert_eq!(told, "rpc error: code = Unavailable desc = down");
    world.plugin.behave(|plugin| plugin.ciphertext = Some(vec![0; 65536]));
    let told = server.seal("secrets", KEY, b"plain").await.unwrap_err().to_string();
    assert_eq!(told, "cryptobyte: pending child length 65536 exceeds 2-byte length prefix");
    insta::assert_snapshot!(world.metrics(&["storage_transformation_operations_total"]).join("\n"), @r#"
    storage_transformation_operations_total{resource="secrets",status="OK",transformation_type="to_storage",transformer_prefix="k8s:enc:kms:v1:v1:"} 1
    storage_transformation_operations_total{resource="secrets",status="PermissionDenied",transformation_type="to_storage",transformer_prefix="k8s:enc:kms:v1:v1:"} 1
    storage_transformation_operations_total{resource="secrets",status="Unavailable",transformation_type="from_storage",transformer_prefix="k8s:enc:kms:v1:v1:"} 1
    storage_transformation_operations_total{resource="secrets",status="unknown-non-grpc",transformation_type="to_storage",transformer_prefix="k8s:enc:kms:v1:v1:"} 1
    "#);
}

#[tokio::test]
async fn test_kms_plugin_healthz_ttl() {
    let mut world = World::new();
    let _plugin = world.plugin_up().await;
    let server = server(&mut world, V1).await;
    let check = async || server.check(KmsCheck::One(0)).await.map_err(|error| error.to_string());
    assert_eq!(world.plugin.count("v1 encrypt"), 0, "v1 is not checked at the start");
    assert_eq!((check().await, check().await), (Ok(()), Ok(())));
    world.advance(19);
    check().await.unwrap();
    assert_eq!(world.plugin.count("v1 encrypt"), 1, "remembered for twenty seconds");

    world.behave(|plugin| plugin.encrypt_fails = Some(Status::failed_precondition("key disabled")));
    let rpc = "rpc error: code = FailedPrecondition desc = key disabled";
    let section = "section of the healthz check for KMS Provider v1, error:";
    assert_eq!(check().await, Err(format!("failed to perform encrypt {section} {rpc}")));
    assert_eq!(check().await, Err(rpc.to_owned()), "told again for three seconds, bare");
    assert_eq!(world.plugin.count("v1 encrypt"), 2);
    world.behave(|plugin| plugin.decrypt_fails = Some(Status::failed_precondition("key disabled")));
    assert_eq!(check().await, Err(format!("failed to perform decrypt {section} {rpc}")));
    world.behave(|_| {});
    assert_eq!(check().await, Ok(()));
}

/// Two providers of one name share a prefix: both are tried, and both errors told.
#[tokio::test]
async fn overlapping_prefixes_are_all_tried() {
    let mut world = World::new();
    let _plugin = world.plugin_up().await;
    let server = server(
        &mut world,
        "[{kms: {apiVersion: v1, name: a, endpoint: SOCKET}}, {kms: {apiVersion: v1, name: 'a:b', endpoint: SOCKET}}]",
    )
    .await;
    // Behind `a:` the rest of the longer name reads as a length that there are not enough bytes for.
    let config = world.config("[{kms: {apiVersion: v1, name: 'a:b', endpoint: SOCKET}}]");
    let other = world.server_with(config, &CancellationToken::new()).await;
    let stored = other.seal("secrets", KEY, b"plain").await.unwrap();
    assert_eq!(opened(&server, &stored).await, (b"plain".to_vec(), true));
    assert_eq!(server.checks(), [KmsCheck::One(0), KmsCheck::One(1)]);
}
