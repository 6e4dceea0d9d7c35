//! What is written down: audit records and events.

use std::time::Duration;

use keyvault::{AccessModel, AuditRecord, Config, FaultEffect, Limits, Operation, VaultConfig};
use reqwest::StatusCode;
use serde_json::json;

use crate::stack::{Stack, VAULT, config, eventually};

fn lines(path: &std::path::Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn each_request_is_one_record_the_probe_included() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("audit.jsonl");
    let stack = Stack::start_with(Config { audit_log: Some(path.clone()), ..config() }).await;
    let url = format!("{VAULT}/keys/kms/create?api-version=7.4");
    stack.client.post(&url).send().await.unwrap();
    let request = stack.client.post(&url).bearer_auth(stack.token().await).header("x-ms-client-request-id", "mine");
    let response = request.header("user-agent", "a-client/1.0").json(&json!({ "kty": "RSA" })).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(stack.bare("GET", "/keys/missing").await.0, StatusCode::NOT_FOUND);
    stack.client.get(format!("{VAULT}/healthstatus")).send().await.unwrap();
    // Neither tokens nor health checks are in it; the file says the same as the control door.
    let records = stack.control.audit(usize::MAX);
    let told: Vec<_> = records.iter().map(|record| record.operation_name.as_str()).collect();
    assert_eq!(told, ["Authentication", "KeyCreate", "KeyGet"]);
    let written: Vec<AuditRecord> =
        lines(&path).into_iter().map(|line| serde_json::from_value(line).unwrap()).collect();
    assert_eq!(written, records);
    insta::assert_json_snapshot!(records, {
        "[].time" => "[time]", "[].durationMs" => "[ms]", "[1].properties.id" => insta::dynamic_redaction(|id, _| {
            let id = id.as_str().unwrap();
            assert_eq!(id.rsplit('/').next().unwrap().len(), 32);
            id.rsplit_once('/').unwrap().0.to_owned() + "/[version]"
        }),
    });
}

#[tokio::test]
async fn a_refusal_and_a_lost_request_are_records_too() {
    let vault = VaultConfig { access: AccessModel::Rbac, ..VaultConfig::new("kyanite".parse().unwrap()) };
    let stack = Stack::start_with(Config { vaults: vec![vault], ..config() }).await;
    assert_eq!(stack.bare("GET", "/keys").await.0, StatusCode::FORBIDDEN);
    stack.inject(Operation::KeyList, FaultEffect::Drop, Some(1));
    let request = stack.client.get(format!("{VAULT}/keys?api-version=7.4")).bearer_auth(stack.token().await);
    assert!(request.send().await.is_err());
    let records = stack.control.audit(usize::MAX);
    let refused = &records[0];
    assert_eq!((refused.result_type.as_str(), refused.result_signature.as_str()), ("Failed", "Forbidden"));
    assert_eq!(refused.properties.is_rbac_authorized, Some(false));
    assert!(refused.result_description.starts_with("Caller is not authorized"), "{refused:?}");
    let lost = records.last().unwrap();
    assert_eq!((lost.result_signature.as_str(), lost.properties.http_status_code), ("", None));
}

