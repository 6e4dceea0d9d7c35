//! A scripted vault and token endpoint under Azure's names: a forward proxy whose every tunnel ends here, TLS with a
//! certificate of a throw-away CA, real RSA; and a machine's identity endpoint for requests in absolute form. It answers
//! in shapes recorded from Azure and knows no rules of its own: each test says what it should answer.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};

use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, Pkcs1PrivateDecryptingKey,
    Pkcs1PublicEncryptingKey, PrivateDecryptingKey,
};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub(crate) const REGION: &str = "westeurope";

/// What the next call to the vault gets instead of an answer.
#[derive(Clone)]
pub(crate) enum Fault {
    Answer { status: u16, body: &'static str, retry_after: Option<u32> },
    HalfBody,
    Hang,
    WrongKid,
}

#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) ca_pem: String,
    /// The helper of Azure's proxy mode.
    pub(crate) helper: String,
    pub(crate) proxy: String,
    script: Arc<Script>,
}

impl Peer {
    /// A vault with the given versions of the key `kms`; the last is the newest.
    pub(crate) fn start(versions: &[&str]) -> Self {
        let script = Arc::new(Script::default());
        let (ready, started) = std::sync::mpsc::channel();
        // Its own thread: what it logs is not the plugin's.
        std::thread::spawn({
            let script = Arc::clone(&script);
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let (acceptor, ca_pem) = tls();
                    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                    let helper = TcpListener::bind("127.0.0.1:0").await.unwrap();
                    ready.send((listener.local_addr().unwrap(), helper.local_addr().unwrap(), ca_pem)).unwrap();
                    let helping = helper_routes(Arc::clone(&script));
                    tokio::spawn(async move { axum::serve(helper, helping).await.unwrap() });
                    let tunnels = Tunnels::open(listener, acceptor, Arc::clone(&script));
                    axum::serve(tunnels, routes(script)).await.unwrap();
                });
            }
        });
        let (address, helper, ca_pem) = started.recv().unwrap();
        let peer = Self { ca_pem, helper: format!("http://{helper}"), proxy: format!("http://{address}"), script };
        for version in versions {
            peer.add_version(version);
        }
        peer
    }

    pub(crate) fn add_version(&self, version: &str) {
        self.script.state().versions.push((version.to_owned(), true));
    }

    pub(crate) fn remove_version(&self, version: &str) {
        self.script.state().versions.retain(|(name, _)| name != version);
    }

    pub(crate) fn set_enabled(&self, version: &str, enabled: bool) {
        let mut state = self.script.state();
        state.versions.iter_mut().find(|(name, _)| name == version).unwrap().1 = enabled;
    }

    pub(crate) fn forbid_listing(&self) {
        self.script.state().listing_forbidden = true;
    }

    /// The next calls to the vault get these, in order.
    pub(crate) fn fail_next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.script.state().faults.extend(faults);
    }

    /// What is left of them is not given any more.
    pub(crate) fn forget_faults(&self) {
        self.script.state().faults.clear();
    }

    /// From now on calls to the vault wait for `release`.
    pub(crate) fn hold(&self) {
        self.script.held.send_replace(true);
    }

    pub(crate) fn release(&self) {
        self.script.held.send_replace(false);
    }

    /// How many calls to the vault are, and were at most, there at once.
    pub(crate) fn at_once(&self) -> (u64, u64) {
        let state = self.script.state();
        (state.at_once, state.most_at_once)
    }

    /// The services that the helper of the proxy mode was asked for.
    pub(crate) fn targets(&self) -> Vec<String> {
        self.script.state().targets.clone()
    }

    /// The forms by which tokens were asked for.
    pub(crate) fn token_forms(&self) -> Vec<String> {
        self.script.state().token_forms.clone()
    }

    /// How long tokens live from now on.
    pub(crate) fn set_token_lifetime_secs(&self, secs: u64) {
        self.script.state().token_lifetime_secs = secs;
    }

    /// The next requests for a token get these, in order.
    pub(crate) fn fail_next_tokens(&self, faults: impl IntoIterator<Item = Fault>) {
        self.script.state().token_faults.extend(faults);
    }

    pub(crate) fn refuse_tokens(&self) {
        self.script.state().tokens_refused = true;
    }

    /// From now on the vault takes none of the tokens given so far.
    pub(crate) fn revoke_tokens(&self) {
        self.script.state().oldest_token = self.calls("token") + 1;
    }

    /// How often `encrypt`, `decrypt`, `versions` or `token` was called, whatever came of it.
    pub(crate) fn calls(&self, operation: &str) -> u64 {
        self.script.state().calls.get(operation).copied().unwrap_or(0)
    }

    /// The ciphertext texts given out so far.
    pub(crate) fn ciphertexts(&self) -> Vec<String> {
        self.script.state().ciphertexts.clone()
    }

    /// The `x-ms-client-request-id` of all calls to the vault.
    pub(crate) fn request_ids(&self) -> Vec<String> {
        self.script.state().request_ids.clone()
    }
}

