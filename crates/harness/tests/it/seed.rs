//! A seeded vault, and callers who stand in different places of the network.

use std::fs;

use harness::ready::ReadyFile;
use harness::runtime::RuntimeDir;
use harness::stack::{Part, Progress, Stack, StackConfig, StackError};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

const SEED: &str = r"
vaults:
- name: private
  network:
    public_access: disabled
    private_endpoints: [/subscriptions/s/virtualNetworks/net/subnets/endpoints]
  secrets:
    password: {value: correct horse}
places:
  cluster: {subnet: {id: /subscriptions/s/virtualNetworks/net/subnets/nodes, address: 10.0.0.4}}
  office: {internet: {address: 20.1.2.3}}
";

fn config(temp: &tempfile::TempDir, seed: &str) -> StackConfig {
    let path = temp.path().join("seed.yaml");
    fs::write(&path, seed).unwrap();
    let runtime = RuntimeDir::open(&temp.path().join("run")).unwrap();
    StackConfig { vault_alone: true, seed: Some(path), ..StackConfig::new(runtime) }
}

async fn start(config: StackConfig) -> Result<Stack, StackError> {
    Stack::start(config, &Progress::silent(), &CancellationToken::new()).await
}

/// The secret as a caller at this place gets it: status, body and what the vault says of the connection.
async fn from(ready: &ReadyFile, place: &str) -> (u16, Value, String) {
    let door = ready.gateway.iter().find(|door| door.place == place).unwrap();
    let ca = reqwest::Certificate::from_pem(&fs::read(ready.ca.as_ref().unwrap()).unwrap()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([ca]).proxy(reqwest::Proxy::all(&door.url).unwrap());
    let client = client.build().unwrap();
    let credentials = ready.credentials.as_ref().unwrap();
    let secret = fs::read_to_string(&credentials.client_secret_file).unwrap();
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}&resource=https://vault.azure.net",
        credentials.client_id,
        secret.trim(),
    );
    let url = format!("https://login.microsoftonline.com/{}/oauth2/token", credentials.tenant_id);
    let request = client.post(url).header("content-type", "application/x-www-form-urlencoded").body(form);
    let token: Value = request.send().await.unwrap().json().await.unwrap();
    let url = "https://private.vault.azure.net/secrets/password?api-version=7.4";
    let answer = client.get(url).bearer_auth(token["access_token"].as_str().unwrap()).send().await.unwrap();
    let info = answer.headers()["x-ms-keyvault-network-info"].to_str().unwrap().to_owned();
    (answer.status().as_u16(), answer.json().await.unwrap(), info)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_place_has_a_door_and_the_vault_sees_callers_stand_there() {
    let temp = tempfile::tempdir().unwrap();
    let stack = start(config(&temp, SEED)).await.unwrap();
    let ready = stack.ready().clone();
    let places: Vec<_> = ready.gateway.iter().map(|door| door.place.as_str()).collect();
    assert_eq!(places, ["internet", "cluster", "office"]);
    for round in ["at first", "after a restart"] {
        let (status, body, info) = from(&ready, "cluster").await;
        assert_eq!((status, &body["value"]), (200, &"correct horse".into()), "{round}: {body}");
        assert!(info.starts_with("conn_type=PrivateLink;addr=10.0.0.4;"), "{info}");
        let (status, body, info) = from(&ready, "office").await;
        assert_eq!((status, &body["error"]["innererror"]["code"]), (403, &"ForbiddenByConnection".into()), "{body}");
        assert_eq!(info, "conn_type=Ipv4;addr=20.1.2.3;act_addr_fam=InterNetwork;");
        assert_eq!(from(&ready, "internet").await.0, 403);
        stack.restart(Part::Vault).await.unwrap();
        stack.restart(Part::Gateway).await.unwrap();
    }
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_that_is_no_good_starts_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let bad = "vaults: [{name: private, keys: {a: {kty: ROT13}}}]";
    let error = start(config(&temp, bad)).await.unwrap_err();
    assert!(matches!(error, StackError::Seed { .. }), "{error:?}");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, r#"make keys/a in the vault private: it says "Property kty has invalid value\r\n""#);
}
