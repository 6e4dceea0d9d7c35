//! A vault on sockets of its own, and a client that reaches it by Azure's names.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use keyvault::{
    Config, Control, Emulator, Fault, FaultEffect, FaultTarget, Operation, Principal, PrincipalKind, Secret,
    VaultConfig,
};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) const TENANT: &str = "11111111-1111-4111-8111-111111111111";
pub(crate) const CLIENT_ID: &str = "22222222-2222-4222-8222-222222222222";
pub(crate) const OBJECT_ID: &str = "33333333-3333-4333-8333-333333333333";
pub(crate) const MACHINE_CLIENT_ID: &str = "44444444-4444-4444-8444-444444444444";
pub(crate) const CLIENT_SECRET: &str = "correct horse+battery";
pub(crate) const IDENTITY_HEADER: &str = "app-service-header";
pub(crate) const VAULT: &str = "https://kyanite.vault.azure.net";
pub(crate) const LOGIN: &str = "https://login.microsoftonline.com";
/// Whatever a test waits for must come within this.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A running emulator.
pub(crate) struct Stack {
    pub(crate) client: Client,
    pub(crate) clock: Clock,
    pub(crate) control: Control,
    pub(crate) emulator: Emulator,
    pub(crate) tls: SocketAddr,
    pub(crate) plain: SocketAddr,
    pub(crate) authority: Authority,
    pub(crate) shutdown: CancellationToken,
    pub(crate) servers: Vec<JoinHandle<()>>,
    token: tokio::sync::OnceCell<String>,
}

/// Certificates for the names that the emulator answers to.
#[derive(Clone)]
pub(crate) struct Authority {
    pub(crate) certificate: CertificateDer<'static>,
    server: Arc<rustls::ServerConfig>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let names =
            ["*.vault.azure.net", "*.managedhsm.azure.net", "login.microsoftonline.com", "localhost", "127.0.0.1"];
        let signed = rcgen::generate_simple_self_signed(names.map(str::to_owned)).unwrap();
        let certificate = signed.cert.der().clone();
        let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut server = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self { certificate, server: Arc::new(server) }
    }
}

/// What the emulator is made from; tests change what they are about.
pub(crate) fn config() -> Config {
    Config {
        vaults: vec![VaultConfig::new("kyanite".parse().unwrap())],
        principals: vec![
            Principal::new(
                CLIENT_ID.parse().unwrap(),
                OBJECT_ID.parse().unwrap(),
                PrincipalKind::ServicePrincipal { client_secret: Some(Secret::new(CLIENT_SECRET.to_owned())) },
            ),
            Principal::new(
                MACHINE_CLIENT_ID.parse().unwrap(),
                Uuid::from_u128(5),
                PrincipalKind::SystemAssigned { resource_id: "/subscriptions/s/vm".to_owned() },
            ),
        ],
        identity_header: Some(Secret::new(IDENTITY_HEADER.to_owned())),
        ..Config::new(TENANT.parse().unwrap(), Clock::new())
    }
}

/// A configuration whose state lives in `data_dir`.
pub(crate) fn config_in(data_dir: &Path) -> Config {
    Config { data_dir: Some(data_dir.to_owned()), ..config() }
}

impl Stack {
    pub(crate) async fn start() -> Self {
        Self::start_with(config()).await
    }

    pub(crate) async fn start_with(config: Config) -> Self {
        let authority = Authority::new();
        let clock = config.clock.clone();
        let emulator = Emulator::open(config).unwrap();
        let shutdown = CancellationToken::new();
        let (tls, plain) = (listener().await, listener().await);
        let (tls_address, plain_address) = (tls.local_addr().unwrap(), plain.local_addr().unwrap());
        let servers = vec![
            tokio::spawn(keyvault::serve_tls(tls, authority.server.clone(), emulator.clone(), shutdown.clone())),
            tokio::spawn(keyvault::serve_plain(plain, emulator.clone(), shutdown.clone())),
        ];
        Self {
            client: client(&authority, tls_address).build().unwrap(),
            clock,
            control: emulator.control(),
            emulator,
            tls: tls_address,
            plain: plain_address,
            authority,
            shutdown,
            servers,
            token: tokio::sync::OnceCell::new(),
        }
    }

