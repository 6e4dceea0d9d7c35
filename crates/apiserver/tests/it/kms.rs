//! Secrets that a KMS v2 plugin protects, from the API down to the bytes in etcd and back.
//!
//! The plugin is a stand-in of these tests; the answers are those that a real kube-apiserver gave for the same fault
//! (`plugin_down.json` and `decrypt_fails.json` of the golden files).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use clock::Clock;
use envelope::EncryptionConfiguration;
use kms_api::Endpoint;
use kms_api::v2::key_management_service_server::{KeyManagementService, KeyManagementServiceServer};
use kms_api::v2::{DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse, StatusRequest, StatusResponse};
use kube::api::{ListParams, PostParams};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};

use crate::etcd::Etcd;
use crate::server::{Server, answer, config, secret, wait_until};

const SECRETS: &str = "/api/v1/namespaces/default/secrets";

/// How the plugin answers from now on.
#[derive(Clone, Debug)]
struct Behaviour {
    key_id: &'static str,
    decrypt_fails: Option<(Code, &'static str)>,
    status_fails: Option<(Code, &'static str)>,
}

#[derive(Clone)]
struct Plugin(Arc<Mutex<Behaviour>>);

impl Plugin {
    fn set(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.0.lock().unwrap());
    }

    fn now(&self) -> Behaviour {
        self.0.lock().unwrap().clone()
    }
}

#[tonic::async_trait]
impl KeyManagementService for Plugin {
    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        let Behaviour { key_id, status_fails, .. } = self.now();
        if let Some((code, text)) = status_fails {
            return Err(Status::new(code, text));
        }
        Ok(Response::new(StatusResponse { version: "v2".into(), healthz: "ok".into(), key_id: key_id.into() }))
    }

    async fn encrypt(&self, request: Request<EncryptRequest>) -> Result<Response<EncryptResponse>, Status> {
        let mut ciphertext = request.into_inner().plaintext;
        ciphertext.reverse();
        let key_id = self.now().key_id.into();
        Ok(Response::new(EncryptResponse { ciphertext, key_id, annotations: [].into() }))
    }

    async fn decrypt(&self, request: Request<DecryptRequest>) -> Result<Response<DecryptResponse>, Status> {
        if let Some((code, text)) = self.now().decrypt_fails {
            return Err(Status::new(code, text));
        }
        let mut plaintext = request.into_inner().ciphertext;
        plaintext.reverse();
        Ok(Response::new(DecryptResponse { plaintext }))
    }
}

/// A server whose Secrets are encrypted, its plugin, and its clock.
struct Stack {
    server: Server,
    plugin: Plugin,
    clock: Clock,
    socket: TempDir,
    listening: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Stack {
    async fn start() -> Self {
        let socket = TempDir::new().unwrap();
        let plugin = Plugin(Arc::new(Mutex::new(Behaviour { key_id: "one", decrypt_fails: None, status_fails: None })));
        let listening = Some(listen(&socket, &plugin).await);
        let clock = Clock::new();
        let server = start(Etcd::start().await, &clock, &socket).await;
        Self { server, plugin, clock, socket, listening }
    }

    /// Ends the server and starts another on the same etcd.
    async fn restart(self) -> Self {
        let Self { server, plugin, clock, socket, listening } = self;
        let server = start(server.stop().await, &clock, &socket).await;
        Self { server, plugin, clock, socket, listening }
    }

    async fn plugin_goes(&mut self) {
        let (stop, task) = self.listening.take().unwrap();
        stop.cancel();
        task.abort();
        let _ = task.await;
        let _ = std::fs::remove_file(self.socket.path().join("kms.sock"));
    }

    async fn create(&self, name: &str) -> (StatusCode, Value) {
        self.server
            .send(Method::POST, SECRETS, json!({"metadata": {"name": name}, "stringData": {"k": "plain text"}}))
            .await
    }
}

async fn start(etcd: Etcd, clock: &Clock, socket: &TempDir) -> Server {
    let mut config = config(&etcd, clock);
    let endpoint = socket.path().join("kms.sock");
    let text = json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": [
            {"kms": {"apiVersion": "v2", "name": "azurekmsprovider", "endpoint": format!("unix://{}", endpoint.display()), "timeout": "1s"}},
            {"identity": {}},
        ]}],
    })
    .to_string();
    config.encryption = Some(EncryptionConfiguration::parse(text.as_bytes()).unwrap());
    Server::start_with(etcd, config).await
}

