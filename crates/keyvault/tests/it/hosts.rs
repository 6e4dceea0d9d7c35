//! Many vaults in one process, told apart by host name, and the KMS plugin's proxy mode.

use keyvault::{Config, VaultConfig, VaultKind};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::stack::{CLIENT_ID, CLIENT_SECRET, Stack, TENANT, config, json_of};

fn three() -> Config {
    let vault = |name: &str| VaultConfig::new(name.parse().unwrap());
    let pool = VaultConfig { kind: VaultKind::ManagedHsm, ..vault("pool") };
    Config { vaults: vec![vault("kyanite"), vault("second"), pool], ..config() }
}

/// A request to a vault by its whole URL.
async fn called(stack: &Stack, method: &str, url: &str, token: &str, body: Option<Value>) -> (StatusCode, Value) {
    let request = stack.client.request(method.parse().unwrap(), url).bearer_auth(token);
    let request = match body {
        Some(body) => request.json(&body),
        None => request,
    };
    json_of(request.send().await.unwrap()).await
}

#[tokio::test]
async fn vaults_are_told_apart_by_host_and_share_nothing() {
    let stack = Stack::start_with(three()).await;
    stack.create("kms").await;
    let other = "https://second.vault.azure.net/keys/kms";
    let token = stack.token().await.to_owned();
    let (status, _) = called(&stack, "GET", &format!("{other}?api-version=7.4"), &token, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let create = format!("{other}/create?api-version=7.4");
    let (status, bundle) = called(&stack, "POST", &create, &token, Some(json!({ "kty": "RSA" }))).await;
    assert_eq!(status, StatusCode::OK, "{bundle}");
    assert!(bundle["key"]["kid"].as_str().unwrap().starts_with(other), "{bundle}");
    assert_eq!(stack.bare("GET", "/keys").await.1["value"].as_array().unwrap().len(), 1);
    // A name of this machine says nothing of a vault when there are several.
    let url = format!("https://localhost:{}/keys?api-version=7.4", stack.tls.port());
    assert_eq!(called(&stack, "GET", &url, &token, None).await.1["error"]["code"], "VaultNotFound");
}

#[tokio::test]
async fn a_managed_hsm_has_a_zone_and_a_resource_of_its_own() {
    let stack = Stack::start_with(three()).await;
    let url = "https://pool.managedhsm.azure.net/keys?api-version=7.4";
    let probe = stack.client.get(url).send().await.unwrap();
    let challenge = probe.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.ends_with("resource=\"https://managedhsm.azure.net\""), "{challenge}");
    let token = stack.token_request(&[("scope", "https://managedhsm.azure.net/.default")]).send().await.unwrap();
    let token = json_of(token).await.1["access_token"].as_str().unwrap().to_owned();
    assert_eq!(called(&stack, "GET", url, &token, None).await.0, StatusCode::OK);
    // A token for vaults does not open it, nor the other way round.
    assert_eq!(called(&stack, "GET", url, stack.token().await, None).await.0, StatusCode::UNAUTHORIZED);
    let vault = "https://kyanite.vault.azure.net/keys?api-version=7.4";
    assert_eq!(called(&stack, "GET", vault, &token, None).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_plugins_proxy_mode_reaches_vault_and_entra_without_tls() {
    let stack = Stack::start_with(three()).await;
    let base = format!("http://{}", stack.plain);
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("resource", "https://vault.azure.net"),
    ];
    let token = stack.client.post(format!("{base}/{TENANT}/oauth2/token?api-version=1.0")).form(&form);
    let token = token.header("x-azure-proxy-target", "AzureActiveDirectory");
    let (status, token) = json_of(token.send().await.unwrap()).await;
    assert_eq!(status, StatusCode::OK, "{token}");
    let token = token["access_token"].as_str().unwrap();

    let vault = format!("{base}/second.vault.azure.net");
    let probe = stack.client.post(format!("{vault}/keys/kms/encrypt?api-version=2016-10-01")).send().await.unwrap();
    assert_eq!(probe.status(), StatusCode::UNAUTHORIZED);
    for index in 0..3 {
        let url = format!("{vault}/keys/kms-{index}/create?api-version=7.4");
        let (status, bundle) = called(&stack, "POST", &url, token, Some(json!({ "kty": "RSA" }))).await;
        assert_eq!(status, StatusCode::OK, "{bundle}");
    }
    let encrypt = format!("{vault}/keys/kms-1//encrypt?api-version=2016-10-01");
    let body = json!({ "alg": "RSA-OAEP-256", "value": "c2VlZA" });
    let (status, sealed) = called(&stack, "POST", &encrypt, token, Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{sealed}");
    // The id is what it would be on Azure: the plugin compares it with its own.
    let kid = sealed["kid"].as_str().unwrap();
    assert!(kid.starts_with("https://second.vault.azure.net/keys/kms-1/"), "{kid}");
    // Page links lead back to where the caller came in.
    let first = format!("{vault}/keys?api-version=7.4&maxresults=2");
    let (_, page) = called(&stack, "GET", &first, token, None).await;
    let next = page["nextLink"].as_str().unwrap();
    assert!(next.starts_with(&format!("{vault}/keys?")), "{next}");
    let (_, page) = called(&stack, "GET", next, token, None).await;
    assert_eq!(page["value"].as_array().unwrap().len(), 1);
    // The machine's own endpoints stay where they were.
    let imds = stack.client.get(format!("{base}/metadata/identity/oauth2/token")).send().await.unwrap();
    assert_eq!(imds.status(), StatusCode::BAD_REQUEST);
    let nobody = called(&stack, "GET", &format!("{base}/nobody.vault.azure.net/keys"), token, None).await;
    assert_eq!((nobody.0, &nobody.1["error"]["code"]), (StatusCode::NOT_FOUND, &json!("VaultNotFound")));
}
