//! Upstream's unit tests that need a plugin, a file or a scrape, by their names; `docs/upstream-tests.md` maps all of them.

use std::collections::BTreeSet;

use tokio_util::sync::CancellationToken;

use super::world::{KEY, World};
use crate::encryption::{Encryption, KmsCheck};

const AES_GCM: &str = "{aesgcm: {keys: [{name: key1, secret: c2VjcmV0IGlzIHNlY3VyZQ==}, {name: key2, secret: dGhpcyBpcyBwYXNzd29yZA==}]}}";
const AES_CBC: &str = "{aescbc: {keys: [{name: key1, secret: c2VjcmV0IGlzIHNlY3VyZQ==}, {name: key2, secret: dGhpcyBpcyBwYXNzd29yZA==}]}}";
const SECRETBOX: &str = "{secretbox: {keys: [{name: key1, secret: YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0NTY=}]}}";
const V1: &str = "{kms: {apiVersion: v1, name: testprovider, endpoint: SOCKET, cachesize: 10}}";
const V2: &str = "{kms: KMS}";
const IDENTITY: &str = "{identity: {}}";

/// Each provider first in turn: what one order writes, every order reads, and all but its own find stale.
#[tokio::test]
async fn test_encryption_provider_config_correct() {
    let mut world = World::new();
    let _plugin = world.plugin_up().await;
    let providers = [AES_GCM, AES_CBC, SECRETBOX, IDENTITY, V1, V2];
    let stop = CancellationToken::new();
    let mut servers = Vec::new();
    for first in 0..providers.len() {
        let mut order = providers.to_vec();
        order.rotate_left(first);
        let config = world.config(&format!("[{}]", order.join(", ")));
        servers.push(world.server_with(config, &stop).await);
    }
    stop.cancel();
    for (writer, server) in servers.iter().enumerate() {
        let stored = server.seal("secrets", KEY, b"abcdefghijklmnopqrstuvwxyz").await.unwrap();
        for (reader, server) in servers.iter().enumerate() {
            let opened = server.open("secrets", KEY, &stored).await.unwrap();
            assert_eq!(opened.plain, b"abcdefghijklmnopqrstuvwxyz");
            assert_eq!(opened.stale, reader != writer, "{} read by {}", providers[writer], providers[reader]);
        }
    }
}

/// Which checks a file has; that of a bad file is `envelope`'s matter.
#[tokio::test]
async fn test_kms_plugin_healthz() {
    let mut world = World::new();
    let _plugin = world.plugin_up().await;
    let two_v1 = "{kms: {name: foo, endpoint: SOCKET}}, {kms: {name: bar, endpoint: SOCKET}}";
    let stop = CancellationToken::new();
    for (providers, checks) in [
        ("[{kms: {name: foo, endpoint: SOCKET}}]".to_owned(), vec!["kms-provider-0"]),
        (format!("[{two_v1}]"), vec!["kms-provider-0", "kms-provider-1"]),
        (format!("[{AES_GCM}]"), vec![]),
        ("[{kms: KMS}, {kms: {name: bar, endpoint: SOCKET}}]".to_owned(), vec!["kms-provider-0", "kms-provider-1"]),
        ("[{kms: KMS}]".to_owned(), vec!["kms-providers"]),
    ] {
        let config = world.config(&providers);
        let server = world.server_with(config, &stop).await;
        let names: Vec<_> = server.checks().into_iter().map(KmsCheck::name).collect();
        assert_eq!(names, checks, "{providers}");
        for check in server.checks() {
            server.check(check).await.unwrap();
        }
    }
    for providers in ["[{kms: {name: foo, endpoint: SOCKET}}]".to_owned(), format!("[{AES_GCM}]")] {
        let (server, _) = world.following(&providers, &stop).await;
        assert_eq!(server.checks(), [KmsCheck::All], "one for all where the file is followed, even of none");
        server.check(KmsCheck::All).await.unwrap();
    }
    stop.cancel();
}

