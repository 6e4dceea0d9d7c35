//! What is in etcd: keys, bytes, and what a broken value does.

use kube::api::{ListParams, PostParams};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::server::{Server, secret};

#[tokio::test]
async fn a_secret_is_protobuf_under_upstreams_key() {
    let server = Server::start().await;
    let created = server.secrets().await.create(&PostParams::default(), &secret("a", "plain text")).await.unwrap();
    let value = server.etcd.value("/registry/secrets/default/a").await;
    assert!(value.starts_with(b"k8s\0\x0a\x0c\x0a\x02v1\x12\x06Secret"));
    let stored: envelope::storage::Secret = envelope::storage::decode(&value).unwrap();
    assert_eq!(stored.metadata.uid, created.metadata.uid.unwrap());
    assert_eq!(stored.metadata.resource_version, "");
    assert_eq!(stored.r#type, "Opaque");
    assert_eq!(stored.data[0].value.as_deref(), Some(b"plain text".as_slice()));
    assert_eq!(stored.metadata.managed_fields.len(), 1);
}

/// A value that kube-apiserver wrote (`secrets.json` of the golden files, Secret `opaque-small`).
const UPSTREAM: &str = "azhzAAoMCgJ2MRIGU2VjcmV0Ev8BCscBCgxvcGFxdWUtc21hbGwSABoHZGVmYXVsdCIAKiQzNTNkN2RkMC1kMjkxLTQ0YzctYjgwYy01YTA4ZWVhY2M1M2EyADgAQggI+fCX2AYQAIoBdQoOa3ViZWN0bC1jcmVhdGUSBlVwZGF0ZRoCdjEiCAj58JfYBhAAMghGaWVsZHNWMTpBCj97ImY6ZGF0YSI6eyIuIjp7fSwiZjpwYXNzd29yZCI6e30sImY6dXNlcm5hbWUiOnt9fSwiZjp0eXBlIjp7fX1CABIYCghwYXNzd29yZBIMUyFCXCpkJHpEc2I9EhEKCHVzZXJuYW1lEgVhZG1pbhoGT3BhcXVlGgAiAA==";

#[tokio::test]
async fn a_value_of_a_real_server_reads_the_same_and_a_no_op_leaves_it_alone() {
    use base64::Engine as _;
    let server = Server::start().await;
    let value = base64::engine::general_purpose::STANDARD.decode(UPSTREAM).unwrap();
    let key = "/registry/secrets/default/opaque-small";
    server.etcd.client().await.put(key, value.clone(), None).await.unwrap();
    let secrets = server.secrets().await;
    let read = secrets.get("opaque-small").await.unwrap();
    let seen = serde_json::to_value(&read).unwrap();
    // What kubectl showed of it there.
    assert_eq!(
        seen["metadata"]["managedFields"],
        json!([{
        "apiVersion": "v1", "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {".": {}, "f:password": {}, "f:username": {}}, "f:type": {}},
        "manager": "kubectl-create", "operation": "Update", "time": "2026-11-24T20:50:01Z"}])
    );
    assert_eq!(seen["data"], json!({"password": "UyFCXCpkJHpEc2I9", "username": "YWRtaW4="}));
    let same = secrets.replace("opaque-small", &PostParams::default(), &read).await.unwrap();
    assert_eq!(same.metadata.resource_version, read.metadata.resource_version);
    assert_eq!(server.etcd.value(key).await, value);
}

#[tokio::test]
async fn a_value_that_cannot_be_opened_fails_every_request_that_needs_it() {
    let server = Server::start().await;
    let secrets = server.secrets().await;
    secrets.create(&PostParams::default(), &secret("b", "x")).await.unwrap();
    server.etcd.client().await.put("/registry/secrets/default/c", "k8s:enc:kms:v2:gone:x", None).await.unwrap();
    let path = "/api/v1/namespaces/default/secrets";
    let text = "identity transformer tried to read encrypted data";
    let mut seen = Vec::new();
    for (method, path, body) in [
        (Method::GET, format!("{path}/c"), json!(null)),
        (Method::PUT, format!("{path}/c"), json!({"metadata": {"name": "c"}})),
        (Method::DELETE, format!("{path}/c"), json!({})),
        (Method::GET, path.to_owned(), json!(null)),
        (Method::GET, format!("{path}?watch=true"), json!(null)),
        (Method::DELETE, path.to_owned(), json!({})),
    ] {
        let (code, answer) = server.send(method, &path, body).await;
        assert_eq!((code, answer["reason"].as_str()), (StatusCode::INTERNAL_SERVER_ERROR, Some("InternalError")));
        assert_eq!(
            answer["message"],
            format!("Internal error occurred: {}", answer["details"]["causes"][0]["message"].as_str().unwrap())
        );
        seen.push(answer["details"]["causes"][0]["message"].as_str().unwrap().to_owned());
    }
    let listed = format!("unable to transform key \"/registry/secrets/default/c\": {text}");
    assert_eq!(seen, [text, text, text, &listed, &listed, &listed]);
    // Others are not touched: a create over it is refused by its key alone, a page before it is whole.
    let (code, answer) = server.send(Method::POST, path, json!({"metadata": {"name": "c"}})).await;
    assert_eq!((code, answer["message"].as_str()), (StatusCode::CONFLICT, Some("secrets \"c\" already exists")));
    let page = secrets.list(&ListParams::default().limit(1)).await.unwrap();
    assert_eq!(page.items.len(), 1);
    assert!(server.config_maps().await.list(&ListParams::default()).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn a_foreign_value_is_an_error_and_no_panic() {
    let server = Server::start().await;
    for value in ["", "hello", "k8s\0", "k8s\0\u{a}\u{c}"] {
        server.etcd.client().await.put("/registry/secrets/default/c", value, None).await.unwrap();
        let (code, answer) = server.get("/api/v1/namespaces/default/secrets/c").await;
        assert_eq!((code, answer["kind"].as_str()), (StatusCode::INTERNAL_SERVER_ERROR, Some("Status")), "{value:?}");
    }
}