#[tokio::test]
async fn subscribers_hear_of_new_versions_and_of_their_end() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("events.jsonl");
    let stack = Stack::start_with(Config { event_log: Some(path.clone()), ..config() }).await;
    let day = 86_400;
    let expires = stack.clock.now().as_second() + 100 * day;
    let body = json!({ "kty": "RSA", "attributes": { "exp": expires } });
    assert_eq!(stack.call("POST", "/keys/kms/create", body).await.0, StatusCode::OK);
    let first = &stack.control.events(1)[0];
    insta::assert_json_snapshot!(first, {
        ".id" => "[id]", ".eventTime" => "[time]", ".data.Id" => "[id]", ".data.Version" => "[version]",
        ".data.EXP" => "[exp]",
    }, @r#"
    {
      "id": "[id]",
      "topic": "/subscriptions/00000000-0000-4000-8000-000000000000/resourceGroups/kyanite/providers/Microsoft.KeyVault/vaults/kyanite",
      "subject": "kms",
      "eventType": "Microsoft.KeyVault.KeyNewVersionCreated",
      "eventTime": "[time]",
      "data": {
        "Id": "[id]",
        "VaultName": "kyanite",
        "ObjectType": "Key",
        "ObjectName": "kms",
        "Version": "[version]",
        "NBF": null,
        "EXP": "[exp]"
      },
      "dataVersion": "1",
      "metadataVersion": "1"
    }
    "#);
    assert!(first.data.id.ends_with(&format!("/keys/kms/{}", first.data.version)));
    // The clock alone makes the rest happen: nobody asks the vault anything.
    let types = || lines(&path).iter().map(|event| event["eventType"].clone()).collect::<Vec<_>>();
    stack.clock.advance(Duration::from_hours(24 * 70)).unwrap();
    eventually("near expiry", || (types().last()? == "Microsoft.KeyVault.KeyNearExpiry").then_some(())).await;
    stack.clock.advance(Duration::from_hours(24 * 30)).unwrap();
    eventually("expiry", || (types().last()? == "Microsoft.KeyVault.KeyExpired").then_some(())).await;
    assert_eq!(types().len(), 3, "each is told once");
    let names = stack.control.audit(2).into_iter().map(|record| record.operation_name).collect::<Vec<_>>();
    assert_eq!(names, ["KeyNearExpiryEventGridNotification", "KeyExpiredEventGridNotification"]);
}

#[tokio::test]
async fn a_policy_says_when_a_version_is_near_its_end() {
    let stack = Stack::start().await;
    let expires = stack.clock.now().as_second() + 100 * 86_400;
    let body = json!({ "kty": "RSA", "attributes": { "exp": expires } });
    assert_eq!(stack.call("POST", "/keys/kms/create", body).await.0, StatusCode::OK);
    let notify = json!({ "trigger": { "timeBeforeExpiry": "P60D" }, "action": { "type": "Notify" } });
    let policy = json!({ "lifetimeActions": [notify], "attributes": { "expiryTime": "P100D" } });
    let (status, answer) = stack.call("PUT", "/keys/kms/rotationpolicy", policy).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let near = || stack.control.events(10).iter().any(|event| event.event_type.ends_with("KeyNearExpiry"));
    stack.clock.advance(Duration::from_hours(24 * 39)).unwrap();
    assert!(!near());
    stack.clock.advance(Duration::from_hours(24)).unwrap();
    assert!(near());
}

#[tokio::test]
async fn limits_refuse_what_is_too_much_until_the_window_ends() {
    let stack = Stack::start_with(Config { limits: Some(Limits { retry_after: true }), ..config() }).await;
    // A window of the stack's clock begins at a multiple of ten seconds.
    let into = stack.clock.now().as_second().rem_euclid(10).unsigned_abs();
    stack.clock.advance(Duration::from_secs(10 - into)).unwrap();
    let mut statuses = Vec::new();
    for number in 0..21 {
        // An illegal size: counted, and cheap.
        let body = json!({ "kty": "RSA", "key_size": 1 });
        let response = stack.send("POST", &format!("/keys/kms-{number}/create"), Some(body)).await;
        let after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        statuses.push((response.status().as_u16(), after.is_some()));
    }
    assert!(statuses[..20].iter().all(|status| *status == (400, false)), "{statuses:?}");
    assert_eq!(statuses[20], (429, true));
    assert_eq!(stack.bare("GET", "/keys").await.0, StatusCode::OK, "another class");
    stack.clock.advance(Duration::from_secs(10)).unwrap();
    let (status, _) = stack.call("POST", "/keys/kms/create", json!({ "kty": "RSA" })).await;
    assert_eq!(status, StatusCode::OK);
}
