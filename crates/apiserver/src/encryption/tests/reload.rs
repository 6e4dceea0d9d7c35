//! Hot reload: counterparts of `encryptionconfig/controller/controller_test.go`, `encryptionconfig/metrics/metrics_test.go`
//! and of the integration tests of file polling, on the stack's clock.

use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::world::{KEY, World, wait_until};
use crate::encryption::{Encryption, KmsCheck};

const GCM: &str = "{aesgcm: {keys: [{name: key1, secret: c2VjcmV0IGlzIHNlY3VyZQ==}]}}";
const CBC: &str = "{aescbc: {keys: [{name: key1, secret: c2VjcmV0IGlzIHNlY3VyZQ==}]}}";
const RELOADS: &str = "encryption_config_controller_automatic_reloads_total";

/// What a value starts with that is written now.
async fn prefix(server: &Encryption) -> Result<String, String> {
    let stored = server.seal("secrets", KEY, b"plain").await.map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&stored).split(':').take(3).collect::<Vec<_>>().join(":"))
}

/// Lets a minute pass, and waits until a value that is written now starts so.
async fn assert_comes(world: &World, server: &Encryption, wanted: &str) {
    world.advance(60);
    wait_until(|| async {
        match prefix(server).await {
            Ok(found) if found == wanted => Ok(()),
            found => Err(format!("{found:?}")),
        }
    })
    .await;
}

/// Lets a minute pass, and waits until so many reloads have failed at least.
async fn assert_fails(world: &World, least: u64) {
    world.advance(60);
    wait_until(|| async {
        let lines = world.metrics(&[RELOADS]);
        let failures = lines.iter().find(|line| line.contains("status=\"failure\""));
        match failures.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok()) {
            Some(count) if count >= least => Ok(()),
            count => Err(format!("{count:?}")),
        }
    })
    .await;
}

fn write(world: &World, file: &Path, providers: &str) {
    std::fs::write(file, world.file(providers)).unwrap();
}

#[tokio::test]
async fn test_controller() {
    let mut world = World::impatient();
    let _plugin = world.plugin_up().await;
    let stop = CancellationToken::new();
    let (server, file) = world.following(&format!("[{GCM}]"), &stop).await;
    let before = world.metrics(&["encryption_config_controller"]);
    assert_eq!(before.len(), 1, "only which file is in use: {before:?}");

    // When the same valid config is provided, the previous one is not changed, and nothing is counted.
    write(&world, &file, &format!("[{GCM}]"));
    world.advance(60);
    // When an invalid config is provided, the previous one is not changed.
    std::fs::write(&file, "kind: EncryptionConfiguration\n").unwrap();
    assert_fails(&world, 1).await;
    assert_eq!(prefix(&server).await.unwrap(), "k8s:enc:aesgcm");
    let failed = world.metrics(&[RELOADS]);
    assert!(failed.len() == 1 && failed[0].contains("{apiserver_id_hash=\"<hash>\",status=\"failure\"}"), "{failed:?}");

    // When the file cannot be read, or is empty, neither.
    std::fs::remove_file(&file).unwrap();
    assert_fails(&world, 2).await;
    std::fs::write(&file, "").unwrap();
    assert_fails(&world, 3).await;

    // When a new plugin is not healthy, neither: it has ten seconds to become so.
    world.plugin.behave(|plugin| plugin.healthz = "mockingly failing".into());
    write(&world, &file, &format!("[{{kms: KMS}}, {GCM}]"));
    world.advance(60);
    wait_until(|| async { if world.plugin.count("status") > 0 { Ok(()) } else { Err("not asked".to_owned()) } }).await;
    assert_eq!(prefix(&server).await.unwrap(), "k8s:enc:aesgcm");
    server.check(KmsCheck::All).await.expect("the check is that of what is in use");

    // When it becomes healthy in time, or is at the next try, the new config is used.
    world.plugin.behave(|_| {});
    world.advance(4);
    assert_comes(&world, &server, "k8s:enc:kms").await;
    let succeeded = world.metrics(&[RELOADS]);
    assert!(succeeded.iter().any(|line| line.ends_with("status=\"success\"} 1")), "{succeeded:?}");
    let info = world.metrics(&["encryption_config_controller_last_config_info"]);
    assert_eq!(info.len(), 1, "the old file's hash is gone: {info:?}");
    let last = world.metrics(&["encryption_config_controller_automatic_reload_last_timestamp_seconds"]);
    assert_eq!(last.len(), 2, "one for successes, one for failures: {last:?}");
    stop.cancel();
}