async fn listen(socket: &TempDir, plugin: &Plugin) -> (CancellationToken, JoinHandle<()>) {
    let endpoint: Endpoint = format!("unix://{}", socket.path().join("kms.sock").display()).parse().unwrap();
    let listener = endpoint.bind().await.unwrap();
    let stop = CancellationToken::new();
    let (service, stopped) = (KeyManagementServiceServer::new(plugin.clone()), stop.clone());
    let task = tokio::spawn(async move {
        let server = tonic::transport::Server::builder().add_service(service);
        server.serve_with_incoming_shutdown(listener, stopped.cancelled_owned()).await.unwrap();
    });
    (stop, task)
}

/// An `InternalError` as upstream writes it, with its text.
fn internal(answer: &(StatusCode, Value)) -> &str {
    let (code, body) = answer;
    assert_eq!(
        (code.as_u16(), body["reason"].as_str(), body["code"].as_i64()),
        (500, Some("InternalError"), Some(500)),
        "{body}"
    );
    let cause = body["details"]["causes"][0]["message"].as_str().unwrap();
    assert_eq!(body["details"], json!({"causes": [{"message": cause}]}));
    assert_eq!(body["message"], format!("Internal error occurred: {cause}"));
    cause
}

#[tokio::test]
async fn a_secret_is_plain_in_the_api_and_sealed_in_etcd() {
    let stack = Stack::start().await;
    assert_eq!(stack.create("a").await.0, StatusCode::CREATED);
    let value = stack.server.etcd.value("/registry/secrets/default/a").await;
    assert!(value.starts_with(b"k8s:enc:kms:v2:azurekmsprovider:"));
    assert!(!value.windows(10).any(|bytes| bytes == b"plain text"));
    let (_, read) = stack.server.get(&format!("{SECRETS}/a")).await;
    assert_eq!(read["data"]["k"], "cGxhaW4gdGV4dA==");
    // ConfigMaps are not named by the configuration.
    stack.server.send(Method::POST, "/api/v1/namespaces/default/configmaps", json!({"metadata": {"name": "m"}})).await;
    assert!(stack.server.etcd.value("/registry/configmaps/default/m").await.starts_with(b"k8s\0"));
    assert_eq!(answer(stack.server.anonymous(Method::GET, "/readyz/kms-providers")).await.1, "ok");
    let (_, metrics) = stack.server.get("/metrics").await;
    let line = r#"apiserver_envelope_encryption_dek_source_cache_size{provider_name="azurekmsprovider"} 1"#;
    assert!(metrics.as_str().unwrap().lines().any(|seen| seen == line), "{metrics}");
    let stack = stack.restart().await;
    let (_, read) = stack.server.get(&format!("{SECRETS}/a")).await;
    assert_eq!(read["data"]["k"], "cGxhaW4gdGV4dA==");
}