    /// A client that stands at a place in the network.
    pub(crate) async fn client_at(&self, place: keyvault::Place) -> Client {
        let listener = listener().await;
        let address = listener.local_addr().unwrap();
        let (tls, emulator) = (self.authority.server.clone(), self.emulator.clone());
        tokio::spawn(keyvault::serve_tls_at(listener, tls, emulator, place, self.shutdown.clone()));
        client(&self.authority, address).build().unwrap()
    }

    /// Ends the servers and waits for them.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        for server in self.servers {
            tokio::time::timeout(DEADLINE, server).await.expect("the server ends").unwrap();
        }
    }

    /// A token for the vault.
    pub(crate) async fn token(&self) -> &str {
        let fetch = || async {
            let response = self.token_request(&[("scope", "https://vault.azure.net/.default")]).send().await.unwrap();
            json_of(response).await.1["access_token"].as_str().unwrap().to_owned()
        };
        self.token.get_or_init(fetch).await
    }

    /// A request to the v2 token endpoint with the application's credentials and these fields.
    pub(crate) fn token_request(&self, fields: &[(&str, &str)]) -> RequestBuilder {
        let mut form =
            vec![("grant_type", "client_credentials"), ("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)];
        form.retain(|(name, _)| fields.iter().all(|(given, _)| given != name));
        form.extend(fields);
        self.client.post(format!("{LOGIN}/{TENANT}/oauth2/v2.0/token")).form(&form)
    }

    /// Sends a request to the vault with a token. `path` may hold a query.
    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Response {
        let separator = if path.contains('?') { '&' } else { '?' };
        let url = format!("{VAULT}{path}{separator}api-version=2025-07-01");
        let request = self.client.request(method.parse::<Method>().unwrap(), url).bearer_auth(self.token().await);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        request.send().await.unwrap()
    }

    /// Sends a request to the vault and reads the answer.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        json_of(self.send(method, path, Some(body)).await).await
    }

    /// As [`Stack::call`], without a body.
    pub(crate) async fn bare(&self, method: &str, path: &str) -> (StatusCode, Value) {
        json_of(self.send(method, path, None).await).await
    }

    /// Makes an RSA-2048 key; gives its bundle.
    pub(crate) async fn create(&self, name: &str) -> Value {
        let (status, bundle) = self.call("POST", &format!("/keys/{name}/create"), json!({ "kty": "RSA" })).await;
        assert_eq!(status, StatusCode::OK, "{bundle}");
        bundle
    }

    /// Injects a fault on one operation.
    pub(crate) fn inject(&self, operation: Operation, effect: FaultEffect, count: Option<u32>) -> keyvault::FaultId {
        let target = FaultTarget::Operation(operation);
        let fault = Fault { target, count: count.and_then(NonZeroU32::new), ..Fault::new(effect) };
        self.control.inject(fault).unwrap()
    }
}

/// A client that finds Azure's names at `address` and trusts `authority`.
pub(crate) fn client(authority: &Authority, address: SocketAddr) -> reqwest::ClientBuilder {
    let certificate = reqwest::Certificate::from_der(&authority.certificate).unwrap();
    Client::builder()
        .tls_certs_only([certificate])
        .no_proxy()
        .timeout(DEADLINE)
        .resolve("kyanite.vault.azure.net", address)
        .resolve("second.vault.azure.net", address)
        .resolve("pool.managedhsm.azure.net", address)
        .resolve("nobody.vault.azure.net", address)
        .resolve("login.microsoftonline.com", address)
}

/// The version id at the end of a `kid`.
pub(crate) fn version_of(bundle: &Value) -> String {
    bundle["key"]["kid"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

/// Status and body; an empty body is null.
pub(crate) async fn json_of(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let body = response.bytes().await.unwrap();
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("a JSON body") };
    (status, body)
}

/// Waits until `look` gives something.
pub(crate) async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("never saw {what}"))
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}
