//! The life of keys, over TLS.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyvault::{Config, RecoveryPolicy, VaultConfig};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::stack::{Stack, config, version_of};

const DAY: Duration = Duration::from_hours(24);

/// `code` and `innererror.code` of an error.
fn codes(body: &Value) -> (&str, &str) {
    let error = &body["error"];
    (error["code"].as_str().unwrap_or_default(), error["innererror"]["code"].as_str().unwrap_or_default())
}

async fn encrypt(stack: &Stack, path: &str) -> (StatusCode, Value) {
    let value = URL_SAFE_NO_PAD.encode("seed");
    stack.call("POST", &format!("{path}/encrypt"), json!({ "alg": "RSA-OAEP-256", "value": value })).await
}

async fn decrypt(stack: &Stack, path: &str, sealed: &Value) -> (StatusCode, Value) {
    let body = json!({ "alg": "RSA-OAEP-256", "value": sealed["value"] });
    stack.call("POST", &format!("{path}/decrypt"), body).await
}

#[tokio::test]
async fn a_key_encrypts_and_decrypts() {
    let stack = Stack::start().await;
    let bundle = stack.create("kms").await;
    let version = version_of(&bundle);
    assert_eq!(bundle["key"]["kid"], format!("https://kyanite.vault.azure.net/keys/kms/{version}"));
    for (forth, back) in [("encrypt", "decrypt"), ("wrapKey", "unwrapkey")] {
        for alg in ["RSA1_5", "RSA-OAEP", "RSA-OAEP-256"] {
            let plain = URL_SAFE_NO_PAD.encode("a seed of 32 bytes, more or less");
            let body = json!({ "alg": alg, "value": plain });
            let (status, sealed) = stack.call("POST", &format!("/keys/kms/{version}/{forth}"), body).await;
            assert_eq!(status, StatusCode::OK, "{sealed}");
            assert_eq!(sealed["kid"], bundle["key"]["kid"]);
            let body = json!({ "alg": alg, "value": sealed["value"] });
            let (status, opened) = stack.call("POST", &format!("/keys/kms//{back}"), body).await;
            assert_eq!((status, &opened["value"]), (StatusCode::OK, &Value::from(plain)), "{opened}");
        }
    }
    stack.stop().await;
}

