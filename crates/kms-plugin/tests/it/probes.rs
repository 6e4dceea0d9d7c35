//! The health and metrics endpoints, asked as a kubelet and a Prometheus ask.

use std::collections::BTreeSet;
use std::time::Duration;

use insta::assert_snapshot;
use kms_plugin::{Difference, Probes};
use tokio::net::TcpListener;

use crate::peer::{Fault, Peer};
use crate::rig::Rig;

/// A rig with its HTTP endpoints.
struct Watched {
    health: String,
    metrics: String,
    rig: Rig,
}

impl Watched {
    async fn start(like_azure: &[Difference]) -> Self {
        let like_azure: BTreeSet<Difference> = like_azure.iter().copied().collect();
        let rig = Rig::start_with(&Peer::start(&["v1"]), Some("v1"), |config, _| config.like_azure = like_azure).await;
        let bind = async || {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let origin = format!("http://{}", listener.local_addr().unwrap());
            (listener, origin)
        };
        let (listener, health) = bind().await;
        let probes =
            Probes { path: "/healthz".to_owned(), limit: Duration::from_secs(3), socket: rig.endpoint.clone() };
        tokio::spawn(kms_plugin::serve_probes(listener, rig.plugin.clone(), probes, rig.shutdown.clone()));
        let (listener, metrics) = bind().await;
        tokio::spawn(kms_plugin::serve_metrics(listener, rig.plugin.clone(), rig.shutdown.clone()));
        Self { health, metrics, rig }
    }

    async fn ask(&self, path: &str) -> (u16, String) {
        get(&format!("{}{path}", self.health)).await
    }

    async fn all(&self) -> (u16, u16, u16) {
        (self.ask("/livez").await.0, self.ask("/readyz").await.0, self.ask("/healthz").await.0)
    }
}

async fn get(url: &str) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

const FRESHNESS: Duration = Duration::from_secs(30);

#[tokio::test]
async fn health_costs_the_vault_nothing_while_it_is_known() {
    let watched = Watched::start(&[]).await;
    for _ in 0..5 {
        assert_eq!(watched.ask("/healthz").await, (200, "ok".to_owned()));
        assert_eq!(watched.all().await, (200, 200, 200));
    }
    let peer = &watched.rig.peer;
    assert_eq!((peer.calls("encrypt"), peer.calls("decrypt")), (1, 1));
    assert_eq!(watched.ask("/other").await.0, 404);
}

#[tokio::test]
async fn what_the_owner_did_fails_readiness_and_not_liveness() {
    let watched = Watched::start(&[]).await;
    assert_eq!(watched.all().await, (200, 200, 200));
    watched.rig.peer.set_enabled("v1", false);
    watched.rig.clock.advance(FRESHNESS).unwrap();
    assert_eq!(watched.all().await, (200, 503, 200));
    let (_, text) = watched.ask("/readyz").await;
    assert_snapshot!(text.trim(), @"failed to encrypt, error: key vault answered 403 Forbidden (KeyDisabled): Operation encrypt is not allowed on a disabled key.");
    watched.rig.peer.set_enabled("v1", true);
    assert_eq!(watched.all().await, (200, 200, 200));
}

#[tokio::test]
async fn an_outage_fails_azures_path_too() {
    let watched = Watched::start(&[]).await;
    watched.rig.encrypt(b"seed").await.unwrap();
    let outage = || Fault::Answer { status: 503, body: "", retry_after: Some(60) };
    watched.rig.peer.fail_next(std::iter::repeat_with(outage).take(50));
    assert_eq!(watched.all().await, (200, 503, 500));
}

#[tokio::test]
async fn a_socket_that_is_gone_fails_everything() {
    let watched = Watched::start(&[]).await;
    std::fs::remove_file(watched.rig.folder.path().join("kms.sock")).unwrap();
    assert_eq!(watched.all().await, (503, 503, 503));
}

#[tokio::test]
async fn azures_way_is_six_calls_and_fails_on_everything() {
    let watched = Watched::start(&[Difference::Health]).await;
    for probes in 1..3 {
        assert_eq!(watched.ask("/healthz").await, (200, "ok".to_owned()));
        let peer = &watched.rig.peer;
        assert_eq!((peer.calls("encrypt"), peer.calls("decrypt")), (3 * probes, 3 * probes));
    }
    watched.rig.peer.set_enabled("v1", false);
    assert_eq!(watched.ask("/healthz").await.0, 503, "Status fails first");
}

#[tokio::test]
async fn the_metric_tells_operations_and_classes_and_no_text() {
    let watched = Watched::start(&[]).await;
    watched.rig.status().await.unwrap();
    let sealed = watched.rig.encrypt(b"seed").await.unwrap();
    watched.rig.decrypt(&sealed).await.unwrap();
    watched.rig.peer.set_enabled("v1", false);
    watched.rig.encrypt(b"seed").await.unwrap_err();
    watched.rig.encrypt(b"").await.unwrap_err();
    let (status, text) = get(&format!("{}/metrics", watched.metrics)).await;
    assert_eq!(status, 200);
    let counts: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("kms_request_count")).collect();
    let scope = r#"otel_scope_name="keyvaultkms",otel_scope_schema_url="",otel_scope_version="","#;
    assert_snapshot!(counts.join("\n").replace(scope, ""), @r#"
    {error_class="",operation="decrypt",status="success"} 1
    {error_class="",operation="encrypt",status="success"} 1
    {error_class="",operation="grpc_decrypt",status="success"} 1
    {error_class="",operation="grpc_encrypt",status="success"} 1
    {error_class="",operation="grpc_status",status="success"} 1
    {error_class="key_state",operation="encrypt",status="error"} 1
    {error_class="key_state",operation="grpc_encrypt",status="error"} 1
    {error_class="rejected",operation="encrypt",status="error"} 1
    {error_class="rejected",operation="grpc_encrypt",status="error"} 1
    "#);
}

#[tokio::test]
async fn the_endpoints_end_with_the_plugin() {
    let watched = Watched::start(&[]).await;
    watched.rig.shutdown.cancel();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/livez", watched.health);
    let gone = crate::rig::wait_until(async || client.get(&url).send().await.map(|_| ()), Result::is_err).await;
    assert!(gone.is_err());
}
