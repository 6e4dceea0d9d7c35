//! Lists: chunks, selectors, revisions, tables.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, ResourceExt};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::server::{Server, answer, secret};

async fn seeded(names: &[&str]) -> Server {
    let server = Server::start().await;
    let secrets = server.secrets().await;
    for name in names {
        secrets.create(&PostParams::default(), &secret(name, name)).await.unwrap();
    }
    server
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_list_in_chunks_is_one_list_at_one_revision() {
    let server = seeded(&["a", "b", "c", "d", "e"]).await;
    let secrets = server.secrets().await;
    let mut params = ListParams::default().limit(2);
    let mut seen = Vec::new();
    let mut revisions = Vec::new();
    loop {
        let page = secrets.list(&params).await.unwrap();
        if seen.is_empty() {
            assert_eq!(page.metadata.remaining_item_count, Some(3));
            // What happens now belongs to the next list.
            secrets.delete("e", &DeleteParams::default()).await.unwrap();
            secrets.create(&PostParams::default(), &secret("bb", "x")).await.unwrap();
        }
        revisions.push(page.metadata.resource_version.clone().unwrap());
        seen.extend(page.items.iter().map(ResourceExt::name_any));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => break,
        }
    }
    assert_eq!(seen, ["a", "b", "c", "d", "e"]);
    revisions.dedup();
    assert_eq!(revisions.len(), 1, "{revisions:?}");
}

#[tokio::test]
async fn a_continue_token_of_a_compacted_revision_is_expired_and_offers_another() {
    let server = seeded(&["a", "b", "c"]).await;
    let path = "/api/v1/namespaces/default/secrets?limit=1";
    let (_, page) = server.get(path).await;
    let token = page["metadata"]["continue"].as_str().unwrap().to_owned();
    let revision: i64 = page["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    server.secrets().await.create(&PostParams::default(), &secret("d", "x")).await.unwrap();
    server.etcd.client().await.compact(revision + 1, None).await.unwrap();
    let (code, expired) = server.get(&format!("{path}&continue={token}")).await;
    assert_eq!((code, expired["reason"].as_str()), (StatusCode::GONE, Some("Expired")));
    let inconsistent = expired["metadata"]["continue"].as_str().unwrap();
    let (code, rest) = server.get(&format!("/api/v1/namespaces/default/secrets?continue={inconsistent}")).await;
    assert_eq!((code, names(&rest)), (StatusCode::OK, vec!["b", "c", "d"]));
}

#[tokio::test]
async fn selectors_narrow_lists_and_their_chunks() {
    let server = Server::start().await;
    let secrets = server.secrets().await;
    for n in 0..20 {
        let mut object = secret(&format!("s{n:02}"), "x");
        object.metadata.labels = Some([("third".to_owned(), (n % 3 == 0).to_string())].into());
        if n == 7 {
            object.type_ = Some("example.com/seven".into());
        }
        secrets.create(&PostParams::default(), &object).await.unwrap();
    }
    let mut params = ListParams::default().labels("third=true").limit(2);
    let mut found = Vec::new();
    loop {
        let page = secrets.list(&params).await.unwrap();
        assert!(page.items.len() <= 2);
        assert_eq!(page.metadata.remaining_item_count, None);
        found.extend(page.items.iter().map(ResourceExt::name_any));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => break,
        }
    }
    assert_eq!(found, ["s00", "s03", "s06", "s09", "s12", "s15", "s18"]);
    for (fields, expected) in
        [("metadata.name=s05", vec!["s05"]), ("type=example.com/seven", vec!["s07"]), ("metadata.name=nobody", vec![])]
    {
        let page = secrets.list(&ListParams::default().fields(fields)).await.unwrap();
        assert_eq!(page.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), expected, "{fields}");
    }
}

#[tokio::test]
async fn lists_know_their_namespace_and_all_namespaces() {
    let server = seeded(&["a"]).await;
    let elsewhere: Api<Secret> = Api::namespaced(server.client().await, "kube-system");
    elsewhere.create(&PostParams::default(), &secret("b", "x")).await.unwrap();
    let (_, here) = server.get("/api/v1/namespaces/default/secrets").await;
    assert_eq!(names(&here), ["a"]);
    let (_, all) = server.get("/api/v1/secrets").await;
    assert_eq!(names(&all), ["a", "b"]);
    assert_eq!((all["kind"].as_str(), all["items"][0].get("kind")), (Some("SecretList"), None));
    let (code, empty) = server.get("/api/v1/namespaces/nowhere/secrets").await;
    assert_eq!((code, names(&empty).len()), (StatusCode::OK, 0));
}

#[tokio::test]
async fn a_list_may_ask_for_a_revision() {
    let server = seeded(&["a"]).await;
    let (_, before) = server.get("/api/v1/namespaces/default/secrets").await;
    let revision = before["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    server.secrets().await.create(&PostParams::default(), &secret("b", "x")).await.unwrap();
    let path = "/api/v1/namespaces/default/secrets?resourceVersion";
    let (_, exact) = server.get(&format!("{path}={revision}&resourceVersionMatch=Exact")).await;
    assert_eq!(names(&exact), ["a"]);
    let (_, newer) = server.get(&format!("{path}={revision}&resourceVersionMatch=NotOlderThan")).await;
    assert_eq!(names(&newer), ["a", "b"]);
    let (code, future) = server.get(&format!("{path}=999999&resourceVersionMatch=NotOlderThan")).await;
    assert_eq!(code, StatusCode::GATEWAY_TIMEOUT);
    let message = future["message"].as_str().unwrap();
    assert!(message.starts_with("Timeout: Too large resource version: 999999, current: "), "{message}");
}

#[tokio::test]
async fn tables_and_metadata_come_when_asked_for() {
    let server = seeded(&["a", "b"]).await;
    let wanting = |accept: &str, path: &str| answer(server.request(Method::GET, path).header("accept", accept));
    let path = "/api/v1/namespaces/default/secrets";
    let (_, table) = wanting("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", path).await;
    assert_eq!(table["kind"], "Table");
    let columns: Vec<_> = table["columnDefinitions"].as_array().unwrap().iter().map(|column| &column["name"]).collect();
    assert_eq!(columns, ["Name", "Type", "Data", "Age"]);
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    assert_eq!(cells[..3], [json!("a"), json!("Opaque"), json!(1)]);
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let (_, partial) = wanting("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", path).await;
    assert_eq!((partial["kind"].as_str(), partial["items"][1].get("data")), (Some("PartialObjectMetadataList"), None));
    let (code, refused) = wanting("application/vnd.kubernetes.protobuf", path).await;
    assert_eq!((code, refused["reason"].as_str()), (StatusCode::NOT_ACCEPTABLE, Some("NotAcceptable")));
}

#[tokio::test]
async fn a_collection_is_deleted_by_selector() {
    let server = seeded(&["a", "b", "c"]).await;
    let secrets = server.secrets().await;
    secrets
        .delete_collection(&DeleteParams::default(), &ListParams::default().fields("metadata.name!=b"))
        .await
        .unwrap();
    let left = secrets.list(&ListParams::default()).await.unwrap();
    assert_eq!(left.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["b"]);
}
