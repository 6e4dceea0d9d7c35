//! A seed from a file, sown at the start.

use keyvault::{Emulator, Seed, SeedError};
use reqwest::StatusCode;
use serde_json::json;

use crate::stack::{OBJECT_ID, Stack, config, config_in, json_of, version_of};

fn seed() -> Seed {
    let text = format!(
        r#"{{
        "vaults": [
            {{"name": "kyanite", "keys": {{"kms": {{"kty": "RSA"}}, "signing": {{"kty": "EC", "crv": "P-256"}}}},
              "secrets": {{"password": {{"value": "correct horse", "contentType": "text/plain"}}}}}},
            {{"name": "second", "access": "rbac", "retention_days": 7, "purge_protection": true,
              "network": {{"default_action": "deny", "ip_rules": ["127.0.0.0/8"]}},
              "secrets": {{"other": {{"value": "x"}}}}}}
        ],
        "principals": [{{"client_id": "66666666-6666-4666-8666-666666666666",
            "object_id": "77777777-7777-4777-8777-777777777777",
            "kind": {{"service_principal": {{"client_secret": "seeded"}}}}}}],
        "role_assignments": [{{"principal_id": "{OBJECT_ID}", "role": "Key Vault Secrets User",
            "scope": {{"secret": {{"vault": "second", "name": "other"}}}}}}],
        "places": {{"cluster": {{"subnet": {{"id": "/subscriptions/s/virtualNetworks/n/subnets/a"}}}}}}
    }}"#
    );
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn a_seeded_stack_has_what_the_file_says() {
    let mut config = config();
    let contents = config.sow(seed()).unwrap();
    let stack = Stack::start_with(config).await;
    stack.emulator.plant(contents).await.unwrap();
    assert_eq!(stack.bare("GET", "/keys/kms").await.0, StatusCode::OK);
    assert_eq!(stack.bare("GET", "/keys/signing").await.1["key"]["crv"], "P-256");
    assert_eq!(stack.bare("GET", "/secrets/password").await.1["value"], "correct horse");
    let other = async |name: &str| {
        let url = format!("https://second.vault.azure.net/secrets/{name}?api-version=7.4");
        json_of(stack.client.get(url).bearer_auth(stack.token().await).send().await.unwrap()).await
    };
    assert_eq!(other("other").await.1["attributes"]["recoverableDays"], 7);
    assert_eq!(other("missing").await.0, StatusCode::FORBIDDEN, "the role is for one secret");
    let fields = [
        ("scope", "https://vault.azure.net/.default"),
        ("client_id", "66666666-6666-4666-8666-666666666666"),
        ("client_secret", "seeded"),
    ];
    assert_eq!(stack.token_request(&fields).send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn what_is_there_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut kid = None;
    for _ in 0..2 {
        let mut config = config_in(dir.path());
        let contents = config.sow(seed()).unwrap();
        let stack = Stack::start_with(config).await;
        stack.emulator.plant(contents).await.unwrap();
        let bundle = stack.bare("GET", "/keys/kms").await.1;
        assert_eq!(*kid.get_or_insert(version_of(&bundle)), version_of(&bundle));
        stack.bare("DELETE", "/secrets/password").await;
        stack.stop().await;
    }
}

#[tokio::test]
async fn a_seed_that_the_vault_refuses_is_refused_in_its_words() {
    let mut config = config();
    let text = json!({ "vaults": [{ "name": "kyanite", "keys": { "kms": { "kty": "RSA", "key_size": 1 } } }] });
    let contents = config.sow(serde_json::from_value(text).unwrap()).unwrap();
    let error = Emulator::open(config).unwrap().plant(contents).await.unwrap_err();
    assert!(matches!(error, SeedError::Refused { .. }), "{error:?}");
    insta::assert_snapshot!(error, @r#"make keys/kms in the vault kyanite: it says "Property key_size has invalid value\r\n""#);
    assert!(serde_json::from_value::<Seed>(json!({ "vault": [] })).is_err(), "unknown members are errors");
}
