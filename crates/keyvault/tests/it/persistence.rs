//! The state that outlives the process.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use keyvault::{Emulator, KeyInfo, OpenError};
use reqwest::StatusCode;
use serde_json::json;

use crate::stack::{Stack, VAULT, config_in, version_of};

const FILE: &str = "keyvault.redb";

fn keys(data_dir: &Path) -> Vec<KeyInfo> {
    let emulator = Emulator::open(config_in(data_dir)).unwrap();
    emulator.control().keys(&"kyanite".parse().unwrap()).unwrap()
}

#[tokio::test]
async fn keys_and_tokens_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("state");
    let stack = Stack::start_with(config_in(&data_dir)).await;
    let bundle = stack.create("Kms").await;
    stack.call("PATCH", "/keys/kms", json!({ "tags": { "a": "b" }, "attributes": { "exp": 4_000_000_000_i64 } })).await;
    let plain = json!({ "alg": "RSA-OAEP", "value": "c2VlZA" });
    let (_, sealed) = stack.call("POST", "/keys/kms/encrypt", plain).await;
    stack.bare("POST", "/keys/kms/rotate").await;
    stack.create("gone").await;
    stack.bare("DELETE", "/keys/gone").await;
    let before = stack.control.keys(&"kyanite".parse().unwrap()).unwrap();
    let token = stack.token().await.to_owned();
    stack.stop().await;

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data_dir), mode(&data_dir.join(FILE))), (0o700, 0o600));
    let stack = Stack::start_with(config_in(&data_dir)).await;
    assert_eq!(stack.control.keys(&"kyanite".parse().unwrap()).unwrap(), before);
    // The old token still holds: the signing key is the same.
    let url = format!("{VAULT}/keys/kms/{}?api-version=7.4", version_of(&bundle));
    assert_eq!(stack.client.get(url).bearer_auth(token).send().await.unwrap().status(), StatusCode::OK);
    let back = json!({ "alg": "RSA-OAEP", "value": sealed["value"] });
    let (status, opened) = stack.call("POST", &format!("/keys/kms/{}/decrypt", version_of(&bundle)), back).await;
    assert_eq!((status, &opened["value"]), (StatusCode::OK, &json!("c2VlZA")));
    assert_eq!(stack.bare("POST", "/deletedkeys/gone/recover").await.0, StatusCode::OK);
    stack.stop().await;
}

/// What was acknowledged is in the file at that moment, whether or not the process ever gets to do more.
#[tokio::test]
async fn an_acknowledged_change_survives_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start_with(config_in(dir.path())).await;
    let body = || Some(json!({ "kty": "RSA" }));
    let steps = [
        ("POST", "/keys/kms/create", body()),
        ("POST", "/keys/kms/rotate", None),
        ("PATCH", "/keys/kms", Some(json!({ "attributes": { "enabled": false } }))),
        ("DELETE", "/keys/kms", None),
        ("POST", "/deletedkeys/kms/recover", None),
        ("POST", "/keys/other/create", body()),
        ("DELETE", "/keys/other", None),
        ("DELETE", "/deletedkeys/other", None),
    ];
    for (index, (method, path, body)) in steps.into_iter().enumerate() {
        let response = stack.send(method, path, body).await;
        assert!(response.status().is_success(), "{method} {path}");
        // The file as a crash would leave it: still open, nothing closed.
        let crashed = dir.path().join(format!("crash-{index}"));
        fs::create_dir(&crashed).unwrap();
        fs::copy(dir.path().join(FILE), crashed.join(FILE)).unwrap();
        let shown = stack.control.keys(&"kyanite".parse().unwrap()).unwrap();
        assert_eq!(keys(&crashed), shown, "after {method} {path}");
    }
    stack.stop().await;
}

#[tokio::test]
async fn a_purge_by_retention_is_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start_with(config_in(dir.path())).await;
    stack.create("kms").await;
    stack.bare("DELETE", "/keys/kms").await;
    stack.clock.advance(std::time::Duration::from_hours(90 * 24)).unwrap();
    assert_eq!(stack.bare("GET", "/deletedkeys/kms").await.0, StatusCode::NOT_FOUND);
    stack.stop().await;
    // A new stack's clock starts at real time, 90 days earlier: the key must not come back.
    assert_eq!(keys(dir.path()), []);
}

#[test]
fn a_file_in_use_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let first = Emulator::open(config_in(dir.path())).unwrap();
    let error = Emulator::open(config_in(dir.path())).unwrap_err();
    assert!(matches!(&error, OpenError::Locked { path } if *path == dir.path().join(FILE)), "{error:?}");
    drop(first);
    Emulator::open(config_in(dir.path())).unwrap();
}

#[test]
fn a_file_that_is_something_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for garbage in [b"not a database".to_vec(), vec![0xff; 100_000]] {
        fs::write(dir.path().join(FILE), garbage).unwrap();
        let error = Emulator::open(config_in(dir.path())).unwrap_err();
        assert!(matches!(error, OpenError::Corrupt { source: Some(_), .. }), "{error:?}");
    }
}

#[test]
fn a_directory_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Emulator::open(config_in(&file)).unwrap_err();
    assert!(matches!(error, OpenError::DataDir { .. }), "{error:?}");
}
