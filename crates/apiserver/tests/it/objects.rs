//! Objects over kube-rs: create, read, update, patch, delete.

use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Error, ResourceExt};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::server::{Server, secret};

fn status(error: &Error) -> (u16, String, String) {
    match error {
        Error::Api(status) => (status.code, status.reason.clone(), status.message.clone()),
        other => panic!("no Status: {other}"),
    }
}

#[tokio::test]
async fn a_secret_lives_from_create_to_delete() {
    let server = Server::start().await;
    let secrets = server.secrets().await;
    let created = secrets.create(&PostParams::default(), &secret("a", "one")).await.unwrap();
    assert_eq!(created.type_.as_deref(), Some("Opaque"));
    assert!(created.uid().is_some() && created.creation_timestamp().is_some());
    assert!(created.string_data.is_none());

    let mut read = secrets.get("a").await.unwrap();
    assert_eq!(read, created);
    read.data.as_mut().unwrap().insert("k".into(), k8s_openapi::ByteString(b"two".to_vec()));
    let updated = secrets.replace("a", &PostParams::default(), &read).await.unwrap();
    assert_ne!(updated.resource_version(), created.resource_version());
    assert_eq!(updated.uid(), created.uid());
    assert_eq!(secrets.get("a").await.unwrap().data.unwrap()["k"].0, b"two");

    // The first version is gone, and so is the right to write on it.
    let error = secrets.replace("a", &PostParams::default(), &created).await.unwrap_err();
    let (code, reason, message) = status(&error);
    assert_eq!((code, reason.as_str()), (409, "Conflict"));
    insta::assert_snapshot!(message, @r#"Operation cannot be fulfilled on secrets "a": the object has been modified; please apply your changes to the latest version and try again"#);

    let gone = secrets.delete("a", &DeleteParams::default()).await.unwrap();
    let gone = gone.right().expect("a Status, not the object");
    assert_eq!(gone.details.unwrap().uid, created.uid().unwrap());
    let (code, reason, message) = status(&secrets.get("a").await.unwrap_err());
    assert_eq!((code, reason.as_str(), message.as_str()), (404, "NotFound", "secrets \"a\" not found"));
}

#[tokio::test]
async fn an_update_that_changes_nothing_writes_nothing() {
    let server = Server::start().await;
    let secrets = server.secrets().await;
    let created = secrets.create(&PostParams::default(), &secret("a", "one")).await.unwrap();
    let same = secrets.replace("a", &PostParams::default(), &created).await.unwrap();
    assert_eq!(same.resource_version(), created.resource_version());
    let mut unconditional = created.clone();
    unconditional.metadata.resource_version = None;
    unconditional.metadata.managed_fields = None;
    let same = secrets.replace("a", &PostParams::default(), &unconditional).await.unwrap();
    assert_eq!(same, created);
}

#[tokio::test]
async fn two_creates_of_one_name_are_one_object_and_one_refusal() {
    let server = Server::start().await;
    let secrets = server.secrets().await;
    let (params, object) = (PostParams::default(), secret("a", "one"));
    let both = futures::future::join_all((0..8).map(|_| secrets.create(&params, &object))).await;
    let (good, bad): (Vec<_>, Vec<_>) = both.into_iter().partition(Result::is_ok);
    assert_eq!((good.len(), bad.len()), (1, 7));
    for error in bad {
        let (code, reason, message) = status(&error.unwrap_err());
        assert_eq!((code, reason.as_str(), message.as_str()), (409, "AlreadyExists", "secrets \"a\" already exists"));
    }
}

#[tokio::test]
async fn names_are_generated() {
    let server = Server::start().await;
    let path = "/api/v1/namespaces/default/secrets";
    let (code, one) = server.send(Method::POST, path, json!({"metadata": {"generateName": "app-"}})).await;
    assert_eq!(code, StatusCode::CREATED);
    let (_, two) = server.send(Method::POST, path, json!({"metadata": {"generateName": "app-"}})).await;
    let name = |object: &serde_json::Value| object["metadata"]["name"].as_str().unwrap().to_owned();
    assert!(name(&one).starts_with("app-") && name(&one).len() == 9, "{}", name(&one));
    assert_ne!(name(&one), name(&two));
}

#[tokio::test]
async fn three_kinds_of_patch() {
    let server = Server::start().await;
    let secrets = server.secrets().await;
    secrets.create(&PostParams::default(), &secret("a", "one")).await.unwrap();
    let params = PatchParams::default();
    let merged = secrets.patch("a", &params, &Patch::Merge(json!({"metadata": {"labels": {"x": "1"}}}))).await.unwrap();
    assert_eq!(merged.labels()["x"], "1");
    let strategic = json!({"metadata": {"labels": {"x": null, "y": "2"}, "finalizers": ["example.com/f"]}});
    let strategic = secrets.patch("a", &params, &Patch::Strategic(strategic)).await.unwrap();
    assert_eq!(strategic.labels().iter().collect::<Vec<_>>(), [(&"y".to_owned(), &"2".to_owned())]);
    let operations = json!([
        {"op": "test", "path": "/metadata/labels/y", "value": "2"},
        {"op": "replace", "path": "/data/k", "value": "dHdv"},
        {"op": "remove", "path": "/metadata/finalizers"},
    ]);
    let operations = serde_json::from_value(operations).unwrap();
    let patched = secrets.patch("a", &params, &Patch::Json::<()>(operations)).await.unwrap();
    assert_eq!(patched.data.unwrap()["k"].0, b"two");
    assert!(patched.metadata.finalizers.is_none());
    let error = serde_json::from_value(json!([{"op": "test", "path": "/type", "value": "x"}])).unwrap();
    let (code, reason, _) = status(&secrets.patch("a", &params, &Patch::Json::<()>(error)).await.unwrap_err());
    assert_eq!((code, reason.as_str()), (422, "Invalid"));
}

#[tokio::test]
async fn concurrent_patches_all_arrive() {
    let server = Server::start().await;
    let secrets = server.secrets().await;
    secrets.create(&PostParams::default(), &secret("a", "one")).await.unwrap();
    let params = PatchParams::default();
    let patches = (0..10).map(|n| {
        let patch = Patch::Merge(json!({"metadata": {"labels": {format!("n{n}"): "x"}}}));
        let (secrets, params) = (secrets.clone(), params.clone());
        async move { secrets.patch("a", &params, &patch).await }
    });
    for patched in futures::future::join_all(patches).await {
        patched.unwrap();
    }
    assert_eq!(secrets.get("a").await.unwrap().labels().len(), 10);
}

#[tokio::test]
async fn a_dry_run_tells_and_does_nothing() {
    let server = Server::start().await;
    let secrets = server.secrets().await;
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let told = secrets.create(&dry, &secret("a", "one")).await.unwrap();
    assert!(told.uid().is_some());
    assert!(secrets.get_opt("a").await.unwrap().is_none());
    let stored = secrets.create(&PostParams::default(), &secret("a", "one")).await.unwrap();
    let (code, reason, _) = status(&secrets.create(&dry, &secret("a", "one")).await.unwrap_err());
    assert_eq!((code, reason.as_str()), (409, "AlreadyExists"));
    secrets.replace("a", &dry, &secret("a", "two")).await.unwrap();
    secrets.delete("a", &DeleteParams { dry_run: true, ..DeleteParams::default() }).await.unwrap();
    assert_eq!(secrets.get("a").await.unwrap(), stored);
}

#[tokio::test]
async fn a_delete_may_insist_on_a_version() {
    let server = Server::start().await;
    let secrets = server.secrets().await;
    let stored = secrets.create(&PostParams::default(), &secret("a", "one")).await.unwrap();
    let only = |uid: Option<String>, resource_version: Option<String>| DeleteParams {
        preconditions: Some(Preconditions { resource_version, uid }),
        ..DeleteParams::default()
    };
    let (code, reason, message) = status(&secrets.delete("a", &only(Some("other".into()), None)).await.unwrap_err());
    assert_eq!((code, reason.as_str()), (409, "Conflict"));
    assert!(
        message.starts_with("Operation cannot be fulfilled on Secret \"a\": the UID in the precondition (other)"),
        "{message}"
    );
    let (code, ..) = status(&secrets.delete("a", &only(None, Some("1".into()))).await.unwrap_err());
    assert_eq!(code, 409);
    secrets.delete("a", &only(stored.uid(), stored.resource_version())).await.unwrap();
    assert!(secrets.get_opt("a").await.unwrap().is_none());
}

#[tokio::test]
async fn a_finalizer_holds_an_object_until_it_is_removed() {
    let server = Server::start().await;
    let secrets = server.secrets().await;
    let mut held = secret("a", "one");
    held.metadata.finalizers = Some(vec!["example.com/hold".into()]);
    secrets.create(&PostParams::default(), &held).await.unwrap();
    let marked = secrets.delete("a", &DeleteParams::default()).await.unwrap().left().expect("the object");
    assert!(marked.metadata.deletion_timestamp.is_some());
    assert!(secrets.get_opt("a").await.unwrap().is_some());
    let released = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    secrets.patch("a", &PatchParams::default(), &released).await.unwrap();
    assert!(secrets.get_opt("a").await.unwrap().is_none());
}

#[tokio::test]
async fn apply_creates_takes_over_and_lets_go() {
    let server = Server::start().await;
    let secrets = server.secrets().await;
    let config = |data: serde_json::Value| {
        Patch::Apply(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": data}))
    };
    let one = PatchParams::apply("one");
    let created = secrets.patch("a", &one, &config(json!({"k": "MQ==", "l": "MQ=="}))).await.unwrap();
    assert_eq!(created.type_.as_deref(), Some("Opaque"));
    // The same again is nothing new, a second later as well.
    let same = secrets.patch("a", &one, &config(json!({"k": "MQ==", "l": "MQ=="}))).await.unwrap();
    assert_eq!(same, created);
    let two = PatchParams::apply("two");
    let (code, reason, message) = status(&secrets.patch("a", &two, &config(json!({"k": "Mg=="}))).await.unwrap_err());
    assert_eq!((code, reason.as_str()), (409, "Conflict"));
    insta::assert_snapshot!(message, @r#"Apply failed with 1 conflict: conflict with "one": .data.k"#);
    let forced = secrets.patch("a", &two.clone().force(), &config(json!({"k": "Mg=="}))).await.unwrap();
    assert_eq!(forced.data.unwrap()["k"].0, b"2");
    // What nobody states any more goes; what another one owns now stays.
    let left = secrets.patch("a", &one, &config(json!({}))).await.unwrap();
    assert_eq!(left.data.unwrap().into_keys().collect::<Vec<_>>(), ["k"]);
    let dry = PatchParams { dry_run: true, ..PatchParams::apply("one") };
    let told = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "b"}});
    secrets.patch("b", &dry, &Patch::Apply(told)).await.unwrap();
    assert!(secrets.get_opt("b").await.unwrap().is_none());
}

#[tokio::test]
async fn managed_fields_tell_who_set_what() {
    let server = Server::start().await;
    let secrets = server.secrets().await;
    let params = PostParams { field_manager: Some("one".into()), ..PostParams::default() };
    secrets.create(&params, &secret("a", "x")).await.unwrap();
    let patch = Patch::Merge(json!({"data": {"other": "eA=="}}));
    let patched = secrets
        .patch("a", &PatchParams { field_manager: Some("two".into()), ..PatchParams::default() }, &patch)
        .await
        .unwrap();
    let owners: Vec<_> = patched
        .metadata
        .managed_fields
        .unwrap()
        .into_iter()
        .map(|entry| json!([entry.manager, entry.operation, entry.fields_v1]))
        .collect();
    assert_eq!(
        json!(owners),
        json!([
            ["one", "Update", {"f:data": {".": {}, "f:k": {}}, "f:type": {}}],
            ["two", "Update", {"f:data": {"f:other": {}}}],
        ])
    );
}