#[tokio::test]
async fn a_bundle_has_the_members_of_its_api_version() {
    let stack = Stack::start().await;
    let body = json!({
        "kty": "RSA", "key_size": 3072, "key_ops": ["unwrapKey", "wrapKey"],
        "attributes": { "enabled": true, "nbf": 1_000_000_000, "exp": 4_000_000_000_i64 },
        "tags": { "team": "kms" }, "unknown": [1],
    });
    let (status, bundle) = stack.call("POST", "/keys/Big/create", body).await;
    assert_eq!(status, StatusCode::OK, "{bundle}");
    let modulus = URL_SAFE_NO_PAD.decode(bundle["key"]["n"].as_str().unwrap()).unwrap();
    assert_eq!((modulus.len(), bundle["key"]["e"].as_str()), (384, Some("AQAB")));
    insta::assert_json_snapshot!(bundle, {
        ".key.kid" => "[kid]", ".key.n" => "[n]", ".attributes.created" => "[now]", ".attributes.updated" => "[now]",
    });
    let url = "https://kyanite.vault.azure.net/keys/BIG?api-version=2016-10-01";
    let old: Value = stack.client.get(url).bearer_auth(stack.token().await).send().await.unwrap().json().await.unwrap();
    let members: Vec<_> = old["attributes"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(members, ["created", "enabled", "exp", "nbf", "recoveryLevel", "updated"]);
    assert_eq!(old["key"]["kid"], bundle["key"]["kid"], "the case of creation is kept");
}

#[tokio::test]
async fn versions_pile_up_and_the_latest_is_meant() {
    let stack = Stack::start().await;
    let first = version_of(&stack.create("kms").await);
    let (_, sealed) = encrypt(&stack, "/keys/kms").await;
    let (status, rotated) = stack.bare("POST", "/keys/kms/rotate").await;
    assert_eq!(status, StatusCode::OK, "{rotated}");
    let second = version_of(&rotated);
    assert_ne!(first, second);
    let (_, latest) = stack.bare("GET", "/keys/kms/").await;
    assert_eq!(version_of(&latest), second);
    let (_, old) = stack.bare("GET", &format!("/keys/kms/{first}")).await;
    assert_eq!(version_of(&old), first);
    // The old version opens what it sealed; the new one does not.
    assert_eq!(decrypt(&stack, &format!("/keys/kms/{first}"), &sealed).await.0, StatusCode::OK);
    assert_eq!(decrypt(&stack, "/keys/kms", &sealed).await.0, StatusCode::BAD_REQUEST);
    let (_, list) = stack.bare("GET", "/keys/kms/versions").await;
    let kids: Vec<_> = list["value"].as_array().unwrap().iter().map(|item| item["kid"].as_str().unwrap()).collect();
    let kid = |version| format!("https://kyanite.vault.azure.net/keys/kms/{version}");
    assert_eq!(kids, [kid(first), kid(second)]);
    assert_eq!(list["nextLink"], Value::Null);
}

#[tokio::test]
async fn an_update_changes_what_it_names_and_nothing_else() {
    let stack = Stack::start().await;
    let bundle = stack.create("kms").await;
    stack.clock.advance(Duration::from_secs(5)).unwrap();
    let version = version_of(&bundle);
    let patch = json!({ "key_ops": ["decrypt"], "tags": { "a": "1" }, "attributes": { "exp": 4_000_000_000_i64 } });
    let (status, updated) = stack.call("PATCH", &format!("/keys/kms/{version}"), patch).await;
    assert_eq!(status, StatusCode::OK, "{updated}");
    assert_eq!(updated["key"]["key_ops"], json!(["decrypt"]));
    let (_, updated) = stack.call("PATCH", "/keys/kms/", json!({ "attributes": { "nbf": 1 }, "tags": {} })).await;
    assert_eq!(updated["tags"], json!({}), "tags are replaced as a whole");
    assert_eq!(updated["attributes"]["exp"], 4_000_000_000_i64);
    assert_eq!(updated["attributes"]["nbf"], 1);
    assert_eq!(updated["attributes"]["created"], bundle["attributes"]["created"]);
    assert!(updated["attributes"]["updated"].as_i64() >= bundle["attributes"]["created"].as_i64().map(|at| at + 5));
    assert_eq!(updated["key"]["n"], bundle["key"]["n"]);
    let (status, refused) = encrypt(&stack, "/keys/kms").await;
    assert_eq!((status, codes(&refused)), (StatusCode::FORBIDDEN, ("Forbidden", "KeyOperationForbidden")));
}

#[tokio::test]
async fn an_expired_key_decrypts_but_does_not_encrypt() {
    let stack = Stack::start().await;
    stack.create("kms").await;
    let (_, sealed) = encrypt(&stack, "/keys/kms").await;
    let in_a_day = stack.clock.now().as_second() + 86_400;
    let attributes = json!({ "attributes": { "exp": in_a_day } });
    stack.call("PATCH", "/keys/kms", attributes).await;
    assert_eq!(encrypt(&stack, "/keys/kms").await.0, StatusCode::OK);
    stack.clock.advance(DAY).unwrap();
    let (status, refused) = encrypt(&stack, "/keys/kms").await;
    assert_eq!((status, codes(&refused)), (StatusCode::FORBIDDEN, ("Forbidden", "KeyExpired")));
    assert_eq!(decrypt(&stack, "/keys/kms", &sealed).await.0, StatusCode::OK);
    assert_eq!(stack.bare("GET", "/keys/kms").await.0, StatusCode::OK);
    let body = json!({ "attributes": { "nbf": in_a_day + 1_000_000, "exp": in_a_day + 2_000_000 } });
    assert_eq!(stack.call("PATCH", "/keys/kms", body).await.0, StatusCode::OK);
    let (status, refused) = encrypt(&stack, "/keys/kms").await;
    assert_eq!((status, codes(&refused)), (StatusCode::FORBIDDEN, ("Forbidden", "KeyNotYetValid")));
    assert_eq!(decrypt(&stack, "/keys/kms", &sealed).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_disabled_key_does_nothing_until_it_is_enabled() {
    let stack = Stack::start().await;
    stack.create("kms").await;
    let (_, sealed) = encrypt(&stack, "/keys/kms").await;
    let enabled = |enabled: bool| json!({ "attributes": { "enabled": enabled } });
    assert_eq!(stack.call("PATCH", "/keys/kms", enabled(false)).await.0, StatusCode::OK);
    for (status, refused) in [
        encrypt(&stack, "/keys/kms").await,
        decrypt(&stack, "/keys/kms", &sealed).await,
        stack.bare("GET", "/keys/kms").await,
    ] {
        assert_eq!((status, codes(&refused)), (StatusCode::FORBIDDEN, ("Forbidden", "KeyDisabled")));
    }
    // Lists and updates do not mind.
    assert_eq!(stack.bare("GET", "/keys").await.1["value"][0]["attributes"]["enabled"], false);
    assert_eq!(stack.call("PATCH", "/keys/kms", enabled(true)).await.0, StatusCode::OK);
    assert_eq!(decrypt(&stack, "/keys/kms", &sealed).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_deleted_key_comes_back_whole_or_not_at_all() {
    let stack = Stack::start().await;
    let first = version_of(&stack.create("kms").await);
    let (_, sealed) = encrypt(&stack, "/keys/kms").await;
    stack.bare("POST", "/keys/kms/rotate").await;
    let (status, deleted) = stack.bare("DELETE", "/keys/kms").await;
    assert_eq!(status, StatusCode::OK, "{deleted}");
    assert_eq!(deleted["recoveryId"], "https://kyanite.vault.azure.net/deletedkeys/kms");
    let (at, purge) = (deleted["deletedDate"].as_i64().unwrap(), deleted["scheduledPurgeDate"].as_i64().unwrap());
    assert_eq!(purge - at, 90 * 86_400);
    for (method, path) in
        [("GET", "/keys/kms"), ("DELETE", "/keys/kms"), ("GET", "/keys/kms/versions"), ("POST", "/keys/kms/rotate")]
    {
        let (status, refused) = stack.bare(method, path).await;
        assert_eq!((status, codes(&refused).0), (StatusCode::NOT_FOUND, "KeyNotFound"), "{method} {path}");
    }
    let (status, refused) = stack.call("POST", "/keys/KMS/create", json!({ "kty": "RSA" })).await;
    assert_eq!((status, codes(&refused)), (StatusCode::CONFLICT, ("Conflict", "ObjectIsDeletedButRecoverable")));
    assert_eq!(stack.bare("GET", "/keys").await.1["value"], json!([]));
    let (_, list) = stack.bare("GET", "/deletedkeys").await;
    assert_eq!(list["value"][0]["recoveryId"], deleted["recoveryId"]);
    assert_eq!(stack.bare("GET", "/deletedkeys/kms").await.1, deleted);

    let (status, recovered) = stack.bare("POST", "/deletedkeys/kms/recover").await;
    assert_eq!((status, &recovered["key"]), (StatusCode::OK, &deleted["key"]));
    assert_eq!(recovered.get("recoveryId"), None);
    assert_eq!(decrypt(&stack, &format!("/keys/kms/{first}"), &sealed).await.0, StatusCode::OK);

    stack.bare("DELETE", "/keys/kms").await;
    let purged = stack.send("DELETE", "/deletedkeys/kms", None).await;
    assert_eq!(purged.status(), StatusCode::NO_CONTENT);
    assert_eq!(purged.bytes().await.unwrap().len(), 0);
    let (status, refused) = stack.bare("POST", "/deletedkeys/kms/recover").await;
    assert_eq!((status, codes(&refused).0), (StatusCode::NOT_FOUND, "KeyNotFound"));
    // The name is free again, and nothing of the old key comes with it.
    stack.create("kms").await;
    let (status, refused) = decrypt(&stack, &format!("/keys/kms/{first}"), &sealed).await;
    assert_eq!((status, codes(&refused).0), (StatusCode::NOT_FOUND, "KeyNotFound"));
    assert_eq!(decrypt(&stack, "/keys/kms", &sealed).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn retention_and_purge_protection_follow_the_stacks_clock() {
    let recovery = RecoveryPolicy::new(7, true).unwrap();
    let vaults = vec![VaultConfig { recovery, ..VaultConfig::new("kyanite".parse().unwrap()) }];
    let stack = Stack::start_with(Config { vaults, ..config() }).await;
    let bundle = stack.create("kms").await;
    assert_eq!(bundle["attributes"]["recoveryLevel"], "CustomizedRecoverable");
    assert_eq!(bundle["attributes"]["recoverableDays"], 7);
    stack.bare("DELETE", "/keys/kms").await;
    let (status, refused) = stack.bare("DELETE", "/deletedkeys/kms").await;
    assert_eq!((status, codes(&refused).0), (StatusCode::FORBIDDEN, "Forbidden"));
    stack.clock.advance(6 * DAY).unwrap();
    assert_eq!(stack.bare("GET", "/deletedkeys/kms").await.0, StatusCode::OK);
    stack.clock.advance(DAY).unwrap();
    assert_eq!(stack.bare("GET", "/deletedkeys/kms").await.0, StatusCode::NOT_FOUND);
    assert_eq!(stack.control.keys(&"kyanite".parse().unwrap()), Some(Vec::new()));
    stack.create("kms").await;
}

#[tokio::test]
async fn concurrent_creations_and_rotations_lose_no_version() {
    let stack = Stack::start().await;
    stack.create("kms").await;
    let calls = (0..8).map(|index| {
        let stack = &stack;
        async move {
            if index % 2 == 0 { stack.create("kms").await } else { stack.bare("POST", "/keys/kms/rotate").await.1 }
        }
    });
    let mut made: Vec<_> = futures_join(calls).await.iter().map(version_of).collect();
    let keys = stack.control.keys(&"kyanite".parse().unwrap()).unwrap();
    let mut stored: Vec<_> = keys[0].versions.iter().skip(1).map(|version| version.id.clone()).collect();
    made.sort();
    stored.sort();
    assert_eq!(made, stored);
}

/// Runs futures side by side.
async fn futures_join<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in futures.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}
