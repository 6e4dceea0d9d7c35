//! Kinds of keys, imports, backups, rotation policies and secrets, over TLS.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use keyvault::{Config, Sku, VaultConfig, VaultKind};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::stack::{Stack, config, config_in, eventually, json_of, version_of};

const DAY: Duration = Duration::from_hours(24);
const OTHER_VAULT: &str = "https://nobody.vault.azure.net";

fn codes(body: &Value) -> (&str, &str) {
    let error = &body["error"];
    (error["code"].as_str().unwrap_or_default(), error["innererror"]["code"].as_str().unwrap_or_default())
}

/// Two vaults of one emulator.
fn two(config: Config) -> Config {
    Config { vaults: ["kyanite", "nobody"].map(|name| VaultConfig::new(name.parse().unwrap())).into(), ..config }
}

async fn in_other_vault(stack: &Stack, path: &str, body: &Value) -> (StatusCode, Value) {
    let request = stack.client.post(format!("{OTHER_VAULT}{path}?api-version=7.6")).json(body);
    json_of(request.bearer_auth(stack.token().await).send().await.unwrap()).await
}

/// The id of the latest version.
async fn latest(stack: &Stack, name: &str) -> String {
    version_of(&stack.bare("GET", &format!("/keys/{name}")).await.1)
}

#[tokio::test]
async fn each_kind_of_key_shows_what_it_is_and_hides_what_it_hides() {
    let stack = Stack::start().await;
    let mut shown = Vec::new();
    for (kty, crv) in [("EC", "P-256"), ("EC-HSM", "P-521"), ("RSA-HSM", ""), ("oct-HSM", "")] {
        let mut body = json!({ "kty": kty });
        if !crv.is_empty() {
            body["crv"] = crv.into();
        }
        let (status, mut bundle) = stack.call("POST", &format!("/keys/{kty}/create"), body).await;
        assert_eq!(status, StatusCode::OK, "{bundle}");
        for member in ["kid", "n", "x", "y"] {
            if bundle["key"].get(member).is_some() {
                bundle["key"][member] = format!("[{member}]").into();
            }
        }
        bundle["attributes"]["created"] = "[now]".into();
        bundle["attributes"]["updated"] = "[now]".into();
        shown.push(bundle);
    }
    insta::assert_json_snapshot!(shown);
}

#[tokio::test]
async fn a_standard_vault_has_no_keys_in_hardware() {
    let vaults = vec![VaultConfig { sku: Sku::Standard, ..VaultConfig::new("kyanite".parse().unwrap()) }];
    let stack = Stack::start_with(Config { vaults, ..config() }).await;
    for kty in ["RSA-HSM", "EC-HSM", "oct-HSM"] {
        let (status, refused) = stack.call("POST", "/keys/kms/create", json!({ "kty": kty })).await;
        assert_eq!((status, codes(&refused).0), (StatusCode::BAD_REQUEST, "BadParameter"), "{kty}");
        let text = refused["error"]["message"].as_str().unwrap();
        assert!(
            text.starts_with(&format!("Keys of type {kty} are not supported in a vault of SKU standard")),
            "{text}"
        );
    }
    let key = json!({ "kty": "oct", "k": URL_SAFE_NO_PAD.encode([7; 16]) });
    let (status, _) = stack.call("PUT", "/keys/kms", json!({ "key": key, "Hsm": true })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, made) = stack.call("POST", "/keys/kms/create", json!({ "kty": "EC" })).await;
    assert_eq!(status, StatusCode::OK, "{made}");
}