#[tokio::test]
async fn a_stale_secret_is_rewritten_once_by_an_update_that_changes_nothing() {
    let stack = Stack::start().await;
    let secrets = stack.server.secrets().await;
    let created = secrets.create(&PostParams::default(), &secret("a", "x")).await.unwrap();
    let key_id = |value: &[u8]| {
        let body = value.strip_prefix(b"k8s:enc:kms:v2:azurekmsprovider:").unwrap();
        envelope::EncryptedObject::decode(body).unwrap().key_id().to_string()
    };
    assert_eq!(key_id(&stack.server.etcd.value("/registry/secrets/default/a").await), "one");
    stack.plugin.set(|behaviour| behaviour.key_id = "two");
    stack.clock.advance(Duration::from_secs(61)).unwrap();
    let rewritten = wait_until("the server to take the new key", || async {
        let list = secrets.list(&ListParams::default()).await.unwrap();
        let object = secrets.replace("a", &PostParams::default(), &list.items[0]).await.unwrap();
        let moved = object.metadata.resource_version != created.metadata.resource_version;
        if moved { Ok(object) } else { Err("the same resourceVersion".to_owned()) }
    })
    .await;
    assert_eq!(key_id(&stack.server.etcd.value("/registry/secrets/default/a").await), "two");
    let again = secrets.replace("a", &PostParams::default(), &rewritten).await.unwrap();
    assert_eq!(again, rewritten);
}

