//! A whole stack over its public wires: what it answers, what it keeps, what it leaves behind.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::control::ControlClient;
use harness::etcd::{EtcdConfig, EtcdSource};
use harness::ready::ReadyFile;
use harness::runtime::RuntimeDir;
use harness::stack::{EncryptionAtRest, Part, Progress, Stack, StackConfig, StackError};
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};
use tokio_util::sync::CancellationToken;

struct Fixture {
    config: StackConfig,
    temp: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let runtime = RuntimeDir::open(&temp.path().join("run")).unwrap();
        let etcd = EtcdConfig { source: EtcdSource::Process, ..EtcdConfig::default() };
        Self { config: StackConfig { etcd, ..StackConfig::new(runtime) }, temp }
    }

    async fn start(&self) -> Stack {
        start(self.config.clone()).await.unwrap()
    }

    /// What is left in the runtime directory apart from the lock and the host's mark.
    fn left(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.config.runtime.path()).unwrap().flatten();
        entries.map(|entry| entry.file_name().into_string().unwrap()).filter(|name| !name.starts_with('.')).collect()
    }
}

async fn start(config: StackConfig) -> Result<Stack, StackError> {
    Stack::start(config, &Progress::silent(), &CancellationToken::new()).await
}

async fn secrets(ready: &ReadyFile) -> Api<Secret> {
    let kubeconfig = Kubeconfig::read_from(ready.kubeconfig.as_ref().unwrap()).unwrap();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Api::default_namespaced(Client::try_from(config).unwrap())
}

fn secret(name: &str, value: &str) -> Secret {
    serde_json::from_value(serde_json::json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"k": value},
    }))
    .unwrap()
}

async fn create(ready: &ReadyFile, name: &str, value: &str) {
    secrets(ready).await.create(&PostParams::default(), &secret(name, value)).await.unwrap();
}

async fn value(ready: &ReadyFile, name: &str) -> Result<String, kube::Error> {
    let data = secrets(ready).await.get(name).await?.data.unwrap();
    Ok(String::from_utf8(data["k"].0.clone()).unwrap())
}

async fn stored(ready: &ReadyFile, key: &str) -> Vec<u8> {
    let mut client = etcd_client::Client::connect(&ready.etcd, None).await.unwrap();
    client.get(key, None).await.unwrap().kvs()[0].value().to_vec()
}