struct Script {
    held: watch::Sender<bool>,
    state: Mutex<Scripted>,
}

impl Default for Script {
    fn default() -> Self {
        let state = Scripted { token_lifetime_secs: 3599, ..Scripted::default() };
        Self { held: watch::channel(false).0, state: Mutex::new(state) }
    }
}

impl Script {
    fn state(&self) -> std::sync::MutexGuard<'_, Scripted> {
        self.state.lock().unwrap()
    }
}

#[derive(Default)]
struct Scripted {
    at_once: u64,
    calls: BTreeMap<&'static str, u64>,
    ciphertexts: Vec<String>,
    faults: VecDeque<Fault>,
    listing_forbidden: bool,
    most_at_once: u64,
    oldest_token: u64,
    request_ids: Vec<String>,
    targets: Vec<String>,
    token_faults: VecDeque<Fault>,
    token_forms: Vec<String>,
    token_lifetime_secs: u64,
    tokens_refused: bool,
    versions: Vec<(String, bool)>,
}

impl Scripted {
    fn count(&mut self, operation: &'static str) -> u64 {
        let calls = self.calls.entry(operation).or_default();
        *calls += 1;
        *calls
    }
}

fn routes(script: Arc<Script>) -> Router {
    Router::new().route("/{tenant}/oauth2/v2.0/token", post(token)).merge(vault()).with_state(script)
}

/// Hosts in the path, in plain HTTP; the header that names the service is written down.
fn helper_routes(script: Arc<Script>) -> Router {
    let noting = Arc::clone(&script);
    Router::new()
        .route("/{tenant}/oauth2/v2.0/token", post(token))
        .nest("/kyanite.vault.azure.net", vault())
        .with_state(script)
        .layer(axum::middleware::map_request(move |headers: HeaderMap, request: axum::extract::Request| {
            let target = headers.get("x-azure-proxy-target").map(|value| value.to_str().unwrap().to_owned());
            noting.state().targets.push(target.unwrap_or_default());
            std::future::ready(request)
        }))
}

fn vault() -> Router<Arc<Script>> {
    Router::new()
        .route("/keys/kms/versions", get(versions))
        .route("/keys/kms/{version}/{operation}", post(operate))
        // The SDK leaves the version's segment empty.
        .route("/keys/kms//{operation}", post(operate_newest))
}

async fn token(State(script): State<Arc<Script>>, body: String) -> Response {
    let (number, fault) = {
        let mut state = script.state();
        state.token_forms.push(body.clone());
        (state.count("token"), state.token_faults.pop_front())
    };
    if let Some(fault) = fault {
        return faulty(fault).await;
    }
    let state = script.state();
    if state.tokens_refused {
        let body = json!({
            "error": "invalid_client",
            "error_description": "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID.",
            "error_codes": [7_000_215],
        });
        return (StatusCode::UNAUTHORIZED, body.to_string()).into_response();
    }
    let scopes = ["vault", "managedhsm"].map(|zone| format!("scope=https%3A%2F%2F{zone}.azure.net%2F.default"));
    assert!(scopes.iter().any(|scope| body.contains(scope)), "{body}");
    let token = format!("{TOKEN}{number}");
    let lifetime = state.token_lifetime_secs;
    json!({ "token_type": "Bearer", "expires_in": lifetime, "access_token": token }).to_string().into_response()
}

/// What every access token starts with.
pub(crate) const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.scripted-access-token.";