#[tokio::test]
async fn a_plugin_that_goes_away_is_missed_by_writes_after_three_minutes_and_by_reads_never() {
    let mut stack = Stack::start().await;
    for name in ["a", "b"] {
        assert_eq!(stack.create(name).await.0, StatusCode::CREATED);
    }
    let (_, before) = stack.server.get(&format!("{SECRETS}/a")).await;
    stack.plugin_goes().await;
    assert_eq!(stack.create("c").await.0, StatusCode::CREATED);
    stack.clock.advance(Duration::from_secs(200)).unwrap();
    let refused = stack.create("d").await;
    let text = internal(&refused);
    assert!(
        text.starts_with("encryptedDEKSource with keyID hash \"sha256:") && text.contains(" expired at "),
        "{text}"
    );
    let changed = json!({"metadata": {"name": "a"}, "stringData": {"k": "other"}});
    internal(&stack.server.send(Method::PUT, &format!("{SECRETS}/a"), changed).await);
    assert_eq!(stack.server.get(&format!("{SECRETS}/a")).await, (StatusCode::OK, before.clone()));
    assert_eq!(stack.server.get(SECRETS).await.0, StatusCode::OK);
    let (code, same) = stack.server.send(Method::PUT, &format!("{SECRETS}/a"), before.clone()).await;
    assert_eq!((code, &same["metadata"]["resourceVersion"]), (StatusCode::OK, &before["metadata"]["resourceVersion"]));
    let (code, deleted) = stack.server.send(Method::DELETE, &format!("{SECRETS}/b"), json!({})).await;
    assert_eq!((code, deleted["status"].as_str()), (StatusCode::OK, Some("Success")));
    assert_eq!(
        (deleted["details"]["kind"].as_str(), deleted["details"]["name"].as_str()),
        (Some("secrets"), Some("b"))
    );

    let get = |path: &'static str| answer(stack.server.anonymous(Method::GET, path));
    let (code, health) = get("/healthz/kms-providers").await;
    assert_eq!(code, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(health.as_str().unwrap().starts_with("internal server error: kms-provider-0: "), "{health}");
    let (code, ready) = get("/readyz").await;
    assert_eq!(code, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(
        ready,
        "[+]ping ok\n[+]log ok\n[+]etcd ok\n[-]kms-providers failed: reason withheld\n[+]shutdown ok\nreadyz check failed\n"
    );
    assert_eq!(get("/readyz?exclude=kms-providers").await, (StatusCode::OK, json!("ok")));
    assert_eq!(get("/livez").await, (StatusCode::OK, json!("ok")));
    assert_eq!(get("/livez/kms-providers").await, (StatusCode::NOT_FOUND, json!("404 page not found\n")));
}

#[tokio::test]
async fn a_server_that_starts_without_its_plugin_serves_what_is_not_encrypted() {
    let mut stack = Stack::start().await;
    stack.create("a").await;
    stack.plugin_goes().await;
    let mut stack = stack.restart().await;
    let text = "got unexpected nil transformer";
    assert_eq!(internal(&stack.server.get(&format!("{SECRETS}/a")).await), text);
    assert_eq!(internal(&stack.create("b").await), text);
    let listed = stack.server.get(&format!("{SECRETS}?limit=500")).await;
    assert_eq!(internal(&listed), format!("unable to transform key \"/registry/secrets/default/a\": {text}"));
    assert_eq!(stack.server.get("/api/v1/configmaps").await.0, StatusCode::OK);
    assert_eq!(stack.server.etcd.keys("/registry/secrets/").await, ["/registry/secrets/default/a"]);
    stack.listening = Some(listen(&stack.socket, &stack.plugin).await);
    stack.clock.advance(Duration::from_secs(11)).unwrap();
    wait_until("the Secret to be readable", || async {
        let (code, body) = stack.server.get(&format!("{SECRETS}/a")).await;
        if code == StatusCode::OK { Ok(()) } else { Err(body.to_string()) }
    })
    .await;
}

#[tokio::test]
async fn a_decrypt_that_fails_is_told_with_its_code_to_everybody_who_needs_it() {
    let stack = Stack::start().await;
    stack.create("a").await;
    let stack = stack.restart().await;
    for (code, name) in [
        (Code::Unknown, "Unknown"),
        (Code::InvalidArgument, "InvalidArgument"),
        (Code::NotFound, "NotFound"),
        (Code::PermissionDenied, "PermissionDenied"),
        (Code::ResourceExhausted, "ResourceExhausted"),
        (Code::Internal, "Internal"),
        (Code::Unavailable, "Unavailable"),
        (Code::Unauthenticated, "Unauthenticated"),
    ] {
        stack.plugin.set(|behaviour| behaviour.decrypt_fails = Some((code, "vault says no")));
        let text = format!("failed to decrypt DEK, error: rpc error: code = {name} desc = vault says no");
        let one = format!("{SECRETS}/a");
        assert_eq!(internal(&stack.server.get(&one).await), text);
        assert_eq!(internal(&stack.server.send(Method::PUT, &one, json!({"metadata": {"name": "a"}})).await), text);
        assert_eq!(internal(&stack.server.send(Method::DELETE, &one, json!({})).await), text);
        let listed = format!("unable to transform key \"/registry/secrets/default/a\": {text}");
        assert_eq!(internal(&stack.server.get(&format!("{SECRETS}?limit=2")).await), listed);
        assert_eq!(internal(&stack.server.send(Method::DELETE, SECRETS, json!({})).await), listed);
    }
    // Health does not see it, a new Secret needs no Decrypt, and nothing was lost.
    assert_eq!(answer(stack.server.anonymous(Method::GET, "/healthz/kms-providers")).await.0, StatusCode::OK);
    assert_eq!(stack.create("b").await.0, StatusCode::CREATED);
    let (code, exists) = stack.create("a").await;
    assert_eq!((code, exists["reason"].as_str()), (StatusCode::CONFLICT, Some("AlreadyExists")));
    stack.plugin.set(|behaviour| behaviour.decrypt_fails = None);
    assert_eq!(stack.server.get(&format!("{SECRETS}/a")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_watch_ends_with_the_error_of_a_value_that_it_cannot_open() {
    let stack = Stack::start().await;
    stack.create("a").await;
    let (_, list) = stack.server.get(SECRETS).await;
    let revision = list["metadata"]["resourceVersion"].as_str().unwrap();
    let value = stack.server.etcd.value("/registry/secrets/default/a").await;
    // A value under another key than its own does not authenticate.
    stack.server.etcd.client().await.put("/registry/secrets/default/moved", value, None).await.unwrap();
    let path = format!("{SECRETS}?watch=true&resourceVersion={revision}");
    let text = stack.server.request(Method::GET, &path).send().await.unwrap().text().await.unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 1, "{events:?}");
    insta::assert_snapshot!(events[0], @r#"{"object":{"apiVersion":"v1","code":500,"details":{"causes":[{"message":"cipher: message authentication failed"}]},"kind":"Status","message":"Internal error occurred: cipher: message authentication failed","metadata":{},"reason":"InternalError","status":"Failure"},"type":"ERROR"}"#);
}