fn mode(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions()) & 0o777
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_encrypts_and_leaves_nothing() {
    let mut fixture = Fixture::new();
    let extra = fixture.temp.path().join("ready.json");
    fixture.config.ready_file = Some(extra.clone());
    let stack = fixture.start().await;
    assert_eq!(stack.warnings(), Vec::<String>::new());
    let ready = ReadyFile::read(&extra).unwrap();
    assert_eq!(&ready, stack.ready());
    assert_eq!(mode(&extra), 0o600);
    create(&ready, "a", "plain-text").await;
    assert_eq!(value(&ready, "a").await.unwrap(), "plain-text");
    let raw = stored(&ready, "/registry/secrets/default/a").await;
    assert!(raw.starts_with(b"k8s:enc:kms:v2:azurekmsprovider:"));
    assert!(!raw.windows(10).any(|window| window == b"plain-text"));

    // Paths are absolute, and what is secret is its owner's alone.
    let credentials = ready.credentials.as_ref().unwrap();
    let private = [
        ready.kubeconfig.as_ref().unwrap(),
        &credentials.client_secret_file,
        &ready.control.as_ref().unwrap().token_file,
    ];
    for path in private {
        assert!(path.is_absolute());
        assert_eq!(mode(path), 0o600, "{}", path.display());
    }
    let running = fixture.config.runtime.running().unwrap();
    assert_eq!(running.len(), 1);
    assert_eq!(running[0].ready, ready);

    stack.shutdown().await;
    assert!(!extra.exists());
    assert_eq!(fixture.left(), Vec::<String>::new());
    assert_eq!(fixture.config.runtime.running().unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_encryption_the_plain_text_is_stored() {
    let mut fixture = Fixture::new();
    fixture.config.encryption = EncryptionAtRest::None;
    let stack = fixture.start().await;
    create(stack.ready(), "a", "plain-text").await;
    let raw = stored(stack.ready(), "/registry/secrets/default/a").await;
    assert!(raw.windows(10).any(|window| window == b"plain-text"));
    assert!(stack.ready().kms_sockets.is_empty());
    assert!(matches!(stack.restart(Part::Plugin).await, Err(StackError::NoPart { part: Part::Plugin })));
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_come_back_where_they_were() {
    let fixture = Fixture::new();
    let stack = fixture.start().await;
    create(stack.ready(), "a", "1").await;
    for part in [Part::ApiServer, Part::Plugin, Part::Vault, Part::Gateway, Part::Etcd(0)] {
        stack.restart(part).await.unwrap_or_else(|error| panic!("{part}: {error:?}"));
    }
    // Everything that was cached is gone with the API server, so this goes all the way to the vault and back.
    stack.restart(Part::ApiServer).await.unwrap();
    assert_eq!(value(stack.ready(), "a").await.unwrap(), "1");

    stack.stop_part(Part::Plugin).await.unwrap();
    stack.restart(Part::ApiServer).await.unwrap();
    assert!(value(stack.ready(), "a").await.is_err());
    let status = stack.status().await;
    assert!(status.plugin.is_none());
    assert!(status.api_server.unwrap().ready.contains("kms-providers"));
    stack.start_part(Part::Plugin).await.unwrap();
    // An unhealthy KMS is looked at every ten seconds, by the stack's clock.
    stack.advance_clock(Duration::from_secs(10)).unwrap();
    until_some("the secret reads again", async || value(stack.ready(), "a").await.ok()).await;
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_brings_a_whole_stack_back() {
    let data = tempfile::tempdir().unwrap();
    let mut fixture = Fixture::new();
    fixture.config.data_dir = Some(data.path().join("stack"));
    let stack = fixture.start().await;
    create(stack.ready(), "a", "kept").await;
    let kubeconfig = std::fs::read_to_string(stack.ready().kubeconfig.as_ref().unwrap()).unwrap();
    let other = start(fixture.config.clone()).await.unwrap_err();
    assert!(matches!(other, StackError::InUse { .. }), "{other}");
    stack.advance_clock(Duration::from_hours(48)).unwrap();
    stack.shutdown().await;

    // Clones of a configuration share its clock; another process has a clock of its own.
    fixture.config.clock = clock::Clock::new();
    let stack = fixture.start().await;
    assert_eq!(value(stack.ready(), "a").await.unwrap(), "kept");
    // A copied kubeconfig is good for its token; the port is another, unless one is asked for.
    let token =
        |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap()["users"][0]["user"]["token"].clone();
    let again = std::fs::read_to_string(stack.ready().kubeconfig.as_ref().unwrap()).unwrap();
    assert_eq!(token(&kubeconfig), token(&again));
    assert_eq!(stack.clock().offset().as_hours(), 48, "what was made two days ahead is not of the future now");
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_comes_back_though_its_key_is_out_of_use() {
    let data = tempfile::tempdir().unwrap();
    let mut fixture = Fixture::new();
    fixture.config.data_dir = Some(data.path().to_owned());
    let stack = fixture.start().await;
    create(stack.ready(), "a", "1").await;
    vault_request(stack.ready(), "PATCH", "/keys/kms/", r#"{"attributes": {"enabled": false}}"#).await;
    stack.shutdown().await;

    let stack = fixture.start().await;
    assert!(stack.warnings()[0].contains("the key kms was disabled"), "{:?}", stack.warnings());
    assert!(value(stack.ready(), "a").await.is_err());
    vault_request(stack.ready(), "DELETE", "/keys/kms", "").await;
    stack.shutdown().await;

    let stack = fixture.start().await;
    assert!(stack.warnings()[0].contains("the key kms was deleted"), "{:?}", stack.warnings());
    stack.shutdown().await;
}

/// A request to the stack's vault, by Azure's name through the gateway, that must succeed.
async fn vault_request(ready: &ReadyFile, method: &str, path: &str, body: &str) {
    let ca = reqwest::Certificate::from_pem(&std::fs::read(ready.ca.as_ref().unwrap()).unwrap()).unwrap();
    let proxy = reqwest::Proxy::all(&ready.gateway[0].url).unwrap();
    let http = reqwest::Client::builder().no_proxy().proxy(proxy).tls_certs_only([ca]).build().unwrap();
    let env = |name: &str| ready.env[name].clone();
    let form = [
        ("grant_type", "client_credentials".to_owned()),
        ("client_id", env("AZURE_CLIENT_ID")),
        ("client_secret", env("AZURE_CLIENT_SECRET")),
        ("scope", "https://vault.azure.net/.default".to_owned()),
    ];
    let url = format!("https://login.microsoftonline.com/{}/oauth2/v2.0/token", env("AZURE_TENANT_ID"));
    let answer: serde_json::Value = http.post(url).form(&form).send().await.unwrap().json().await.unwrap();
    let url = format!("https://kyanite.vault.azure.net{path}?api-version=7.4");
    let request = http.request(method.parse().unwrap(), url).bearer_auth(answer["access_token"].as_str().unwrap());
    let request = request.header("content-type", "application/json").body(body.to_owned());
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_control_door_does_what_the_handle_does() {
    let fixture = Fixture::new();
    let stack = fixture.start().await;
    let door = ControlClient::new(stack.ready()).unwrap();
    let status = door.status().await.unwrap();
    let api_server = status.api_server.unwrap();
    assert_eq!(api_server.ready, "ok");
    assert!(api_server.requests > 0);
    let key_id = status.plugin.unwrap().key_id.unwrap();
    assert_eq!(key_id.len(), 64);
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key_id.as_bytes());
    assert_eq!(api_server.key_id_hash, Some(format!("sha256:{}", hex::encode(hash))));
    let vault = status.vault.unwrap();
    assert_eq!((vault.name.as_str(), vault.keys.len(), vault.keys[0].versions.len()), ("kyanite", 1, 1));
    assert!(status.gateway.iter().any(|seen| seen.name == "kyanite.vault.azure.net:443" && seen.joined > 0));

    door.advance(Duration::from_hours(90 * 24)).await.unwrap();
    assert_eq!(stack.clock().offset().as_hours(), 90 * 24);
    door.restart(Part::ApiServer).await.unwrap();
    let fault = serde_json::from_str(r#"{"effect": {"refuse": {"status": 503}}, "target": "vault"}"#).unwrap();
    door.inject(&fault).await.unwrap();
    assert_eq!(door.status().await.unwrap().vault.unwrap().faults.len(), 1);
    door.clear(None).await.unwrap();
    assert_eq!(door.status().await.unwrap().vault.unwrap().faults.len(), 0);
    let refused = door.stop(Part::Etcd(7)).await.unwrap_err();
    assert!(refused.to_string().contains("etcd member 7"), "{refused}");
    assert_eq!(door.status().await.unwrap().etcd.unwrap().stopped, Vec::<usize>::new());

    // Another's token opens nothing.
    let mut stranger = stack.ready().clone();
    let token = fixture.temp.path().join("token");
    std::fs::write(&token, "guess").unwrap();
    stranger.control.as_mut().unwrap().token_file = token;
    let refused = ControlClient::new(&stranger).unwrap().status().await.unwrap_err();
    assert!(refused.to_string().contains("the bearer token is not this stack's"), "{refused}");

    door.shutdown().await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), stack.end_requested()).await.unwrap();
    stack.shutdown().await;
    assert!(door.status().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_control_door_refuses_in_json() {
    let mut fixture = Fixture::new();
    fixture.config.vault_alone = true;
    let stack = fixture.start().await;
    let door = stack.ready().control.clone().unwrap();
    let token = std::fs::read_to_string(&door.token_file).unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut seen = Vec::new();
    for (method, path, body) in [
        ("POST", "/clock/advance", r#"{"seconds": -1}"#),
        ("POST", "/clock/advance", r#"{"seconds": 18446744073709551615}"#),
        ("POST", "/clock/advance", "no json"),
        ("POST", "/faults", r#"{"effect": "explode"}"#),
        ("DELETE", "/faults/first", ""),
        ("POST", "/parts/scheduler/stop", ""),
        ("POST", "/parts/plugin/explode", ""),
        ("GET", "/secrets", ""),
        ("DELETE", "/status", ""),
    ] {
        let url = format!("{}{path}", door.url);
        let request = http.request(method.parse().unwrap(), url).bearer_auth(token.trim());
        let answer = request.header("content-type", "application/json").body(body).send().await.unwrap();
        let status = answer.status().as_u16();
        let refusal: serde_json::Value = answer.json().await.unwrap();
        let error = refusal["error"].as_str().unwrap();
        // What kinds of faults there are is the vault's to say.
        let error = error.split(", expected one of").next().unwrap();
        seen.push(format!("{status} {error}"));
    }
    insta::assert_snapshot!(seen.join("\n"));
    for token in ["", "Bearer", "Bearer ", "Bearer x", "Basic x"] {
        let answer = http.get(format!("{}/status", door.url)).header("authorization", token).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 401, "{token}");
    }
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_etcd_is_noticed_and_a_stopped_one_is_not() {
    let theirs = Fixture::new();
    let their_stack = theirs.start().await;
    let mut fixture = Fixture::new();
    fixture.config.etcd.source = EtcdSource::Endpoints(their_stack.ready().etcd.clone());
    fixture.config.etcd.prefix = "/other".to_owned();
    let stack = fixture.start().await;
    create(stack.ready(), "a", "1").await;
    assert!(stored(stack.ready(), "/other/secrets/default/a").await.starts_with(b"k8s:enc:kms:v2:"));

    // Their own stack stopped it on purpose, ours lost it.
    their_stack.stop_part(Part::Etcd(0)).await.unwrap();
    let lost = tokio::time::timeout(Duration::from_secs(30), stack.failed()).await.unwrap();
    assert!(matches!(lost, StackError::EtcdLost { .. }), "{lost}");
    assert!(tokio::time::timeout(Duration::from_millis(1), their_stack.failed()).await.is_err());
    stack.shutdown().await;
    their_stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_start_names_its_cause_and_leaves_nothing() {
    let mut fixture = Fixture::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    fixture.config.ports.api_server = taken.local_addr().unwrap().port();
    let error = start(fixture.config.clone()).await.unwrap_err();
    assert!(matches!(error, StackError::Listen { part: "API server", .. }), "{error}");
    assert!(error.help().unwrap().contains("another program has port"));
    assert_eq!(fixture.left(), Vec::<String>::new());

    fixture.config.ports.api_server = 0;
    fixture.config.vault = "1-is-no-name".to_owned();
    let error = start(fixture.config.clone()).await.unwrap_err();
    assert!(matches!(error, StackError::Name { .. }), "{error}");

    let cancel = CancellationToken::new();
    let steps = Arc::new(Mutex::new(Vec::new()));
    let progress = Progress::new({
        let (cancel, steps) = (cancel.clone(), Arc::clone(&steps));
        move |step| {
            steps.lock().unwrap().push(step.to_string());
            cancel.cancel();
        }
    });
    fixture.config.vault = "kyanite".to_owned();
    let error = Stack::start(fixture.config.clone(), &progress, &cancel).await.unwrap_err();
    assert!(!steps.lock().unwrap().is_empty());
    assert!(matches!(error, StackError::Cancelled | StackError::Etcd(_)), "{error}");
    assert_eq!(fixture.left(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_alone_needs_no_etcd() {
    let mut fixture = Fixture::new();
    fixture.config.vault_alone = true;
    fixture.config.etcd.binary = Some("/nonexistent".into());
    let stack = fixture.start().await;
    let ready = stack.ready();
    assert!(ready.etcd.is_empty() && ready.kubeconfig.is_none() && ready.env.contains_key("AZURE_CLIENT_SECRET"));
    let status = stack.status().await;
    assert_eq!(status.vault.unwrap().keys[0].name, "kms");
    assert!(matches!(stack.start_part(Part::ApiServer).await, Err(StackError::NoPart { .. })));
    stack.shutdown().await;
}

async fn until_some<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let looks = async {
        loop {
            ticks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), looks).await.unwrap_or_else(|_| panic!("not reached: {what}"))
}