#[tokio::test]
async fn a_plugin_that_stays_unhealthy_keeps_the_new_file_out() {
    let mut world = World::impatient();
    let _plugin = world.plugin_up().await;
    let stop = CancellationToken::new();
    let (server, file) = world.following(&format!("[{GCM}]"), &stop).await;
    world.plugin.behave(|plugin| plugin.status_fails = Some(Status::unavailable("down")));
    write(&world, &file, &format!("[{{kms: KMS}}, {GCM}]"));
    world.advance(60);
    wait_until(|| async { if world.plugin.count("status") > 0 { Ok(()) } else { Err("not asked".to_owned()) } }).await;
    assert_fails(&world, 1).await;
    assert_eq!(prefix(&server).await.unwrap(), "k8s:enc:aesgcm");
    stop.cancel();
}

/// Replaces the file's content in one of the ways in which files are replaced.
type Replace = fn(&Path, &str);

#[tokio::test]
async fn test_encryption_config_hot_reload_file_polling() {
    let ways: [(&str, Replace); 3] = [
        ("truncate file", |file, content| std::fs::write(file, content).unwrap()),
        ("delete and create file", |file, content| {
            std::fs::remove_file(file).unwrap();
            std::fs::write(file, content).unwrap();
        }),
        ("move file", |file, content| {
            let other = file.with_extension("new");
            std::fs::write(&other, content).unwrap();
            std::fs::rename(other, file).unwrap();
        }),
    ];
    for (what, replace) in ways {
        let mut world = World::new();
        let stop = CancellationToken::new();
        let (server, file) = world.following(&format!("[{GCM}]"), &stop).await;
        let stored = server.seal("secrets", KEY, b"plain").await.unwrap();
        assert!(!server.open("secrets", KEY, &stored).await.unwrap().stale, "{what}");
        replace(&file, &world.file(&format!("[{CBC}, {GCM}]")));
        assert_comes(&world, &server, "k8s:enc:aescbc").await;
        assert!(server.open("secrets", KEY, &stored).await.unwrap().stale, "{what}");
        stop.cancel();
    }
}

/// What is read and written while the file changes never fails: values go through one configuration or the other, whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_pass_while_the_file_changes() {
    let mut world = World::new();
    let stop = CancellationToken::new();
    let (server, file) = world.following(&format!("[{GCM}, {CBC}]"), &stop).await;
    let passing = {
        let (server, stop) = (Arc::clone(&server), stop.clone());
        tokio::spawn(async move {
            let mut passed = 0_u64;
            while !stop.is_cancelled() {
                let stored = server.seal("secrets", KEY, b"plain").await.unwrap();
                assert_eq!(server.open("secrets", KEY, &stored).await.unwrap().plain, b"plain");
                passed += 1;
                tokio::task::yield_now().await;
            }
            passed
        })
    };
    for round in 0..4 {
        let (providers, wanted) = if round % 2 == 0 {
            (format!("[{CBC}, {GCM}]"), "k8s:enc:aescbc")
        } else {
            (format!("[{GCM}, {CBC}]"), "k8s:enc:aesgcm")
        };
        write(&world, &file, &providers);
        assert_comes(&world, &server, wanted).await;
    }
    stop.cancel();
    assert!(passing.await.unwrap() > 0);
}

/// The old transformers' checks end once their calls have had their time.
#[tokio::test]
async fn checks_of_an_old_configuration_end() {
    let mut world = World::new();
    let _plugin = world.plugin_up().await;
    let stop = CancellationToken::new();
    let (server, file) = world.following("[{kms: KMS}]", &stop).await;
    write(&world, &file, &format!("[{GCM}, {{kms: {{apiVersion: v2, name: other, endpoint: SOCKET}}}}]"));
    assert_comes(&world, &server, "k8s:enc:aesgcm").await;
    // Twice the time-out of its one call is 60 s; its checks may have been due once more until then.
    world.advance(61);
    let asked = |world: &World| {
        let lines = world.metrics(&["envelope_encryption_kms_operations_latency_seconds_count"]);
        let of = |name: &str| {
            lines
                .iter()
                .filter(|line| line.contains("Status") && line.contains(name))
                .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
                .sum::<u64>()
        };
        (of("azurekmsprovider"), of("other"))
    };
    // That of the new one goes on; the old one's count stands still while it does.
    for _ in 0..2 {
        let (_, new) = asked(&world);
        world.advance(61);
        wait_until(|| async { if asked(&world).1 > new { Ok(()) } else { Err("not checked".to_owned()) } }).await;
    }
    let (old, new) = asked(&world);
    world.advance(61);
    wait_until(|| async { if asked(&world).1 > new { Ok(()) } else { Err("not checked".to_owned()) } }).await;
    assert_eq!(asked(&world).0, old);
    stop.cancel();
}