#[tokio::test]
async fn test_kmsv2_invalid_key_id() {
    let metric = "envelope_encryption_invalid_key_id_from_status_total";
    for (key_id, line) in [
        (String::new(), Some("{error=\"empty\",provider_name=\"azurekmsprovider\"} 1")),
        ("1".to_owned(), None),
        ("k".repeat(1025), Some("{error=\"too_long\",provider_name=\"azurekmsprovider\"} 1")),
    ] {
        let mut world = World::new();
        world.plugin.behave(|plugin| plugin.key_id = key_id);
        let _plugin = world.plugin_up().await;
        let _server = world.server().await;
        let want: Vec<_> = line.map(|line| format!("{metric}{line}")).into_iter().collect();
        assert_eq!(world.metrics(&[metric]), want);
    }
}

#[tokio::test]
async fn test_envelope_metrics() {
    let mut world = World::new();
    let _plugin = world.plugin_up().await;
    let server = world.server().await;
    let stored = server.seal("secrets", KEY, b"plain").await.unwrap();
    server.open("secrets", KEY, &stored).await.unwrap();
    let labels =
        "apiserver_id_hash=\"<hash>\",key_id_hash=\"<hash>\",provider_name=\"azurekmsprovider\",transformation_type=";
    assert_eq!(
        world.metrics(&["envelope_encryption_key_id_hash_total"]),
        [
            format!("envelope_encryption_key_id_hash_total{{{labels}\"from_storage\"}} 1"),
            format!("envelope_encryption_key_id_hash_total{{{labels}\"to_storage\"}} 1")
        ]
    );
}

/// Ten seeds are read after a restart, at the same time as one is written with: each provider has its own size.
#[tokio::test]
async fn test_envelope_metrics_cache() {
    let mut world = World::new();
    let _plugin = world.plugin_up().await;
    let mut stored = Vec::new();
    for _ in 0..10 {
        stored.push(world.server().await.seal("secrets", KEY, b"plain").await.unwrap());
    }
    let stop = CancellationToken::new();
    let config = world.config("[{kms: {apiVersion: v2, name: two, endpoint: SOCKET}}, {kms: KMS}]");
    let server = world.server_with(config, &stop).await;
    stop.cancel();
    let reads = futures::future::join_all(stored.iter().map(|stored| server.open("secrets", KEY, stored)));
    let writes = futures::future::join_all((0..10).map(|_| server.seal("secrets", KEY, b"plain")));
    let (reads, writes) = tokio::join!(reads, writes);
    assert!(reads.iter().all(Result::is_ok) && writes.iter().all(Result::is_ok));
    assert_eq!(
        world.metrics(&["envelope_encryption_dek_source_cache_size"]),
        [
            "envelope_encryption_dek_source_cache_size{provider_name=\"azurekmsprovider\"} 10",
            "envelope_encryption_dek_source_cache_size{provider_name=\"two\"} 1"
        ]
    );
}

/// What is counted of a value with keys: the key's own prefix and the provider's, as the two levels of upstream do.
#[tokio::test]
async fn test_prefix_metrics() {
    let mut world = World::new();
    let stop = CancellationToken::new();
    let config = world.config(&format!("[{AES_GCM}, {AES_CBC}, {IDENTITY}]"));
    let server = world.server_with(config, &stop).await;
    let stored = server.seal("secrets", KEY, b"plain").await.unwrap();
    server.open("secrets", KEY, &stored).await.unwrap();
    server.open("secrets", "/elsewhere", &stored).await.unwrap_err();
    server.open("secrets", KEY, b"k8s:enc:aescbc:v1:key9:x").await.unwrap_err();
    server.open("secrets", KEY, b"k8s\0plain").await.unwrap();
    server.open("secrets", KEY, b"k8s:enc:other").await.unwrap_err();
    let lines = world.metrics(&["storage_transformation_operations_total"]);
    let seen: BTreeSet<_> = lines.iter().map(|line| line.split_once("status=").unwrap().1).collect();
    insta::assert_snapshot!(seen.into_iter().collect::<Vec<_>>().join("\n"), @r#"
    "OK",transformation_type="from_storage",transformer_prefix="identity"} 1
    "OK",transformation_type="from_storage",transformer_prefix="k8s:enc:aesgcm:v1:"} 1
    "OK",transformation_type="from_storage",transformer_prefix="key1:"} 1
    "OK",transformation_type="to_storage",transformer_prefix="k8s:enc:aesgcm:v1:"} 1
    "OK",transformation_type="to_storage",transformer_prefix="key1:"} 1
    "unknown-non-grpc",transformation_type="from_storage",transformer_prefix="k8s:enc:aescbc:v1:"} 1
    "unknown-non-grpc",transformation_type="from_storage",transformer_prefix="k8s:enc:aesgcm:v1:"} 1
    "unknown-non-grpc",transformation_type="from_storage",transformer_prefix="key1:"} 1
    "unknown-non-grpc",transformation_type="from_storage",transformer_prefix="unknown"} 2
    "#);
}

