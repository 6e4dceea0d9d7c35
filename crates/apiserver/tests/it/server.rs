//! An API server on a socket of its own, and the clients that reach it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use apiserver::{ApiServer, BearerToken, Config, Credential, User};
use clock::Clock;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};
use reqwest::{Method, RequestBuilder, StatusCode};
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::etcd::Etcd;

pub(crate) const TOKEN: &str = "correct-horse";
/// Whatever a test waits for must come within this.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A server, its etcd, and what a client needs to know.
pub(crate) struct Server {
    pub(crate) etcd: Etcd,
    pub(crate) handle: ApiServer,
    pub(crate) address: SocketAddr,
    pub(crate) directory: TempDir,
    http: reqwest::Client,
    shutdown: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Starts a server over a fresh etcd, without encryption.
    pub(crate) async fn start() -> Self {
        Self::start_on(Etcd::start().await).await
    }

    /// Starts a server over an etcd that has been used before, without encryption.
    pub(crate) async fn start_on(etcd: Etcd) -> Self {
        let config = config(&etcd, &Clock::new());
        Self::start_with(etcd, config).await
    }

    pub(crate) async fn start_with(etcd: Etcd, config: Config) -> Self {
        let handle = ApiServer::start(config).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.cert.der().clone()], key)
            .unwrap();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(apiserver::serve(listener, Arc::new(tls), handle.clone(), shutdown.clone()));
        let directory = TempDir::new().unwrap();
        let pem = signed.cert.pem();
        std::fs::write(directory.path().join("ca.crt"), &pem).unwrap();
        std::fs::write(directory.path().join("kubeconfig"), kubeconfig(address, directory.path())).unwrap();
        let certificate = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
        let http =
            reqwest::Client::builder().no_proxy().tls_certs_only([certificate]).timeout(DEADLINE).build().unwrap();
        Self { etcd, handle, address, directory, http, shutdown, task }
    }

    /// The path of a kubeconfig for this server.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }

    /// kube-rs, from the kubeconfig.
    pub(crate) async fn client(&self) -> Client {
        let file = Kubeconfig::read_from(self.kubeconfig()).unwrap();
        let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
        Client::try_from(config).unwrap()
    }

    pub(crate) async fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client().await, "default")
    }

    pub(crate) async fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client().await, "default")
    }

    pub(crate) async fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.client().await)
    }

    /// A request with the token.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(TOKEN)
    }

    pub(crate) fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("https://{}{path}", self.address))
    }

    /// Sends a JSON body, and reads the answer.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        answer(self.request(method, path).json(&body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(Method::GET, path)).await
    }

    /// Ends the server as `kyanite` does, and gives back its etcd.
    pub(crate) async fn stop(self) -> Etcd {
        self.shutdown.cancel();
        timeout(DEADLINE, self.task).await.expect("the server ends").unwrap().unwrap();
        self.etcd
    }
}

pub(crate) fn config(etcd: &Etcd, clock: &Clock) -> Config {
    let mut config = Config::new(vec![etcd.endpoint()], clock.clone());
    config.etcd_timeout = Duration::from_secs(2);
    config.credentials = vec![Credential {
        token: BearerToken::new(TOKEN.to_owned()),
        user: User { name: "admin".to_owned(), uid: "1".to_owned(), groups: vec!["system:masters".to_owned()] },
    }];
    config
}

/// Reads an answer as JSON.
pub(crate) async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// An Opaque Secret with one key.
pub(crate) fn secret(name: &str, value: &str) -> Secret {
    serde_json::from_value(json!({"metadata": {"name": name}, "stringData": {"k": value}})).unwrap()
}

/// Asks until the answer is good; fails with the last thing that was seen.
pub(crate) async fn wait_until<T, F: Future<Output = Result<T, String>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + DEADLINE;
    let mut ticks = interval(Duration::from_millis(50));
    loop {
        ticks.tick().await;
        match ask().await {
            Ok(value) => return value,
            Err(seen) => assert!(Instant::now() < deadline, "waited {DEADLINE:?} for {what}; last seen: {seen}"),
        }
    }
}

fn kubeconfig(address: SocketAddr, directory: &std::path::Path) -> String {
    let ca = directory.join("ca.crt");
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "kyanite",
        "clusters": [{"name": "kyanite", "cluster": {"server": format!("https://{address}"), "certificate-authority": ca}}],
        "users": [{"name": "admin", "user": {"token": TOKEN}}],
        "contexts": [{"name": "kyanite", "context": {"cluster": "kyanite", "user": "admin", "namespace": "default"}}],
    })
    .to_string()
}
