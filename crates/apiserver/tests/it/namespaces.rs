//! Namespaces: those that always are, and the deletion of others.

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::server::{Server, secret, wait_until};

fn namespace(name: &str) -> Namespace {
    serde_json::from_value(json!({"metadata": {"name": name}})).unwrap()
}

#[tokio::test]
async fn four_namespaces_are_always_there_and_stay_the_same_over_restarts() {
    let server = Server::start().await;
    let before = server.namespaces().await.list(&ListParams::default()).await.unwrap().items;
    let names: Vec<_> = before.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names, ["default", "kube-node-lease", "kube-public", "kube-system"]);
    let server = Server::start_on(server.stop().await).await;
    assert_eq!(server.namespaces().await.list(&ListParams::default()).await.unwrap().items, before);
}

#[tokio::test]
async fn a_new_namespace_is_active_labelled_and_finalized() {
    let server = Server::start().await;
    let created = server.namespaces().await.create(&PostParams::default(), &namespace("a")).await.unwrap();
    assert_eq!(created.labels()["kubernetes.io/metadata.name"], "a");
    assert_eq!(created.spec.unwrap().finalizers.unwrap(), ["kubernetes"]);
    assert_eq!(created.status.unwrap().phase.unwrap(), "Active");
}

#[tokio::test]
async fn a_deleted_namespace_takes_its_content_with_it() {
    let server = Server::start().await;
    let namespaces = server.namespaces().await;
    namespaces.create(&PostParams::default(), &namespace("a")).await.unwrap();
    let secrets: Api<Secret> = Api::namespaced(server.client().await, "a");
    for name in ["one", "two"] {
        secrets.create(&PostParams::default(), &secret(name, "x")).await.unwrap();
    }
    let going = namespaces.delete("a", &DeleteParams::default()).await.unwrap().left().expect("the namespace");
    assert_eq!(going.status.unwrap().phase.unwrap(), "Terminating");
    wait_until("the namespace to be gone", || async {
        namespaces.get_opt("a").await.unwrap().map_or(Ok(()), |seen| Err(format!("{:?}", seen.status)))
    })
    .await;
    assert_eq!(server.etcd.keys("/registry/secrets/a/").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_terminating_namespace_takes_nothing_new_and_waits_for_finalizers() {
    let server = Server::start().await;
    let namespaces = server.namespaces().await;
    namespaces.create(&PostParams::default(), &namespace("a")).await.unwrap();
    let secrets: Api<Secret> = Api::namespaced(server.client().await, "a");
    let mut held = secret("held", "x");
    held.metadata.finalizers = Some(vec!["example.com/hold".into()]);
    secrets.create(&PostParams::default(), &held).await.unwrap();
    namespaces.delete("a", &DeleteParams::default()).await.unwrap();
    let path = "/api/v1/namespaces/a/secrets";
    let (code, refused) = server.send(Method::POST, path, json!({"metadata": {"name": "b"}})).await;
    assert_eq!(code, StatusCode::FORBIDDEN);
    insta::assert_snapshot!(refused["message"].as_str().unwrap(), @r#"secrets "b" is forbidden: unable to create new content in namespace a because it is being terminated"#);
    assert_eq!(refused["details"]["causes"][0]["reason"], "NamespaceTerminating");

    // Another server takes over where this one ends.
    let server = Server::start_on(server.stop().await).await;
    let secrets: Api<Secret> = Api::namespaced(server.client().await, "a");
    let release = Patch::Merge(json!({"metadata": {"finalizers": []}}));
    wait_until("the Secret to be marked", || async {
        let seen = secrets.get("held").await.unwrap();
        seen.metadata.deletion_timestamp.map(|_| ()).ok_or_else(|| "no deletionTimestamp".to_owned())
    })
    .await;
    secrets.patch("held", &PatchParams::default(), &release).await.unwrap();
    let namespaces = server.namespaces().await;
    wait_until("the namespace to be gone", || async {
        namespaces.get_opt("a").await.unwrap().map_or(Ok(()), |seen| Err(format!("{:?}", seen.status)))
    })
    .await;
}

#[tokio::test]
async fn system_namespaces_cannot_be_deleted_and_unknown_ones_not_used() {
    let server = Server::start().await;
    let (code, refused) = server.send(Method::DELETE, "/api/v1/namespaces/default", json!({})).await;
    assert_eq!(code, StatusCode::FORBIDDEN);
    assert_eq!(refused["message"], "namespaces \"default\" is forbidden: this namespace may not be deleted");
    let body = json!({"metadata": {"name": "a"}});
    let (code, refused) = server.send(Method::POST, "/api/v1/namespaces/nowhere/secrets", body).await;
    assert_eq!((code, refused["message"].as_str()), (StatusCode::NOT_FOUND, Some("namespaces \"nowhere\" not found")));
    assert_eq!(refused["details"], json!({"kind": "namespaces", "name": "nowhere"}));
}
