//! Which provider writes, which reads, and what is stale.

use tokio_util::sync::CancellationToken;

use super::world::{KEY, World};
use crate::encryption::Encryption;
use crate::encryption::KmsCheck;

#[tokio::test]
async fn the_first_provider_writes_and_any_reads() {
    let mut world = World::new();
    let stop = CancellationToken::new();
    let _plugin = world.plugin_up().await;
    let kms_first = world.server().await;
    let sealed = kms_first.seal("secrets", KEY, b"k8s\0plain").await.unwrap();
    assert!(sealed.starts_with(b"k8s:enc:kms:v2:azurekmsprovider:"));
    let plain = kms_first.open("secrets", KEY, b"k8s\0plain").await.unwrap();
    assert!(plain.stale, "identity is not the first");
    assert_eq!(plain.plain, b"k8s\0plain");

    let config = world.config("[{identity: {}}, {kms: KMS}]");
    let identity_first = world.server_with(config, &stop).await;
    assert_eq!(identity_first.seal("secrets", KEY, b"k8s\0plain").await.unwrap(), b"k8s\0plain");
    assert!(!identity_first.open("secrets", KEY, b"k8s\0plain").await.unwrap().stale);
    let opened = identity_first.open("secrets", KEY, &sealed).await.unwrap();
    assert_eq!((opened.plain.as_slice(), opened.stale), (b"k8s\0plain".as_slice(), true));
    stop.cancel();
}

#[tokio::test]
async fn values_that_nobody_reads() {
    let mut world = World::new();
    let _plugin = world.plugin_up().await;
    let server = world.server().await;
    let open = async |resource: &str, stored: &[u8]| server.open(resource, KEY, stored).await.unwrap_err().to_string();
    // The texts of spec/kms.md 7.1.
    assert_eq!(open("secrets", b"k8s:enc:kms:v2:other:x").await, "no matching prefix found");
    assert_eq!(open("secrets", b"k8s:enc:kms:v1:azurekmsprovider:x").await, "no matching prefix found");
    assert_eq!(
        open("secrets", b"k8s:enc:kms:v2:azurekmsprovider:\xff").await,
        "proto: cannot parse invalid wire-format data"
    );
    assert_eq!(
        open("configmaps", b"k8s:enc:kms:v2:azurekmsprovider:x").await,
        "identity transformer tried to read encrypted data"
    );
    let mut stored = server.seal("secrets", KEY, b"plain").await.unwrap();
    assert_eq!(
        server.open("secrets", "/registry/secrets/default/b", &stored).await.unwrap_err().to_string(),
        "cipher: message authentication failed"
    );
    stored[80] ^= 1;
    assert_eq!(open("secrets", &stored).await, "cipher: message authentication failed");
}

#[tokio::test]
async fn without_a_configuration_values_are_stored_as_they_are() {
    let world = World::new();
    let server = Encryption::start(None, None, world.clock.clone(), &world.registry, CancellationToken::new()).await;
    assert_eq!(server.checks(), []);
    server.check(KmsCheck::All).await.unwrap();
    assert_eq!(server.seal("secrets", KEY, b"plain").await.unwrap(), b"plain");
    let opened = server.open("secrets", KEY, b"plain").await.unwrap();
    assert_eq!((opened.plain.as_slice(), opened.stale), (b"plain".as_slice(), false));
    let error = server.open("secrets", KEY, b"k8s:enc:kms:v2:n:x").await.unwrap_err().to_string();
    assert_eq!(error, "identity transformer tried to read encrypted data");
}

#[tokio::test]
async fn two_unhealthy_providers_are_told_together() {
    let mut world = World::new();
    let stop = CancellationToken::new();
    stop.cancel();
    let config = world.config(
        "[{kms: {apiVersion: v2, name: one, endpoint: 'unix:///nobody/1', timeout: 50ms}}, {kms: {apiVersion: v2, name: two, \
         endpoint: 'unix:///@nobody-here', timeout: 50ms}}]",
    );
    let server = world.server_with(config, &stop).await;
    let dial = |socket: &str, error: &str| {
        format!(
            "rpc error: code = DeadlineExceeded desc = latest balancer error: connection error: desc = \"transport: Error while \
             dialing: dial unix {socket}: connect: {error}\""
        )
    };
    let status = "failed to perform status section of the healthz check for KMS Provider";
    assert_eq!(
        server.check(KmsCheck::All).await.unwrap_err().to_string(),
        format!(
            "[kms-provider-0: {status} one, error: {}, kms-provider-1: {status} two, error: {}]",
            dial("/nobody/1", "no such file or directory"),
            dial("@nobody-here", "connection refused")
        )
    );
}
