//! Watches, over kube-rs and raw.

use std::time::Duration;

use futures::{Stream, StreamExt, TryStreamExt};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, WatchParams};
use kube::runtime::watcher;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::server::{DEADLINE, Server, secret};

/// The events of a raw watch.
async fn watch(server: &Server, query: &str) -> impl Stream<Item = Value> + Unpin + use<> {
    let path = format!("/api/v1/namespaces/default/secrets?watch=true&{query}");
    let response = server.request(Method::GET, &path).send().await.unwrap();
    assert!(response.status().is_success(), "{}", response.text().await.unwrap());
    let lines = futures::stream::unfold((response, Vec::new()), |(mut response, mut buffer)| async move {
        loop {
            if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = buffer.drain(..=end).collect();
                return Some((serde_json::from_slice(&line).unwrap(), (response, buffer)));
            }
            match response.chunk().await {
                Ok(Some(chunk)) => buffer.extend_from_slice(&chunk),
                Ok(None) | Err(_) => return None,
            }
        }
    });
    Box::pin(lines)
}

async fn next(events: &mut (impl Stream<Item = Value> + Unpin)) -> Value {
    timeout(DEADLINE, events.next()).await.expect("an event").expect("the watch goes on")
}

fn brief(event: &Value) -> (&str, &str) {
    (event["type"].as_str().unwrap(), event["object"]["metadata"]["name"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn present_objects_come_first_and_changes_follow() {
    let server = Server::start().await;
    let secrets = server.secrets().await;
    secrets.create(&PostParams::default(), &secret("a", "one")).await.unwrap();
    let mut events = watch(&server, "").await;
    assert_eq!(brief(&next(&mut events).await), ("ADDED", "a"));
    let created = secrets.create(&PostParams::default(), &secret("b", "one")).await.unwrap();
    let event = next(&mut events).await;
    assert_eq!(brief(&event), ("ADDED", "b"));
    assert_eq!(event["object"]["kind"], "Secret");
    assert_eq!(event["object"]["metadata"]["resourceVersion"].as_str(), created.metadata.resource_version.as_deref());
    let patch = Patch::Merge(json!({"metadata": {"labels": {"x": "1"}}}));
    secrets.patch("b", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(brief(&next(&mut events).await), ("MODIFIED", "b"));
    secrets.delete("a", &DeleteParams::default()).await.unwrap();
    let event = next(&mut events).await;
    assert_eq!(brief(&event), ("DELETED", "a"));
    assert_eq!(event["object"]["data"]["k"], "b25l", "the last state comes with the delete");
}

#[tokio::test]
async fn a_watch_begins_after_its_revision_and_ends_with_its_timeout() {
    let server = Server::start().await;
    let secrets = server.secrets().await;
    let first = secrets.create(&PostParams::default(), &secret("a", "one")).await.unwrap();
    secrets.create(&PostParams::default(), &secret("b", "one")).await.unwrap();
    let revision = first.metadata.resource_version.unwrap();
    let query = format!("resourceVersion={revision}&timeoutSeconds=1&allowWatchBookmarks=true");
    let events: Vec<Value> = timeout(DEADLINE, watch(&server, &query).await.collect()).await.unwrap();
    assert_eq!(events.iter().map(brief).collect::<Vec<_>>(), [("ADDED", "b"), ("BOOKMARK", "")]);
    let told: i64 = events[1]["object"]["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    assert!(told > revision.parse().unwrap());
}

#[tokio::test]
async fn selection_turns_changes_into_arrivals_and_departures() {
    let server = Server::start().await;
    let secrets = server.secrets().await;
    secrets.create(&PostParams::default(), &secret("a", "one")).await.unwrap();
    let mut events = watch(&server, "labelSelector=x%3D1").await;
    for label in [json!("1"), json!("2"), json!("1")] {
        let patch = Patch::Merge(json!({"metadata": {"labels": {"x": label}}}));
        secrets.patch("a", &PatchParams::default(), &patch).await.unwrap();
    }
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(brief(&next(&mut events).await).0.to_owned());
    }
    assert_eq!(seen, ["ADDED", "DELETED", "ADDED"]);
}

#[tokio::test]
async fn a_compacted_revision_is_gone() {
    let server = Server::start().await;
    let secrets = server.secrets().await;
    let first = secrets.create(&PostParams::default(), &secret("a", "one")).await.unwrap();
    let last = secrets.create(&PostParams::default(), &secret("b", "one")).await.unwrap();
    let revision = |object: &k8s_openapi::api::core::v1::Secret| object.metadata.resource_version.clone().unwrap();
    let compact: i64 = revision(&last).parse().unwrap();
    server.etcd.client().await.compact(compact, None).await.unwrap();
    let first: i64 = revision(&first).parse().unwrap();
    let events: Vec<Value> =
        timeout(DEADLINE, watch(&server, &format!("resourceVersion={}", first - 1)).await.collect()).await.unwrap();
    assert_eq!(events.len(), 1);
    insta::assert_snapshot!(events[0], @r#"{"object":{"apiVersion":"v1","code":410,"kind":"Status","message":"The resourceVersion for the provided watch is too old.","metadata":{},"reason":"Expired","status":"Failure"},"type":"ERROR"}"#);
}

#[tokio::test]
async fn a_watch_list_ends_its_beginning_with_a_bookmark() {
    let server = Server::start().await;
    server.secrets().await.create(&PostParams::default(), &secret("a", "one")).await.unwrap();
    let query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut events = watch(&server, query).await;
    assert_eq!(brief(&next(&mut events).await), ("ADDED", "a"));
    let bookmark = next(&mut events).await;
    assert_eq!(bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
}

#[tokio::test]
async fn tables_are_watched_with_their_columns_once() {
    let server = Server::start().await;
    let secrets = server.secrets().await;
    secrets.create(&PostParams::default(), &secret("a", "one")).await.unwrap();
    secrets.create(&PostParams::default(), &secret("b", "one")).await.unwrap();
    let path = "/api/v1/namespaces/default/secrets?watch=true&timeoutSeconds=1";
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let text = server.request(Method::GET, path).header("accept", accept).send().await.unwrap().text().await.unwrap();
    let columns: Vec<usize> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|event| event["object"]["columnDefinitions"].as_array().unwrap().len())
        .collect();
    assert_eq!(columns, [4, 0]);
}

#[tokio::test]
async fn the_watcher_of_kube_rs_follows() {
    let server = Server::start().await;
    let secrets = server.secrets().await;
    secrets.create(&PostParams::default(), &secret("a", "one")).await.unwrap();
    let mut stream = Box::pin(watcher(secrets.clone(), watcher::Config::default()));
    let mut names = Vec::new();
    let mut is_written = false;
    while names.len() < 2 {
        match timeout(DEADLINE, stream.try_next()).await.expect("an event").unwrap().unwrap() {
            watcher::Event::InitApply(object) | watcher::Event::Apply(object) => {
                names.push(object.metadata.name.unwrap());
            }
            watcher::Event::InitDone if !is_written => {
                is_written = true;
                secrets.create(&PostParams::default(), &secret("b", "two")).await.unwrap();
            }
            _ => {}
        }
    }
    assert_eq!(names, ["a", "b"]);
}

#[tokio::test]
async fn the_end_of_the_server_ends_watches_at_once() {
    let server = Server::start().await;
    let secrets = server.secrets().await;
    let mut events = Box::pin(secrets.watch(&WatchParams::default(), "0").await.unwrap());
    let stopped = tokio::spawn(server.stop());
    let ended = timeout(Duration::from_secs(5), async { while events.next().await.is_some() {} }).await;
    assert!(ended.is_ok(), "the watch outlived its server");
    timeout(DEADLINE, stopped).await.unwrap().unwrap();
}
