//! etcd away: at the start, and in the middle.

use std::time::Duration;

use apiserver::{ApiServer, Config, StartError};
use clock::Clock;
use futures::StreamExt;
use kube::api::{PostParams, WatchEvent, WatchParams};
use reqwest::{Method, StatusCode};
use tokio::time::timeout;

use crate::server::{DEADLINE, Server, answer, secret, wait_until};

#[tokio::test]
async fn a_start_without_etcd_says_where_it_looked() {
    let mut config = Config::new(vec!["http://127.0.0.1:9".into()], Clock::new());
    config.etcd_timeout = Duration::from_millis(300);
    let error = timeout(DEADLINE, ApiServer::start(config)).await.unwrap().unwrap_err();
    assert!(matches!(error, StartError::EtcdUnreachable { .. }));
    insta::assert_snapshot!(error, @"reach etcd at http://127.0.0.1:9: no answer within 300ms; check that etcd runs there and serves clients at this address");
}

#[tokio::test]
async fn an_etcd_that_dies_is_an_error_within_the_timeout_and_no_acknowledged_write_is_lost() {
    let mut server = Server::start().await;
    let secrets = server.secrets().await;
    secrets.create(&PostParams::default(), &secret("a", "one")).await.unwrap();
    server.etcd.kill();
    let (code, refused) = timeout(DEADLINE, server.get("/api/v1/namespaces/default/secrets/a")).await.unwrap();
    assert!(code.is_server_error(), "{refused}");
    assert_eq!(refused["kind"], "Status");
    let health = wait_until("healthz to fail", || async {
        let (code, text) = answer(server.anonymous(Method::GET, "/healthz")).await;
        if code == StatusCode::INTERNAL_SERVER_ERROR { Ok(text) } else { Err(format!("{code} {text}")) }
    })
    .await;
    assert!(health.as_str().unwrap().contains("[-]etcd failed: reason withheld"), "{health}");
    let (_, reason) = answer(server.anonymous(Method::GET, "/healthz/etcd")).await;
    assert!(reason.as_str().unwrap().starts_with("internal server error: error getting data from etcd: "), "{reason}");
    server.etcd.restart().await;
    let read =
        wait_until("the Secret to be readable", || async { secrets.get("a").await.map_err(|error| error.to_string()) })
            .await;
    assert_eq!(read.data.unwrap()["k"].0, b"one");
    secrets.create(&PostParams::default(), &secret("b", "two")).await.unwrap();
}

#[tokio::test]
async fn a_watch_survives_a_restart_of_etcd_or_ends() {
    let mut server = Server::start().await;
    let secrets = server.secrets().await;
    let mut events = Box::pin(secrets.watch(&WatchParams::default(), "0").await.unwrap());
    secrets.create(&PostParams::default(), &secret("a", "one")).await.unwrap();
    let first = timeout(DEADLINE, events.next()).await.unwrap().unwrap().unwrap();
    assert!(matches!(first, WatchEvent::Added(_)), "{first:?}");
    server.etcd.kill();
    server.etcd.restart().await;
    wait_until("a create to work", || async {
        match secrets.create(&PostParams::default(), &secret("b", "two")).await {
            Ok(_) => Ok(()),
            Err(error) if error.to_string().contains("already exists") => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await;
    match timeout(DEADLINE, events.next()).await.expect("an event or the end") {
        None | Some(Err(_)) => {}
        Some(Ok(WatchEvent::Added(object))) => assert_eq!(object.metadata.name.as_deref(), Some("b")),
        Some(Ok(other)) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_etcd_that_hangs_is_a_timeout() {
    let server = Server::start().await;
    server.secrets().await.create(&PostParams::default(), &secret("a", "one")).await.unwrap();
    server.etcd.signal("-STOP");
    let path = "/api/v1/namespaces/default/secrets/a";
    let (code, refused) = timeout(DEADLINE, server.get(path)).await.unwrap();
    let (_, create) = server
        .send(Method::POST, "/api/v1/namespaces/default/secrets", serde_json::json!({"metadata": {"name": "b"}}))
        .await;
    server.etcd.signal("-CONT");
    assert_eq!((code, refused["reason"].as_str()), (StatusCode::GATEWAY_TIMEOUT, Some("Timeout")));
    insta::assert_snapshot!(refused["message"].as_str().unwrap(), @"Timeout: request did not complete within requested timeout - context deadline exceeded");
    assert_eq!(create["reason"], "Timeout");
    wait_until("the Secret to be readable", || async {
        let (code, body) = server.get(path).await;
        if code == StatusCode::OK { Ok(()) } else { Err(body.to_string()) }
    })
    .await;
}