#[tokio::test]
async fn an_imported_key_is_the_callers_own() {
    let stack = Stack::start().await;
    // The generator of P-256 is the public point of the scalar one; leading zeros may be left out.
    let key = json!({
        "kty": "EC", "crv": "P-256", "d": "AQ", "key_ops": ["sign"],
        "x": "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY", "y": "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU",
    });
    let (status, bundle) = stack.call("PUT", "/keys/own", json!({ "key": key, "tags": { "a": "b" } })).await;
    assert_eq!(status, StatusCode::OK, "{bundle}");
    assert_eq!((&bundle["key"]["x"], &bundle["key"]["y"]), (&key["x"], &key["y"]));
    assert_eq!((&bundle["key"]["key_ops"], bundle["key"].get("d")), (&json!(["sign"]), None));
    let digest = URL_SAFE_NO_PAD.encode([1; 32]);
    let (status, signed) = stack.call("POST", "/keys/own/sign", json!({ "alg": "ES256", "value": digest })).await;
    assert_eq!(status, StatusCode::OK, "{signed}");
    let body = json!({ "alg": "ES256", "digest": digest, "value": signed["value"] });
    let (status, refused) = stack.call("POST", "/keys/own/verify", body.clone()).await;
    assert_eq!((status, codes(&refused).1), (StatusCode::FORBIDDEN, "KeyOperationForbidden"));
    stack.call("PATCH", "/keys/own", json!({ "key_ops": ["verify"] })).await;
    assert_eq!(stack.call("POST", "/keys/own/verify", body).await.1, json!({ "value": true }));
    // A second import is a second version.
    stack.call("PUT", "/keys/own", json!({ "key": key })).await;
    assert_eq!(stack.bare("GET", "/keys/own/versions").await.1["value"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_state_of_a_key_governs_signing_too() {
    let stack = Stack::start().await;
    let in_a_day = stack.clock.now().as_second() + 86_400;
    let body = json!({ "kty": "EC", "attributes": { "exp": in_a_day } });
    stack.call("POST", "/keys/k/create", body).await;
    let digest = URL_SAFE_NO_PAD.encode([1; 32]);
    let sign = || stack.call("POST", "/keys/k/sign", json!({ "alg": "ES256", "value": digest }));
    let signed = sign().await.1;
    let verify = json!({ "alg": "ES256", "digest": digest, "value": signed["value"] });
    stack.clock.advance(DAY).unwrap();
    let (status, refused) = sign().await;
    assert_eq!((status, codes(&refused).1), (StatusCode::FORBIDDEN, "KeyExpired"));
    assert_eq!(stack.call("POST", "/keys/k/verify", verify.clone()).await.1, json!({ "value": true }));
    stack.call("PATCH", "/keys/k", json!({ "attributes": { "enabled": false } })).await;
    let (status, refused) = stack.call("POST", "/keys/k/verify", verify).await;
    assert_eq!((status, codes(&refused).1), (StatusCode::FORBIDDEN, "KeyDisabled"));
}

#[tokio::test]
async fn a_policy_rotates_on_the_stacks_clock() {
    let stack = Stack::start().await;
    let first = version_of(&stack.create("kms").await);
    let rotate =
        json!({ "trigger": { "timeAfterCreate": "P90D", "timeBeforeExpiry": null }, "action": { "type": "rotate" } });
    let policy = json!({ "lifetimeActions": [rotate], "attributes": { "expiryTime": "P1Y" } });
    let (status, set) = stack.call("PUT", "/keys/kms/rotationpolicy", policy).await;
    assert_eq!(status, StatusCode::OK, "{set}");
    assert_eq!(stack.bare("GET", "/keys/kms/rotationPolicy").await.1, set);
    insta::assert_json_snapshot!(set, { ".attributes.created" => "[now]", ".attributes.updated" => "[now]" });
    stack.clock.advance(89 * DAY).unwrap();
    assert_eq!(latest(&stack, "kms").await, first);
    stack.clock.advance(DAY).unwrap();
    let (_, rotated) = stack.bare("GET", "/keys/kms").await;
    let second = version_of(&rotated);
    assert_ne!(second, first);
    let seconds = |member: &str| rotated["attributes"][member].as_i64().unwrap();
    let days = (seconds("exp") - seconds("created")) / 86_400;
    assert!((365..=366).contains(&days), "{days} days");
    assert!((stack.clock.now().as_second() - seconds("created")).abs() < 60);
    let (_, old) = stack.bare("GET", &format!("/keys/kms/{first}")).await;
    assert_eq!(old["attributes"].get("exp"), None, "the version before keeps its life");
    // However far the clock leaps, one rotation makes up for what was missed, and the next is 90 days away.
    stack.clock.advance(1000 * DAY).unwrap();
    assert_ne!(latest(&stack, "kms").await, second);
    let (_, versions) = stack.bare("GET", "/keys/kms/versions").await;
    assert_eq!(versions["value"].as_array().unwrap().len(), 3);
    // A deleted key rests.
    stack.bare("DELETE", "/keys/kms").await;
    stack.clock.advance(89 * DAY).unwrap();
    assert_eq!(stack.bare("POST", "/deletedkeys/kms/recover").await.0, StatusCode::OK);
    let (_, versions) = stack.bare("GET", "/keys/kms/versions").await;
    assert_eq!(versions["value"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn what_is_due_happens_though_nobody_asks() {
    let stack = Stack::start().await;
    stack.call("POST", "/keys/k/create", json!({ "kty": "EC" })).await;
    let rotate = json!({ "trigger": { "timeAfterCreate": "P30D" }, "action": { "type": "Rotate" } });
    stack.call("PUT", "/keys/k/rotationpolicy", json!({ "lifetimeActions": [rotate] })).await;
    stack.create("gone").await;
    stack.bare("DELETE", "/keys/gone").await;
    let told = stack.control.events(100).len();
    stack.clock.advance(90 * DAY).unwrap();
    let vault = "kyanite".parse().unwrap();
    eventually("a second version, and no deleted key", || {
        let keys = stack.control.keys(&vault).unwrap();
        (keys.len() == 1 && keys[0].versions.len() == 2).then_some(())
    })
    .await;
    let event = eventually("an event", || stack.control.events(100).get(told).cloned()).await;
    let event = serde_json::to_value(event).unwrap();
    assert_eq!(event["eventType"], "Microsoft.KeyVault.KeyNewVersionCreated", "{event}");
}

#[tokio::test]
async fn a_policy_rotates_before_expiry() {
    let stack = Stack::start().await;
    let expires = stack.clock.now().as_second() + 100 * 86_400;
    stack.call("POST", "/keys/k/create", json!({ "kty": "EC", "attributes": { "exp": expires } })).await;
    let first = latest(&stack, "k").await;
    let rotate = json!({ "trigger": { "timeBeforeExpiry": "P30D" }, "action": { "type": "Rotate" } });
    let policy = json!({ "lifetimeActions": [rotate], "attributes": { "expiryTime": "P100D" } });
    assert_eq!(stack.call("PUT", "/keys/k/rotationpolicy", policy).await.0, StatusCode::OK);
    stack.clock.advance(69 * DAY).unwrap();
    assert_eq!(latest(&stack, "k").await, first);
    stack.clock.advance(DAY).unwrap();
    let (_, rotated) = stack.bare("GET", "/keys/k").await;
    assert_ne!(version_of(&rotated), first);
    let exp = Timestamp::from_second(rotated["attributes"]["exp"].as_i64().unwrap()).unwrap();
    assert_eq!(exp.duration_since(stack.clock.now()).as_hours() / 24, 99, "a hundred days, less the time since");
}

#[tokio::test]
async fn a_backup_opens_in_any_vault_of_its_emulator_and_in_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start_with(two(config_in(dir.path()))).await;
    let bundle = stack.create("kms").await;
    stack.bare("POST", "/keys/kms/rotate").await;
    let policy = json!({ "attributes": { "expiryTime": "P1Y" } });
    stack.call("PUT", "/keys/kms/rotationpolicy", policy).await;
    let sealed = stack.call("POST", "/keys/kms/encrypt", json!({ "alg": "RSA-OAEP", "value": "c2VlZA" })).await.1;
    let (status, backup) = stack.bare("POST", "/keys/kms/backup").await;
    assert_eq!(status, StatusCode::OK, "{backup}");
    stack.call("PUT", "/secrets/s", json!({ "value": "secret" })).await;
    let (_, secret_backup) = stack.bare("POST", "/secrets/s/backup").await;

    let (status, refused) = stack.call("POST", "/keys/restore", backup.clone()).await;
    assert_eq!((status, codes(&refused)), (StatusCode::CONFLICT, ("Conflict", "")));
    stack.bare("DELETE", "/keys/kms").await;
    let (status, refused) = stack.call("POST", "/keys/restore", backup.clone()).await;
    assert_eq!((status, codes(&refused).1), (StatusCode::CONFLICT, "ObjectIsDeletedButRecoverable"));
    let (status, refused) = stack.call("POST", "/keys/restore", secret_backup.clone()).await;
    assert_eq!((status, codes(&refused).0), (StatusCode::BAD_REQUEST, "BadParameter"));
    stack.stop().await;

    // The key that seals backups outlives the process.
    let stack = Stack::start_with(two(config_in(dir.path()))).await;
    let (status, restored) = in_other_vault(&stack, "/keys/restore", &backup).await;
    assert_eq!(status, StatusCode::OK, "{restored}");
    let kid = restored["key"]["kid"].as_str().unwrap();
    assert!(kid.starts_with(&format!("{OTHER_VAULT}/keys/kms/")), "{kid}");
    let opened =
        in_other_vault(&stack, "/keys/kms/decrypt", &json!({ "alg": "RSA-OAEP", "value": sealed["value"] })).await;
    assert_eq!(opened.1["value"], "c2VlZA");
    let keys = stack.control.keys(&"nobody".parse().unwrap()).unwrap();
    assert_eq!((keys[0].versions.len(), &keys[0].versions[0].id), (2, &version_of(&bundle)));
    assert_eq!(in_other_vault(&stack, "/secrets/restore", &secret_backup).await.0, StatusCode::OK);

    let stranger = Stack::start().await;
    for (path, blob) in [("/keys/restore", backup), ("/secrets/restore", secret_backup)] {
        let (status, refused) = stranger.call("POST", path, blob).await;
        assert_eq!((status, codes(&refused).0), (StatusCode::BAD_REQUEST, "BadParameter"), "{path}");
    }
}

#[tokio::test]
async fn a_secret_lives_as_a_key_does_and_its_times_only_inform() {
    let stack = Stack::start().await;
    let body = json!({
        "value": "correct horse", "contentType": "text/plain", "tags": { "team": "kms" }, "unknown": 1,
        "attributes": { "enabled": true, "nbf": 4_000_000_000_i64, "exp": 4_100_000_000_i64 },
    });
    let (status, set) = stack.call("PUT", "/secrets/Db", body).await;
    assert_eq!(status, StatusCode::OK, "{set}");
    let redactions = || vec![(".id", "[id]"), (".attributes.created", "[now]"), (".attributes.updated", "[now]")];
    let mut settings = insta::Settings::clone_current();
    for (selector, text) in redactions() {
        settings.add_redaction(selector, text);
    }
    settings.bind(|| insta::assert_json_snapshot!(set));
    // Before `nbf`, and by another case of the name: it is read all the same.
    assert_eq!(stack.bare("GET", "/secrets/DB/?outContentType=PFX").await, (StatusCode::OK, set.clone()));
    let id = set["id"].as_str().unwrap();
    let version = id.rsplit('/').next().unwrap().to_owned();
    assert_eq!(id, format!("https://kyanite.vault.azure.net/secrets/Db/{version}"));
    let patch = json!({ "attributes": { "enabled": false }, "contentType": "json" });
    let (status, patched) = stack.call("PATCH", &format!("/secrets/db/{version}"), patch).await;
    assert_eq!((status, patched.get("value"), &patched["contentType"]), (StatusCode::OK, None, &json!("json")));
    let (status, refused) = stack.bare("GET", "/secrets/db").await;
    assert_eq!((status, codes(&refused)), (StatusCode::FORBIDDEN, ("Forbidden", "SecretDisabled")));
    let (_, list) = stack.bare("GET", "/secrets").await;
    assert_eq!(list["value"][0]["id"], "https://kyanite.vault.azure.net/secrets/Db");
    assert_eq!(list["value"][0].get("value"), None);
    let (status, deleted) = stack.bare("DELETE", "/secrets/db").await;
    assert_eq!((status, deleted.get("value")), (StatusCode::OK, None), "{deleted}");
    assert_eq!(deleted["recoveryId"], "https://kyanite.vault.azure.net/deletedsecrets/Db");
    let (status, refused) = stack.call("PUT", "/secrets/db", json!({ "value": "x" })).await;
    assert_eq!((status, codes(&refused)), (StatusCode::CONFLICT, ("Conflict", "ObjectIsDeletedButRecoverable")));
    // A key of the same name is another thing.
    assert_eq!(stack.call("POST", "/keys/db/create", json!({ "kty": "EC" })).await.0, StatusCode::OK);
    stack.clock.advance(90 * DAY).unwrap();
    let (status, gone) = stack.bare("GET", "/deletedsecrets/db").await;
    assert_eq!((status, codes(&gone).0), (StatusCode::NOT_FOUND, "SecretNotFound"));
    assert_eq!(stack.call("PUT", "/secrets/db", json!({ "value": "x" })).await.0, StatusCode::OK);
}

/// What was acknowledged is in the file at that moment; what the file holds is what was there.
#[tokio::test]
async fn everything_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start_with(config_in(dir.path())).await;
    let digest = URL_SAFE_NO_PAD.encode([1; 32]);
    for (kty, crv) in [("EC", "P-256K"), ("EC-HSM", "P-384"), ("oct-HSM", ""), ("RSA-HSM", "")] {
        let body = if crv.is_empty() { json!({ "kty": kty }) } else { json!({ "kty": kty, "crv": crv }) };
        assert_eq!(stack.call("POST", &format!("/keys/{kty}/create"), body).await.0, StatusCode::OK);
    }
    let rotate = json!({ "trigger": { "timeAfterCreate": "P1M" }, "action": { "type": "Rotate" } });
    stack.call("PUT", "/keys/EC/rotationpolicy", json!({ "lifetimeActions": [rotate] })).await;
    let exportable = json!({
        "kty": "RSA-HSM", "attributes": { "exportable": true }, "release_policy": { "data": "e30", "immutable": true },
    });
    assert_eq!(stack.call("POST", "/keys/out/create", exportable).await.0, StatusCode::OK);
    let gcm = json!({ "alg": "A256GCM", "value": "c2VlZA", "aad": "YQ" });
    let sealed = stack.call("POST", "/keys/oct-HSM/encrypt", gcm).await.1;
    let signed = stack.call("POST", "/keys/EC/sign", json!({ "alg": "ES256K", "value": digest })).await.1;
    stack.call("PUT", "/secrets/s", json!({ "value": "first", "contentType": "c" })).await;
    stack.call("PUT", "/secrets/s", json!({ "value": "second", "tags": { "a": "b" } })).await;
    stack.call("PUT", "/secrets/gone", json!({ "value": "x" })).await;
    stack.bare("DELETE", "/secrets/gone").await;
    let paths = [
        "/keys/EC",
        "/keys/EC-HSM",
        "/keys/oct-HSM",
        "/keys/RSA-HSM",
        "/keys/out",
        "/keys/EC/rotationpolicy",
        "/secrets/s",
        "/secrets/s/versions",
        "/deletedsecrets/gone",
        "/secrets",
        "/keys",
    ];
    let mut before = Vec::new();
    for path in paths {
        before.push(stack.bare("GET", path).await);
    }
    stack.stop().await;

    let stack = Stack::start_with(config_in(dir.path())).await;
    for (path, before) in paths.into_iter().zip(before) {
        assert_eq!(stack.bare("GET", path).await, before, "{path}");
    }
    let mut open = sealed.clone();
    open["alg"] = "A256GCM".into();
    assert_eq!(stack.call("POST", "/keys/oct-HSM/decrypt", open).await.1["value"], "c2VlZA");
    let verify = json!({ "alg": "ES256K", "digest": digest, "value": signed["value"] });
    assert_eq!(stack.call("POST", "/keys/EC/verify", verify).await.1, json!({ "value": true }));
    let first = latest(&stack, "EC").await;
    stack.clock.advance(32 * DAY).unwrap();
    assert_ne!(latest(&stack, "EC").await, first, "the policy still acts");
    let later = json!({ "release_policy": { "data": "e30" } });
    let (status, refused) = stack.call("PATCH", "/keys/out", later).await;
    assert_eq!((status, codes(&refused).0), (StatusCode::BAD_REQUEST, "BadParameter"), "immutable");
    assert_eq!(stack.bare("POST", "/deletedsecrets/gone/recover").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_managed_hsm_gives_random_bytes_and_symmetric_keys() {
    let pool =
        VaultConfig { kind: VaultKind::ManagedHsm, sku: Sku::Standard, ..VaultConfig::new("pool".parse().unwrap()) };
    let stack = Stack::start_with(Config { vaults: vec![pool], ..config() }).await;
    let scope = [("scope", "https://managedhsm.azure.net/.default")];
    let (_, token) = json_of(stack.token_request(&scope).send().await.unwrap()).await;
    let post = async |path: &str, body: Value| {
        let url = format!("https://pool.managedhsm.azure.net{path}?api-version=7.6");
        let request = stack.client.post(url).bearer_auth(token["access_token"].as_str().unwrap()).json(&body);
        json_of(request.send().await.unwrap()).await
    };
    for count in [1, 128] {
        let (status, random) = post("/rng", json!({ "count": count })).await;
        assert_eq!(status, StatusCode::OK, "{random}");
        assert_eq!(URL_SAFE_NO_PAD.decode(random["value"].as_str().unwrap()).unwrap().len(), count);
    }
    let (status, key) = post("/keys/k/create", json!({ "kty": "oct-HSM", "key_size": 192 })).await;
    assert_eq!((status, &key["key"]["kty"]), (StatusCode::OK, &json!("oct-HSM")), "{key}");
}
