//! Requests that make no sense: every one is answered, by an error that has upstream's shape, and none is a bug.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use reqwest::{Method, StatusCode};
use tokio::time::timeout;

use crate::server::{DEADLINE, Server};

fn requests() -> impl Strategy<Value = (Method, String, String, Vec<u8>)> {
    let method = prop_oneof![
        Just(Method::GET),
        Just(Method::POST),
        Just(Method::PUT),
        Just(Method::PATCH),
        Just(Method::DELETE),
        Just(Method::OPTIONS),
    ];
    let path = prop_oneof![
        Just("/api/v1/namespaces/default/secrets".to_owned()),
        Just("/api/v1/namespaces/default/secrets/a".to_owned()),
        Just("/api/v1/namespaces/default/configmaps".to_owned()),
        Just("/api/v1/namespaces".to_owned()),
        Just("/api/v1/namespaces/a".to_owned()),
        "/(api|apis|openapi|healthz)?(/[a-z0-9%.]{0,6}){0,4}",
    ];
    let query = "([?&](limit|continue|watch|timeoutSeconds|labelSelector|fieldSelector|resourceVersion|dryRun|fieldValidation)=(1|-1|a|All|a%3Db|%00|%ff|eyJ9)){0,3}";
    let content_type = prop_oneof![
        Just("application/json".to_owned()),
        Just("application/vnd.kubernetes.protobuf".to_owned()),
        Just("application/merge-patch+json".to_owned()),
        Just("application/strategic-merge-patch+json".to_owned()),
        Just("application/json-patch+json".to_owned()),
        "[a-z/]{0,8}",
    ];
    let body = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| [b"k8s\0".as_slice(), &bytes].concat()),
        r#"\{"(metadata|data|spec|\$patch|kind)":(\{"(name|finalizers|labels|managedFields)":("a"|\[\{\}\]|\["x"\]|\{\}|1)\}|"x"|1|\[\])\}"#
            .prop_map(String::into_bytes),
        r#"\[\{"op":"(add|test|move)","path":"(/metadata)?(/[a-z~0]{1,3})?","from":"/data","value":1\}\]"#
            .prop_map(String::into_bytes),
    ];
    (method, path, query, content_type, body).prop_map(|(method, path, query, content_type, body)| {
        (method, format!("{path}{}", query.replacen('&', "?", 1)), content_type, body)
    })
}

#[tokio::test]
async fn nonsense_is_answered_and_never_a_bug() {
    let server = Server::start().await;
    let mut runner = TestRunner::deterministic();
    let strategy = requests();
    for _ in 0..600 {
        let (method, path, content_type, body) = strategy.new_tree(&mut runner).unwrap().current();
        let what = format!("{method} {path} {content_type} {:?}", String::from_utf8_lossy(&body));
        let request = server.request(method.clone(), &path).header("content-type", content_type).body(body);
        let response = timeout(DEADLINE, request.send()).await.unwrap_or_else(|_| panic!("no answer: {what}"));
        let response = response.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let status = response.status();
        if status == StatusCode::OK && path.contains("watch=") {
            continue;
        }
        let text = timeout(DEADLINE, response.text()).await.unwrap().unwrap();
        assert!(!text.contains("this server failed"), "{what}: {text}");
        // Names like `a` exist after a while, so that many of these succeed; errors are Statuses, or plain for health.
        if !status.is_success() && !path.starts_with("/healthz") && method != Method::HEAD {
            let body: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{what}: {text}"));
            assert_eq!(
                (body["kind"].as_str(), body["code"].as_u64()),
                (Some("Status"), Some(status.as_u16().into())),
                "{what}"
            );
        }
        assert_ne!(status.as_u16() / 100, 5, "{what}: {text}");
    }
    assert_eq!(server.get("/healthz").await.0, StatusCode::OK);
}
