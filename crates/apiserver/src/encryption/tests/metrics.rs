//! The metrics, held against the scrape of a real kube-apiserver.

use std::collections::{BTreeMap, BTreeSet};

use prometheus::{Encoder as _, TextEncoder};
use tonic::Status;

use super::world::{KEY, World, masked};
use crate::encryption::KmsCheck;

const RECORDED: &str = include_str!("golden/metrics_encryption.txt");

fn scrape(world: &World) -> String {
    let mut text = Vec::new();
    TextEncoder::new().encode(&world.registry.gather(), &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

/// The explanation and type of each metric.
fn heads(scrape: &str) -> BTreeSet<&str> {
    scrape.lines().filter(|line| line.starts_with('#')).collect()
}

/// The label names of each series name, and the buckets of each histogram.
fn shapes(scrape: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut shapes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in scrape.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (name, labels) = line.split_once('{').unwrap_or((line.split(' ').next().unwrap(), ""));
        let shape = shapes.entry(name.to_owned()).or_default();
        for label in labels.split("\",").filter(|label| label.contains("=\"")) {
            let (label, value) = label.split_once("=\"").unwrap();
            shape.insert(label.to_owned());
            if label == "le" {
                // Go and Rust write small numbers differently: compare the number.
                let bound: f64 = value.split('"').next().unwrap().replace("+Inf", "inf").parse().unwrap();
                shape.insert(format!("le {bound:.12}"));
            }
        }
    }
    shapes
}

#[tokio::test]
async fn names_labels_and_explanations_are_the_real_ones() {
    let mut world = World::new();
    let _plugin = world.plugin_up().await;
    let stored = world.server().await.seal("secrets", KEY, b"plain").await.unwrap();
    let server = world.server().await;
    server.open("secrets", KEY, &stored).await.unwrap();
    server.seal("secrets", KEY, b"plain").await.unwrap();
    let ours = scrape(&world);
    let missing: Vec<_> = heads(RECORDED).difference(&heads(&ours)).copied().collect();
    assert_eq!(missing, [""; 0]);
    let (ours, recorded) = (shapes(&ours), shapes(RECORDED));
    for (name, shape) in &recorded {
        assert_eq!(ours.get(name), Some(shape), "{name}");
    }
}

#[tokio::test]
async fn what_happens_is_counted() {
    let mut world = World::new();
    let _plugin = world.plugin_up().await;
    let stored = world.server().await.seal("secrets", KEY, b"plain").await.unwrap();
    let server = world.server().await;
    world.plugin.behave(|plugin| plugin.decrypt_fails = Some(Status::permission_denied("no")));
    server.open("secrets", KEY, &stored).await.unwrap_err();
    world.plugin.behave(|_| {});
    server.open("secrets", KEY, &stored).await.unwrap();
    server.open("secrets", KEY, &stored).await.unwrap();
    server.open("secrets", "/elsewhere", &stored).await.unwrap_err();
    server.open("secrets", KEY, b"k8s:enc:other").await.unwrap_err();
    server.open("secrets", KEY, b"plain").await.unwrap();
    server.seal("secrets", KEY, b"plain").await.unwrap();
    server.open("configmaps", KEY, b"plain").await.unwrap();
    world.behave(|plugin| plugin.key_id.clear());
    server.check(KmsCheck::All).await.unwrap_err();
    world.behave(|plugin| plugin.key_id = "k".repeat(1025));
    server.check(KmsCheck::All).await.unwrap_err();

    let ours = scrape(&world);
    let counted: Vec<_> = ours
        .lines()
        .filter(|line| {
            !line.starts_with('#') && !["_bucket", "_sum", "timestamp"].iter().any(|part| line.contains(part))
        })
        .map(|line| line.trim_start_matches("apiserver_"))
        .collect();
    insta::assert_snapshot!(masked(&counted.join("\n")));
}
