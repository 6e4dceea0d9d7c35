//! Upstream's integration tests of encryption at rest (`test/integration/controlplane/transformation`), by their names, over a
//! real etcd and plugins in this process, on the stack's clock. `docs/upstream-tests.md` maps all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apiserver::EncryptionReload;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clock::Clock;
use envelope::{
    EncryptedObject, EncryptionConfiguration, KeyCipher, KeyList, KeyMaterial, Kms, KmsV1, ParseOptions, ProviderName,
    Read, ReadV1, SourceType, SystemRandom,
};
use kms_api::{Endpoint, v1beta1 as v1, v2};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tonic::{Request, Response, Status};

use crate::etcd::Etcd;
use crate::server::{Server, answer, config, wait_until};

const SECRETS: &str = "/api/v1/namespaces/default/secrets";

/// The plugin of upstream's tests: it encrypts to base64, and is disabled or not. Both versions of the protocol.
#[derive(Clone, Default)]
struct Base64Plugin(Arc<Mutex<PluginState>>);

struct PluginState {
    key_id: &'static str,
    is_failed: bool,
    /// What it was last asked to encrypt.
    last_plaintext: Vec<u8>,
}

impl Default for PluginState {
    fn default() -> Self {
        Self { key_id: "1", is_failed: false, last_plaintext: Vec::new() }
    }
}

impl Base64Plugin {
    fn fail(&self, is_failed: bool) {
        self.0.lock().unwrap().is_failed = is_failed;
    }

    fn update_key_id(&self) {
        self.0.lock().unwrap().key_id = "2";
    }

    fn last_plaintext(&self) -> Vec<u8> {
        self.0.lock().unwrap().last_plaintext.clone()
    }

    fn key_id(&self) -> Result<String, Status> {
        let state = self.0.lock().unwrap();
        if state.is_failed {
            return Err(Status::failed_precondition("failed precondition - key disabled"));
        }
        Ok(state.key_id.to_owned())
    }

    fn encrypt(&self, plaintext: Vec<u8>) -> Result<Vec<u8>, Status> {
        self.key_id()?;
        let ciphertext = BASE64_STANDARD.encode(&plaintext).into_bytes();
        self.0.lock().unwrap().last_plaintext = plaintext;
        Ok(ciphertext)
    }

    fn decrypt(&self, ciphertext: &[u8]) -> Result<Vec<u8>, Status> {
        self.key_id()?;
        BASE64_STANDARD.decode(ciphertext).map_err(|error| Status::invalid_argument(error.to_string()))
    }

    async fn listen(&self, socket: &str) -> JoinHandle<()> {
        let listener = socket.parse::<Endpoint>().unwrap().bind().await.unwrap();
        let server = tonic::transport::Server::builder()
            .add_service(v2::key_management_service_server::KeyManagementServiceServer::new(self.clone()))
            .add_service(v1::key_management_service_server::KeyManagementServiceServer::new(self.clone()));
        tokio::spawn(async move { server.serve_with_incoming(listener).await.unwrap() })
    }
}

fn annotations() -> std::collections::HashMap<String, Vec<u8>> {
    [("local-kek.kms.kubernetes.io".to_owned(), b"encrypted-local-kek".to_vec())].into()
}

#[tonic::async_trait]
impl v2::key_management_service_server::KeyManagementService for Base64Plugin {
    async fn status(&self, _: Request<v2::StatusRequest>) -> Result<Response<v2::StatusResponse>, Status> {
        let key_id = self.key_id()?;
        Ok(Response::new(v2::StatusResponse { version: "v2beta1".into(), healthz: "ok".into(), key_id }))
    }

    async fn encrypt(&self, request: Request<v2::EncryptRequest>) -> Result<Response<v2::EncryptResponse>, Status> {
        let v2::EncryptRequest { plaintext, uid } = request.into_inner();
        if uid.is_empty() {
            return Err(Status::invalid_argument("uid is required"));
        }
        let (ciphertext, key_id) = (Self::encrypt(self, plaintext)?, self.key_id()?);
        let annotations = annotations().into_iter().collect();
        Ok(Response::new(v2::EncryptResponse { ciphertext, key_id, annotations }))
    }