#[tokio::test]
async fn test_kms_operations_metric() {
    let mut world = World::new();
    let _plugin = world.plugin_up().await;
    let stored = world.server().await.seal("secrets", KEY, b"plain").await.unwrap();
    let server = world.server().await;
    server.open("secrets", KEY, &stored).await.unwrap();
    world.plugin.behave(|plugin| plugin.decrypt_fails = Some(tonic::Status::failed_precondition("key disabled")));
    let other = world.server().await;
    other.open("secrets", KEY, &stored).await.unwrap_err();
    let count = "envelope_encryption_kms_operations_latency_seconds_count";
    let line = |code: &str, method: &str| {
        format!(
            "{count}{{grpc_status_code=\"{code}\",method_name=\"/v2.KeyManagementService/{method}\",\
             provider_name=\"azurekmsprovider\"}} 1"
        )
    };
    assert_eq!(
        world.metrics(&[count]),
        [line("FailedPrecondition", "Decrypt"), line("OK", "Encrypt"), line("OK", "Status")]
    );
}

/// Both are asked of the file's reader as well (`envelope`); here, that a server with neither starts and stores in the clear.
#[tokio::test]
async fn test_invalid_configuration() {
    let mut world = World::new();
    for endpoint in ["unix:///", "tcp://localhost:1"] {
        let file = world.file(&format!("[{{kms: {{apiVersion: v2, name: n, endpoint: '{endpoint}'}}}}]"));
        assert!(envelope::EncryptionConfiguration::parse(file.as_bytes()).is_err(), "{endpoint}");
    }
    let server: std::sync::Arc<Encryption> =
        Encryption::start(None, None, world.clock.clone(), &world.registry, CancellationToken::new()).await;
    assert_eq!(server.seal("secrets", KEY, b"plain").await.unwrap(), b"plain");
    world.registry = prometheus::Registry::new();
}

/// Only what went well is timed.
#[tokio::test]
async fn test_latency() {
    let mut world = World::new();
    let config = world.config(&format!("[{AES_GCM}]"));
    let server = world.server_with(config, &CancellationToken::new()).await;
    let stored = server.seal("secrets", KEY, b"plain").await.unwrap();
    server.open("secrets", "/elsewhere", &stored).await.unwrap_err();
    let count = "storage_transformation_duration_seconds_count";
    let line = |direction: &str, prefix: &str, times: u64| {
        format!("{count}{{transformation_type=\"{direction}\",transformer_prefix=\"{prefix}\"}} {times}")
    };
    let written = [line("to_storage", "k8s:enc:aesgcm:v1:", 1), line("to_storage", "key1:", 1)];
    assert_eq!(world.metrics(&[count]), written);
    server.open("secrets", KEY, &stored).await.unwrap();
    let read = [line("from_storage", "k8s:enc:aesgcm:v1:", 1), line("from_storage", "key1:", 1)];
    assert_eq!(world.metrics(&[count]), [read, written].concat());
}

#[tokio::test]
async fn test_grpc_service() {
    let mut world = World::new();
    let _plugin = world.plugin_up().await;
    let stored = world.server().await.seal("secrets", KEY, b"plain").await.unwrap();
    let server = world.server().await;
    assert_eq!(server.open("secrets", KEY, &stored).await.unwrap().plain, b"plain");
    let calls = ["status", "encrypt", "decrypt"].map(|call| world.plugin.count(call));
    assert_eq!(calls, [2, 2, 1], "each server asks for Status and Encrypt, the second for Decrypt");
}

#[tokio::test]
async fn test_grpc_service_concurrent_access() {
    let mut world = World::new();
    let _plugin = world.plugin_up().await;
    let stored = world.server().await.seal("secrets", KEY, b"plain").await.unwrap();
    let server = world.server().await;
    let reads = futures::future::join_all((0..100).map(|_| server.open("secrets", KEY, &stored)));
    for opened in reads.await {
        assert_eq!(opened.unwrap().plain, b"plain");
    }
}