/// What the identity endpoint of a machine answers to a whole request: `client_id=known` is its one user-assigned
/// identity.
fn identity(script: &Script, head: &str) -> String {
    let target = head.strip_prefix("GET http://169.254.169.254/metadata/identity/oauth2/token?");
    let query = target.and_then(|rest| rest.split(' ').next()).unwrap_or_else(|| panic!("{head}"));
    assert!(head.to_ascii_lowercase().contains("metadata: true\r\n"), "{head}");
    assert!(query.contains("resource=https%3A%2F%2Fvault.azure.net"), "{query}");
    let number = script.state().count("token");
    let (status, body) = if query.contains("client_id=") && !query.contains("client_id=known") {
        ("400 Bad Request", json!({ "error": "invalid_request", "error_description": "Identity not found" }))
    } else {
        let expires = "4102444800";
        let body = json!({
            "access_token": format!("{TOKEN}{number}"), "expires_in": "86400", "expires_on": expires,
            "token_type": "Bearer", "resource": "https://vault.azure.net",
        });
        ("200 OK", body)
    };
    let body = body.to_string();
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// What comes before any answer of the vault: the challenge, then the script.
fn precondition(script: &Script, operation: &'static str, headers: &HeaderMap) -> Result<Option<Fault>, Box<Response>> {
    let mut state = script.state();
    let token = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer ")?.strip_prefix(TOKEN));
    if token.and_then(|number| number.parse::<u64>().ok()).is_none_or(|number| number < state.oldest_token) {
        let host = headers.get("host").map_or("", |value| value.to_str().unwrap());
        let zone = if host.ends_with(".managedhsm.azure.net") { "managedhsm" } else { "vault" };
        let challenge = format!(
            r#"Bearer authorization="https://login.microsoftonline.com/11111111-1111-4111-8111-111111111111", resource="https://{zone}.azure.net""#
        );
        let body =
            r#"{"error":{"code":"Unauthorized","message":"AKV10000: Request is missing a Bearer or PoP token."}}"#;
        return Err(Box::new((StatusCode::UNAUTHORIZED, [("www-authenticate", challenge)], body).into_response()));
    }
    state.count(operation);
    if let Some(id) = headers.get("x-ms-client-request-id") {
        state.request_ids.push(id.to_str().unwrap().to_owned());
    }
    Ok(state.faults.pop_front())
}

async fn versions(State(script): State<Arc<Script>>, headers: HeaderMap) -> Response {
    let fault = match precondition(&script, "versions", &headers) {
        Ok(fault) => fault,
        Err(response) => return *response,
    };
    if let Some(fault) = fault {
        return faulty(fault).await;
    }
    let state = script.state();
    if state.listing_forbidden {
        return (StatusCode::FORBIDDEN, FORBIDDEN_BY_RBAC).into_response();
    }
    let items: Vec<_> = state
        .versions
        .iter()
        .map(|(version, enabled)| json!({ "kid": kid(version), "attributes": { "enabled": enabled } }))
        .collect();
    json!({ "value": items, "nextLink": null }).to_string().into_response()
}

async fn operate_newest(
    script: State<Arc<Script>>,
    Path(operation): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let newest = script.state().versions.last().map(|(version, _)| version.clone()).unwrap_or_default();
    operate(script, Path((newest, operation)), headers, body).await
}

async fn operate(
    State(script): State<Arc<Script>>,
    Path((version, operation)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let encrypting = operation == "encrypt";
    let fault = match precondition(&script, if encrypting { "encrypt" } else { "decrypt" }, &headers) {
        Ok(fault) => fault,
        Err(response) => return *response,
    };
    let wrong_kid = matches!(fault, Some(Fault::WrongKid));
    if let Some(fault) = fault.filter(|_| !wrong_kid) {
        return faulty(fault).await;
    }
    let parameters: Parameters = serde_json::from_slice(&body).unwrap();
    let is_oaep = match parameters.alg.as_str() {
        "RSA-OAEP-256" => true,
        "RSA1_5" => false,
        other => panic!("{other}"),
    };
    let value = URL_SAFE_NO_PAD.decode(&parameters.value).unwrap();
    {
        let mut state = script.state();
        state.at_once += 1;
        state.most_at_once = state.most_at_once.max(state.at_once);
    }
    script.held.subscribe().wait_for(|held| !held).await.unwrap();
    script.state().at_once -= 1;

    let mut state = script.state();
    let Some(index) = state.versions.iter().position(|(name, _)| *name == version) else {
        let body = format!(
            r#"{{"error":{{"code":"KeyNotFound","message":"A key with (name/id) kms/{version} was not found in this key vault. If you recently deleted this key you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"}}}}"#
        );
        return (StatusCode::NOT_FOUND, body).into_response();
    };
    if !state.versions[index].1 {
        let body = format!(
            r#"{{"error":{{"code":"Forbidden","message":"Operation {operation} is not allowed on a disabled key.","innererror":{{"code":"KeyDisabled"}}}}}}"#
        );
        return (StatusCode::FORBIDDEN, body).into_response();
    }
    let result = if encrypting {
        let text = URL_SAFE_NO_PAD.encode(encrypt(index, is_oaep, &value));
        state.ciphertexts.push(text.clone());
        text
    } else {
        match decrypt(index, is_oaep, &value) {
            Some(plain) => URL_SAFE_NO_PAD.encode(plain),
            None => return (StatusCode::BAD_REQUEST, BAD_CIPHERTEXT).into_response(),
        }
    };
    let host = headers.get("host").map_or("", |value| value.to_str().unwrap());
    let kid = if wrong_kid {
        "https://other.vault.azure.net/keys/kms/v1".to_owned()
    } else if host.ends_with(".managedhsm.azure.net") {
        format!("https://{host}/keys/kms/{version}")
    } else {
        kid(&version)
    };
    let headers = [
        ("x-ms-request-id", "9d2e1a31-6c39-4c51-9d0b-0a3c1b2d4e5f"),
        ("x-ms-keyvault-region", REGION),
        ("content-type", "application/json; charset=utf-8"),
    ];
    (headers, json!({ "kid": kid, "value": result }).to_string()).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    alg: String,
    value: String,
}

async fn faulty(fault: Fault) -> Response {
    match fault {
        Fault::Answer { status, body, retry_after } => {
            let status = StatusCode::from_u16(status).unwrap();
            match retry_after {
                Some(seconds) => (status, [("retry-after", seconds.to_string())], body).into_response(),
                None => (status, body).into_response(),
            }
        }
        Fault::HalfBody => {
            let parts = [Ok("{\"kid\":\"https://kyan"), Err(io::Error::other("cut"))];
            Body::from_stream(futures::stream::iter(parts)).into_response()
        }
        Fault::Hang => std::future::pending().await,
        Fault::WrongKid => unreachable!("answered with another kid"),
    }
}

pub(crate) const FORBIDDEN_BY_RBAC: &str = r#"{"error":{"code":"Forbidden","message":"Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role definitions were changed recently, please observe propagation time.\r\nCaller: appid=22222222-2222-4222-8222-222222222222;oid=33333333-3333-4333-8333-333333333333;iss=https://sts.windows.net/11111111-1111-4111-8111-111111111111/\r\nAction: 'Microsoft.KeyVault/vaults/keys/read'\r\nVault: kyanite;location=westeurope\r\n","innererror":{"code":"ForbiddenByRbac"}}}"#;
const BAD_CIPHERTEXT: &str = r#"{"error":{"code":"BadParameter","message":"The parameter is incorrect.\r\n"}}"#;

fn kid(version: &str) -> String {
    format!("https://kyanite.vault.azure.net/keys/kms/{version}")
}

/// The keys of all tests, made once; the versions of a vault use them in order.
fn keys() -> &'static [PrivateDecryptingKey] {
    static KEYS: OnceLock<Vec<PrivateDecryptingKey>> = OnceLock::new();
    KEYS.get_or_init(|| (0..3).map(|_| PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap()).collect())
}

fn encrypt(index: usize, is_oaep: bool, plain: &[u8]) -> Vec<u8> {
    if !is_oaep {
        let key = Pkcs1PublicEncryptingKey::new(keys()[index].public_key()).unwrap();
        let mut out = vec![0; key.ciphertext_size()];
        return key.encrypt(plain, &mut out).unwrap().to_vec();
    }
    let key = OaepPublicEncryptingKey::new(keys()[index].public_key()).unwrap();
    let mut out = vec![0; key.ciphertext_size()];
    key.encrypt(&OAEP_SHA256_MGF1SHA256, plain, &mut out, None).unwrap().to_vec()
}

fn decrypt(index: usize, is_oaep: bool, ciphertext: &[u8]) -> Option<Vec<u8>> {
    if !is_oaep {
        let key = Pkcs1PrivateDecryptingKey::new(keys()[index].clone()).unwrap();
        let mut out = vec![0; key.min_output_size()];
        return key.decrypt(ciphertext, &mut out).ok().map(|plain| plain.to_vec());
    }
    let key = OaepPrivateDecryptingKey::new(keys()[index].clone()).unwrap();
    let mut out = vec![0; key.min_output_size()];
    key.decrypt(&OAEP_SHA256_MGF1SHA256, ciphertext, &mut out, None).ok().map(|plain| plain.to_vec())
}

fn tls() -> (TlsAcceptor, String) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca_params = CertificateParams::new(Vec::new()).unwrap();
    ca_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = ca_params.self_signed(&ca_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = ["*.vault.azure.net", "*.managedhsm.azure.net", "login.microsoftonline.com"].map(str::to_owned);
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &Issuer::new(ca_params, ca_key)).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), ca.pem())
}

/// The TLS connections inside the tunnels that clients have opened.
struct Tunnels {
    address: SocketAddr,
    opened: mpsc::Receiver<TlsStream<TcpStream>>,
}

impl Tunnels {
    fn open(listener: TcpListener, acceptor: TlsAcceptor, script: Arc<Script>) -> Self {
        let address = listener.local_addr().unwrap();
        let (sender, opened) = mpsc::channel(16);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (acceptor, sender, script) = (acceptor.clone(), sender.clone(), Arc::clone(&script));
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(client.read_u8().await?);
                    }
                    if !head.starts_with(b"CONNECT ") {
                        return client.write_all(identity(&script, &String::from_utf8_lossy(&head)).as_bytes()).await;
                    }
                    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
                    let _ = sender.send(acceptor.accept(client).await?).await;
                    io::Result::Ok(())
                });
            }
        });
        Self { address, opened }
    }
}

impl axum::serve::Listener for Tunnels {
    type Addr = SocketAddr;
    type Io = TlsStream<TcpStream>;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.opened.recv().await {
            Some(stream) => (stream, self.address),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