    async fn decrypt(&self, request: Request<v2::DecryptRequest>) -> Result<Response<v2::DecryptResponse>, Status> {
        let request = request.into_inner();
        if request.uid.is_empty() || request.annotations != annotations().into_iter().collect() {
            return Err(Status::invalid_argument("uid and annotations are required"));
        }
        Ok(Response::new(v2::DecryptResponse { plaintext: Self::decrypt(self, &request.ciphertext)? }))
    }
}

#[tonic::async_trait]
impl v1::key_management_service_server::KeyManagementService for Base64Plugin {
    async fn version(&self, _: Request<v1::VersionRequest>) -> Result<Response<v1::VersionResponse>, Status> {
        let version = "v1beta1".to_owned();
        Ok(Response::new(v1::VersionResponse { version, runtime_name: "base64".into(), runtime_version: "0".into() }))
    }

    async fn encrypt(&self, request: Request<v1::EncryptRequest>) -> Result<Response<v1::EncryptResponse>, Status> {
        Ok(Response::new(v1::EncryptResponse { cipher: Self::encrypt(self, request.into_inner().plain)? }))
    }

    async fn decrypt(&self, request: Request<v1::DecryptRequest>) -> Result<Response<v1::DecryptResponse>, Status> {
        Ok(Response::new(v1::DecryptResponse { plain: Self::decrypt(self, &request.into_inner().cipher)? }))
    }
}

/// Plugins on sockets of their own, a clock, and a server that is told of them by a file.
struct Transform {
    clock: Clock,
    folder: TempDir,
    plugins: Vec<(Base64Plugin, JoinHandle<()>)>,
}

impl Transform {
    /// With so many plugins.
    async fn new(plugins: usize) -> Self {
        let mut transform = Self { clock: Clock::new(), folder: TempDir::new().unwrap(), plugins: Vec::new() };
        for _ in 0..plugins {
            let plugin = Base64Plugin::default();
            let listening = plugin.listen(&transform.socket(transform.plugins.len())).await;
            transform.plugins.push((plugin, listening));
        }
        transform
    }

    fn plugin(&self, number: usize) -> &Base64Plugin {
        &self.plugins[number].0
    }

    fn socket(&self, number: usize) -> String {
        format!("unix://{}/{number}.sock", self.folder.path().display())
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("encryption.yaml")
    }

    /// Writes the file with these rules, in which `SOCKET<i>` stands for the socket of a plugin.
    fn write(&self, rules: &str) -> Vec<u8> {
        let mut rules = rules.to_owned();
        for number in 0..self.plugins.len() {
            rules = rules.replace(&format!("SOCKET{number}"), &format!("'{}'", self.socket(number)));
        }
        let file =
            format!("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: {rules}\n");
        std::fs::write(self.file(), &file).unwrap();
        file.into_bytes()
    }

    async fn server(&self, rules: &str, reload: bool) -> Server {
        self.server_on(Etcd::start().await, rules, reload).await
    }

    async fn server_on(&self, etcd: Etcd, rules: &str, reload: bool) -> Server {
        let options = ParseOptions { kms_v1: true, reload };
        let mut config = config(&etcd, &self.clock);
        config.encryption = Some(EncryptionConfiguration::parse_with(&self.write(rules), options).unwrap());
        config.encryption_reload = reload.then(|| EncryptionReload { file: self.file(), options });
        Server::start_with(etcd, config).await
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds)).unwrap();
    }
}

async fn create(server: &Server, name: &str) -> (StatusCode, Value) {
    server.send(Method::POST, SECRETS, json!({"metadata": {"name": name}, "stringData": {"api_key": "086a7ffc"}})).await
}

async fn created(server: &Server, name: &str) -> Value {
    let (code, body) = create(server, name).await;
    assert_eq!(code, StatusCode::CREATED, "{body}");
    body
}

async fn replaced(server: &Server, name: &str) -> Value {
    let (_, read) = server.get(&format!("{SECRETS}/{name}")).await;
    let (code, body) = server.send(Method::PUT, &format!("{SECRETS}/{name}"), read).await;
    assert_eq!(code, StatusCode::OK, "{body}");
    body["metadata"]["resourceVersion"].clone()
}

async fn stored(server: &Server, name: &str) -> Vec<u8> {
    server.etcd.value(&etcd_key(name)).await
}

fn etcd_key(name: &str) -> String {
    format!("/registry/secrets/default/{name}")
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// A health path's answer, with nothing remembered from before.
async fn health(transform: &Transform, server: &Server, check: &str) -> (u16, String) {
    transform.advance(21);
    let (code, body) = answer(server.anonymous(Method::GET, &format!("/healthz/{check}"))).await;
    (code.as_u16(), body.as_str().unwrap().trim_end().to_owned())
}

/// A health text without the sentence that only the first to hear of a failed Status is told: the check that nobody asks for
/// may have been it.
fn bare((code, text): (u16, String)) -> (u16, String) {
    let mut bare = text.clone();
    for provider in ["kms-provider", "provider-1", "provider-2"] {
        let sentence =
            format!("failed to perform status section of the healthz check for KMS Provider {provider}, error: ");
        bare = bare.replace(&sentence, "");
    }
    (code, bare)
}

async fn assert_no_livez(server: &Server, check: &str) {
    assert_eq!(answer(server.anonymous(Method::GET, &format!("/livez/{check}"))).await.0, StatusCode::NOT_FOUND);
}

const DISABLED: &str = "rpc error: code = FailedPrecondition desc = failed precondition - key disabled";

#[tokio::test]
async fn test_secrets_should_be_transformed() {
    let keys = "keys: [{name: key1, secret: c2VjcmV0IGlzIHNlY3VyZQ==}, {name: key2, secret: dGhpcyBpcyBwYXNzd29yZA==}]";
    for cipher in [KeyCipher::AesGcm, KeyCipher::AesCbc] {
        let transform = Transform::new(0).await;
        let rules = format!("[{{resources: [secrets], providers: [{{{}: {{{keys}}}}}]}}]", cipher.name());
        let server = transform.server(&rules, false).await;
        created(&server, "test-secret").await;
        let raw = stored(&server, "test-secret").await;
        assert!(raw.starts_with(format!("{}key1:", cipher.prefix()).as_bytes()));
        let key = KeyMaterial::new(b"secret is secure".to_vec());
        let list = KeyList::new(cipher, [("key1".to_owned(), key)]).unwrap();
        let opened = list.open(&etcd_key("test-secret"), &raw[cipher.prefix().len()..], |_, _| {}).unwrap();
        assert!(contains(&opened.plain, "086a7ffc"));
        let (_, read) = server.get(&format!("{SECRETS}/test-secret")).await;
        assert_eq!(read["data"]["api_key"], BASE64_STANDARD.encode("086a7ffc"));
    }
}

const ONE_V1: &str =
    "[{resources: [secrets], providers: [{kms: {name: kms-provider, cachesize: 1000, endpoint: SOCKET0}}]}]";

#[tokio::test]
async fn test_kms_provider() {
    let transform = Transform::new(1).await;
    let server = transform.server(ONE_V1, false).await;
    let first = created(&server, "test-secret").await;
    let open = |raw: &[u8], dek: Vec<u8>| {
        let mut kms = KmsV1::new("kms-provider", None);
        let body = raw.strip_prefix(b"k8s:enc:kms:v1:kms-provider:").expect("the provider's prefix");
        let ReadV1::AskDecrypt(pending) = kms.read(body).unwrap() else { panic!("no cache") };
        let encrypted = pending.encrypted_dek().to_vec();
        let opened = kms.decrypt_answered(pending, Ok(KeyMaterial::new(dek))).unwrap().open(&etcd_key("test-secret"));
        (encrypted, opened.unwrap())
    };
    let dek = transform.plugin(0).last_plaintext();
    let (encrypted, opened) = open(&stored(&server, "test-secret").await, dek.clone());
    assert_eq!(transform.plugin(0).decrypt(&encrypted).unwrap(), dek, "what etcd has is what the plugin was given");
    assert!(contains(&opened.plain, "086a7ffc") && !opened.stale);
    let (_, read) = server.get(&format!("{SECRETS}/test-secret")).await;
    assert_eq!(read["data"]["api_key"], first["data"]["api_key"]);

    // A value of a server before 1.25: the same, in AES-CBC. A no-op update writes it anew.
    let old_dek = [9_u8; 32];
    let list = KeyList::new(KeyCipher::AesCbc, [("k".to_owned(), KeyMaterial::new(old_dek.to_vec()))]).unwrap();
    let cbc = list.seal(&etcd_key("test-secret"), &opened.plain, &SystemRandom).unwrap();
    let encrypted = BASE64_STANDARD.encode(old_dek).into_bytes();
    let length = u16::try_from(encrypted.len()).unwrap().to_be_bytes();
    let body = &cbc["k8s:enc:aescbc:v1:k:".len()..];
    let old = [b"k8s:enc:kms:v1:kms-provider:".as_slice(), &length, &encrypted, body].concat();
    server.etcd.client().await.put(etcd_key("test-secret"), old, None).await.unwrap();
    let (code, read) = server.get(&format!("{SECRETS}/test-secret")).await;
    assert_eq!((code, &read["data"]), (StatusCode::OK, &first["data"]));
    assert_ne!(replaced(&server, "test-secret").await, read["metadata"]["resourceVersion"]);
    let (_, opened) = open(&stored(&server, "test-secret").await, transform.plugin(0).last_plaintext());
    assert!(contains(&opened.plain, "086a7ffc") && !opened.stale, "AES-GCM again");
}

const TWO_V1: &str = "[{resources: [secrets], providers: [{kms: {name: provider-1, endpoint: SOCKET0}}, \
                      {kms: {name: provider-2, endpoint: SOCKET1}}]}]";

#[tokio::test]
async fn test_kms_healthz() {
    let transform = Transform::new(2).await;
    let server = transform.server(TWO_V1, false).await;
    let ok = || (200, "ok".to_owned());
    for check in ["kms-provider-0", "kms-provider-1"] {
        assert_eq!(health(&transform, &server, check).await, ok());
        assert_no_livez(&server, check).await;
    }
    assert_eq!(health(&transform, &server, "kms-providers").await.0, 404);
    for (failed, other) in [(0, 1), (1, 0)] {
        transform.plugin(failed).fail(true);
        let (code, body) = health(&transform, &server, &format!("kms-provider-{failed}")).await;
        let section =
            format!("failed to perform encrypt section of the healthz check for KMS Provider provider-{}", failed + 1);
        assert_eq!((code, body), (500, format!("internal server error: {section}, error: {DISABLED}")));
        assert_eq!(health(&transform, &server, &format!("kms-provider-{other}")).await, ok());
        assert_no_livez(&server, &format!("kms-provider-{failed}")).await;
        transform.plugin(failed).fail(false);
    }
    for check in ["kms-provider-0", "kms-provider-1"] {
        assert_eq!(health(&transform, &server, check).await, ok());
    }
}

#[tokio::test]
async fn test_kms_healthz_with_reload() {
    let transform = Transform::new(2).await;
    let server = transform.server(TWO_V1, true).await;
    assert_eq!(health(&transform, &server, "kms-providers").await, (200, "ok".into()));
    for failed in [0, 1] {
        transform.plugin(failed).fail(true);
        let want = format!(
            "internal server error: kms-provider-{failed}: failed to perform encrypt section of the healthz check for KMS \
             Provider provider-{}, error: {DISABLED}",
            failed + 1
        );
        assert_eq!(health(&transform, &server, "kms-providers").await, (500, want));
        transform.plugin(failed).fail(false);
    }
    assert_eq!(health(&transform, &server, "kms-providers").await, (200, "ok".into()));
}

#[tokio::test]
async fn test_encryption_config_hot_reload() {
    let transform = Transform::new(3).await;
    let server = transform.server(ONE_V1, true).await;
    created(&server, "test-secret").await;
    created(&server, "test-secret-1").await;
    let config_map = json!({"metadata": {"name": "test-configmap"}, "data": {"k": "v"}});
    server.send(Method::POST, "/api/v1/namespaces/default/configmaps", config_map).await;
    transform.write(
        "[{resources: [secrets], providers: [{kms: {name: new-kms-provider-for-secrets, endpoint: SOCKET1}}, \
         {kms: {name: kms-provider, endpoint: SOCKET0}}]}, {resources: [configmaps], providers: \
         [{kms: {name: new-kms-provider-for-configmaps, endpoint: SOCKET1}}, {identity: {}}]}]",
    );
    let new_prefix = "k8s:enc:kms:v1:new-kms-provider-for-secrets:";
    swapped(&transform, &server, new_prefix).await;

    // The storage migration of the documentation: everything is read and written again.
    for name in ["test-secret", "test-secret-1"] {
        replaced(&server, name).await;
        assert!(stored(&server, name).await.starts_with(new_prefix.as_bytes()));
    }
    let path = "/api/v1/namespaces/default/configmaps/test-configmap";
    let (_, read) = server.get(path).await;
    assert_eq!(server.send(Method::PUT, path, read).await.0, StatusCode::OK);
    let raw = server.etcd.value("/registry/configmaps/default/test-configmap").await;
    assert!(raw.starts_with(b"k8s:enc:kms:v1:new-kms-provider-for-configmaps:"));

    // The old provider is taken out, and everything else gets one.
    let rules = "[{resources: [secrets], providers: [{kms: {name: new-kms-provider-for-secrets, endpoint: SOCKET1}}]}, \
                 {resources: [configmaps], providers: [{kms: {name: new-kms-provider-for-configmaps, endpoint: SOCKET1}}]}, \
                 {resources: ['*.*'], providers: [{kms: {name: kms-provider-to-encrypt-all, endpoint: SOCKET2}}, {identity: {}}]}]";
    transform.write(rules);
    transform.advance(60);
    let success = "apiserver_encryption_config_controller_automatic_reloads_total{apiserver_id_hash=\"";
    wait_until("two reloads to have gone well", || async {
        let (_, metrics) = server.get("/metrics").await;
        let lines = metrics.as_str().unwrap().lines().filter(|line| line.starts_with(success));
        let found: Vec<_> = lines.filter(|line| line.contains("status=\"success\"")).map(str::to_owned).collect();
        if found.len() == 1 && found[0].ends_with(" 2") { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
    assert_eq!(server.get(&format!("{SECRETS}/test-secret")).await.0, StatusCode::OK);
    assert_eq!(
        server.get("/api/v1/secrets").await.1["items"].as_array().unwrap().len(),
        2,
        "a list of the whole cluster"
    );

    // And after a restart.
    let server = transform.server_on(server.stop().await, rules, true).await;
    assert_eq!(server.get("/api/v1/secrets").await.1["items"].as_array().unwrap().len(), 2);
}

/// Lets minutes pass until a new Secret's value starts so.
async fn swapped(transform: &Transform, server: &Server, prefix: &str) {
    transform.advance(60);
    let number = Mutex::new(0);
    wait_until("the new provider to write", || async {
        let name = {
            let mut number = number.lock().unwrap();
            *number += 1;
            format!("probe-{number}")
        };
        created(server, &name).await;
        let raw = stored(server, &name).await;
        server.send(Method::DELETE, &format!("{SECRETS}/{name}"), json!({})).await;
        if raw.starts_with(prefix.as_bytes()) { Ok(()) } else { Err(String::from_utf8_lossy(&raw[..40]).into_owned()) }
    })
    .await;
}

#[tokio::test]
async fn test_encrypt_all_with_wildcard() {
    let transform = Transform::new(2).await;
    let rules = "[{resources: [configmaps], providers: [{identity: {}}]}, {resources: ['*.batch'], providers: \
                 [{kms: {name: kms-provider, endpoint: SOCKET0}}]}, {resources: ['*.*'], providers: \
                 [{kms: {name: encrypt-all-kms-provider, endpoint: SOCKET1}}]}]";
    let server = transform.server(rules, false).await;
    created(&server, "test-secret").await;
    assert!(stored(&server, "test-secret").await.starts_with(b"k8s:enc:kms:v1:encrypt-all-kms-provider:"));
    let config_map = json!({"metadata": {"name": "test-configmap"}});
    server.send(Method::POST, "/api/v1/namespaces/default/configmaps", config_map).await;
    let raw = server.etcd.value("/registry/configmaps/default/test-configmap").await;
    assert!(raw.starts_with(b"k8s\0"), "identity");
}

/// A KMS v2 provider behind the plugin's socket.
const V2: &str =
    "[{resources: [secrets], providers: [{kms: {apiVersion: v2, name: kms-provider, endpoint: SOCKET0}}]}]";
const V2_PREFIX: &[u8] = b"k8s:enc:kms:v2:kms-provider:";

fn record(raw: &[u8]) -> EncryptedObject {
    EncryptedObject::decode(raw.strip_prefix(V2_PREFIX).expect("the provider's prefix")).unwrap()
}

#[tokio::test]
async fn test_kmsv2_provider() {
    let transform = Transform::new(1).await;
    let server = transform.server(V2, false).await;
    created(&server, "test-secret").await;
    let raw = stored(&server, "test-secret").await;
    let object = record(&raw);
    assert_eq!(object.source_type(), SourceType::HkdfSha256XnonceAesGcmSeed, "also that of TestDefaultValues");
    let seed = transform.plugin(0).last_plaintext();
    assert_eq!(transform.plugin(0).decrypt(object.encrypted_dek_source().as_bytes()).unwrap(), seed);
    let opened = open_v2(object, seed);
    assert!(contains(&opened, "086a7ffc"));
    let (_, read) = server.get(&format!("{SECRETS}/test-secret")).await;
    assert_eq!(read["data"]["api_key"], BASE64_STANDARD.encode("086a7ffc"));
    let (_, metrics) = server.get("/metrics").await;
    let lines: Vec<&str> = metrics.as_str().unwrap().lines().collect();
    assert!(lines.contains(&"apiserver_envelope_encryption_dek_source_cache_size{provider_name=\"kms-provider\"} 1"));
    let used = |direction: &str| {
        let used = lines.iter().find(|line| {
            line.starts_with("apiserver_envelope_encryption_key_id_hash_total") && line.contains(direction)
        });
        used.and_then(|line| line.rsplit(' ').next()).map(str::to_owned)
    };
    assert_eq!(used("to_storage").as_deref(), Some("1"));
    // Upstream reads twice: its answer to the create, and the get. Here the created object is the answer.
    assert_eq!(used("from_storage").as_deref(), Some("1"));
}

/// Opens a record with this seed, outside any server.
fn open_v2(object: EncryptedObject, seed: Vec<u8>) -> Vec<u8> {
    let mut kms = Kms::new(ProviderName::new("kms-provider").unwrap());
    let now = Clock::new().now();
    let envelope::Check::AskStatus = kms.check(now) else { panic!("nothing is remembered") };
    let status = envelope::StatusAnswer { version: "v2".into(), healthz: "ok".into(), key_id: "1".into() };
    let envelope::Check::AskEncrypt(pending) = kms.status_answered(Ok(status), now, &SystemRandom) else {
        panic!("no seed")
    };
    let answer = envelope::EncryptAnswer { ciphertext: vec![1], key_id: "1".into(), annotations: BTreeMap::new() };
    kms.encrypt_answered(pending, Ok(answer), now).unwrap();
    let Read::AskDecrypt(pending) = kms.read(object, &SystemRandom).unwrap() else { panic!("another seed") };
    let opener = kms.decrypt_answered(pending, Ok(KeyMaterial::new(seed)), now).unwrap();
    opener.open(&etcd_key("test-secret")).unwrap().plain
}

#[tokio::test]
async fn test_kmsv2_provider_key_id_staleness() {
    let transform = Transform::new(1).await;
    let server = transform.server(V2, false).await;
    let version = created(&server, "test-secret").await["metadata"]["resourceVersion"].clone();
    // 1: no-op updates do not write.
    assert_eq!(replaced(&server, "test-secret").await, version);
    let first = record(&stored(&server, "test-secret").await);
    assert_eq!(first.key_id().as_str(), "1");

    // 2: once the key id has changed, a no-op update writes, under a new seed.
    transform.plugin(0).update_key_id();
    transform.advance(60);
    let rewritten = wait_until("the new key id to be picked up", || async {
        let found = replaced(&server, "test-secret").await;
        if found == version { Err("the same resourceVersion".to_owned()) } else { Ok(found) }
    })
    .await;
    let second = record(&stored(&server, "test-secret").await);
    assert_eq!(second.key_id().as_str(), "2");
    assert_ne!(second.encrypted_dek_source(), first.encrypted_dek_source());
    // 3: later ones do not.
    assert_eq!(replaced(&server, "test-secret").await, rewritten);

    // 4, 5: the plugin is down: writes go on, health tells it, no-op updates do not write.
    transform.plugin(0).fail(true);
    created(&server, "while-down").await;
    let told = health(&transform, &server, "kms-providers").await;
    assert_eq!(bare(told), (500, format!("internal server error: kms-provider-0: {DISABLED}")));
    assert_eq!(replaced(&server, "test-secret").await, rewritten);

    // 6, 7: five minutes later writes fail, and no-op updates still do not write.
    transform.advance(300);
    let (code, body) = create(&server, "too-late").await;
    let message = body["message"].as_str().unwrap();
    assert_eq!(code, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(
        message.contains("encryptedDEKSource with keyID hash \"sha256:") && message.contains("\" expired at "),
        "{message}"
    );
    assert_eq!(replaced(&server, "test-secret").await, rewritten);

    // 8: the plugin is back: writes resume, and nothing has become stale.
    transform.plugin(0).fail(false);
    assert_eq!(health(&transform, &server, "kms-providers").await, (200, "ok".into()));
    created(&server, "back").await;
    assert_eq!(replaced(&server, "test-secret").await, rewritten);
}

/// 200 Secrets in place of 1,000 pods.
#[tokio::test]
async fn test_kmsv2_provider_dek_source_reuse() {
    let transform = Transform::new(1).await;
    let server = transform.server(V2, false).await;
    let (mut sources, mut infos) = (BTreeSet::new(), BTreeSet::new());
    for number in 0..200 {
        let name = format!("dek-reuse-{number}");
        created(&server, &name).await;
        let object = record(&stored(&server, &name).await);
        sources.insert(object.encrypted_dek_source().as_bytes().to_vec());
        let (info, rest) = object.encrypted_data().split_at(32);
        assert!(info != [0; 32] && rest[..4] != [0; 4]);
        infos.insert(info.to_vec());
    }
    assert_eq!((sources.len(), infos.len()), (1, 200));
}

#[tokio::test]
async fn test_kmsv2_healthz() {
    let transform = Transform::new(2).await;
    let rules = "[{resources: [secrets], providers: [{kms: {apiVersion: v2, name: provider-1, endpoint: SOCKET0}}, \
                 {kms: {apiVersion: v2, name: provider-2, endpoint: SOCKET1}}]}]";
    let server = transform.server(rules, false).await;
    let ok = || (200, "ok".to_owned());
    let down = |number: usize| format!("kms-provider-{}: {DISABLED}", number - 1);
    assert_eq!(health(&transform, &server, "kms-providers").await, ok());
    assert_no_livez(&server, "kms-providers").await;
    for number in [1, 2] {
        transform.plugin(number - 1).fail(true);
        let want = format!("internal server error: {}", down(number));
        assert_eq!(bare(health(&transform, &server, "kms-providers").await), (500, want));
        transform.plugin(number - 1).fail(false);
        assert_eq!(health(&transform, &server, "kms-providers").await, ok());
    }
    transform.plugin(0).fail(true);
    transform.plugin(1).fail(true);
    let want = format!("internal server error: [{}, {}]", down(1), down(2));
    assert_eq!(bare(health(&transform, &server, "kms-providers").await), (500, want));
    transform.plugin(0).fail(false);
    transform.plugin(1).fail(false);
    assert_eq!(health(&transform, &server, "kms-providers").await, ok());
}

/// What a server wrote, the next one on the same etcd reads. (The feature flag of the name is locked upstream.)
#[tokio::test]
async fn test_kmsv2_feature_flag() {
    let transform = Transform::new(1).await;
    let server = transform.server(V2, false).await;
    let first = created(&server, "test-secret").await;
    let server = transform.server_on(server.stop().await, V2, false).await;
    let (code, read) = server.get(&format!("{SECRETS}/test-secret")).await;
    assert_eq!((code, &read["data"]), (StatusCode::OK, &first["data"]));
    let (_, listed) = server.get(SECRETS).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
}

/// Values that upstream recorded: of 1.27 (the DEK source is a key) and of 1.28 (a seed) for a Pod; here that of a Secret, as
/// `spec/kms.md` section 6 has both, under the key they were sealed for.
#[tokio::test]
async fn test_kmsv2_provider_legacy_data() {
    let v2_key = "6b38733a656e633a6b6d733a76323a617a7572656b6d7370726f76696465723a0a8d01a1a2a3a401ca9a3b00000000417949f7dfb3e0a5b0a8b4b3c145e5b68d495bbf8b44f717714c0228051f112642652dd1257695d0c7aa0f5e1954c721fd1bd692312409fd2fb4588d1fcd75f1158ddd825ae250583520e194966adfe26326ac6948f8c4452d9c0be237fa69c1ffc43e2a699c04823d4bb62b53bb4c9792f7946fcd25c2695e4d0461874a03a60d1201311a044544454b";
    let transform = Transform::new(1).await;
    let rules =
        "[{resources: [secrets], providers: [{kms: {apiVersion: v2, name: azurekmsprovider, endpoint: SOCKET0}}]}]";
    let server = transform.server(rules, false).await;
    // The plugin of these tests encrypts to base64 and wants its annotation: the record's head is written so.
    let head = b"k8s:enc:kms:v2:azurekmsprovider:".len();
    let recorded = hex::decode(v2_key).unwrap();
    let object = EncryptedObject::decode(&recorded[head..]).unwrap();
    let data = object.encrypted_data();
    let dek: Vec<u8> = (0..32).collect();
    let source = BASE64_STANDARD.encode(&dek);
    let field = |tag: u8, bytes: &[u8]| {
        let mut field = vec![tag];
        let mut length = bytes.len();
        while length > 127 {
            field.push(u8::try_from(length & 127).unwrap() | 128);
            length >>= 7;
        }
        field.push(u8::try_from(length).unwrap());
        [field, bytes.to_vec()].concat()
    };
    let entry = [field(0x0a, b"local-kek.kms.kubernetes.io"), field(0x12, b"encrypted-local-kek")].concat();
    let stored = [
        recorded[..head].to_vec(),
        field(0x0a, data),
        field(0x12, b"1"),
        field(0x1a, source.as_bytes()),
        field(0x22, &entry),
    ]
    .concat();
    server.etcd.client().await.put("/registry/secrets/default/vec1", stored, None).await.unwrap();
    let (code, read) = server.get(&format!("{SECRETS}/vec1")).await;
    assert_eq!((code, &read["data"]), (StatusCode::OK, &json!({"k": "dg=="})));
    assert_eq!(read["metadata"]["uid"], "00000000-0000-4000-8000-000000000001");
    let (_, listed) = server.get(SECRETS).await;
    assert_eq!(listed["items"][0]["data"], read["data"]);
    // It is stale: a no-op update writes it under a seed.
    assert_ne!(replaced(&server, "vec1").await, read["metadata"]["resourceVersion"]);
    let raw = server.etcd.value("/registry/secrets/default/vec1").await;
    assert_eq!(EncryptedObject::decode(&raw[head..]).unwrap().source_type(), SourceType::HkdfSha256XnonceAesGcmSeed);
}

/// The last byte of a stored value is flipped; deleting such an object is the front's part of `TestBitFlipCorruptObjectDeletion`.
#[tokio::test]
async fn test_bit_flip_corrupt_object() {
    let transform = Transform::new(0).await;
    let rules =
        "[{resources: [secrets], providers: [{aesgcm: {keys: [{name: key1, secret: c2VjcmV0IGlzIHNlY3VyZQ==}]}}]}]";
    let server = transform.server(rules, false).await;
    created(&server, "test-secret").await;
    let mut raw = stored(&server, "test-secret").await;
    *raw.last_mut().unwrap() ^= 1;
    server.etcd.client().await.put(etcd_key("test-secret"), raw, None).await.unwrap();
    let (code, body) = server.get(&format!("{SECRETS}/test-secret")).await;
    assert_eq!(code, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(body["message"], "Internal error occurred: cipher: message authentication failed");
    assert_eq!(body["details"]["causes"][0]["message"], "cipher: message authentication failed");
}
