//! What the server says no to, and how.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::server::{Server, answer};

fn shown(answer: &Value) -> String {
    serde_json::to_string_pretty(answer).unwrap()
}

#[tokio::test]
async fn bodies_that_are_no_objects() {
    let server = Server::start().await;
    let path = "/api/v1/namespaces/default/secrets";
    let post = |body: &'static str, content_type: &'static str| {
        answer(server.request(Method::POST, path).header("content-type", content_type).body(body))
    };
    let json = "application/json";
    let (code, truncated) = post(r#"{"metadata": {"name": "#, json).await;
    assert_eq!(code, StatusCode::BAD_REQUEST);
    insta::assert_snapshot!("truncated", shown(&truncated));
    let (code, typed) = post(r#"{"metadata": {"name": 5}}"#, json).await;
    assert_eq!(code, StatusCode::BAD_REQUEST);
    insta::assert_snapshot!("wrong_type", shown(&typed));
    let (code, protobuf) = post("k8s\0\n", "application/vnd.kubernetes.protobuf").await;
    assert_eq!(code, StatusCode::BAD_REQUEST);
    insta::assert_snapshot!("protobuf", shown(&protobuf));
    let (code, yaml) = post("metadata: {}", "application/yaml").await;
    assert_eq!(code, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    insta::assert_snapshot!("unsupported_media_type", shown(&yaml));
    let (code, invalid) = post(r#"{"metadata": {"name": "Bad_Name"}, "data": {"a b": "eA=="}}"#, json).await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY);
    insta::assert_snapshot!("invalid", shown(&invalid));
    let (code, nameless) = post("{}", json).await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY);
    insta::assert_snapshot!("nameless", shown(&nameless));
    let (code, elsewhere) = post(r#"{"metadata": {"name": "a", "namespace": "kube-system"}}"#, json).await;
    assert_eq!(code, StatusCode::BAD_REQUEST);
    insta::assert_snapshot!("other_namespace", shown(&elsewhere));
    let (code, versioned) = post(r#"{"metadata": {"name": "a", "resourceVersion": "5"}}"#, json).await;
    assert_eq!(code, StatusCode::INTERNAL_SERVER_ERROR);
    insta::assert_snapshot!("versioned_create", shown(&versioned));
    let (code, large) = answer(server.request(Method::POST, path).body(vec![b' '; 4 << 20])).await;
    assert_eq!((code, large["reason"].as_str()), (StatusCode::PAYLOAD_TOO_LARGE, Some("RequestEntityTooLarge")));
}

#[tokio::test]
async fn unknown_fields_as_strictly_as_asked() {
    let server = Server::start().await;
    let path = "/api/v1/namespaces/default/secrets?dryRun=All";
    let body = json!({"metadata": {"name": "a", "nam": "b"}, "dta": {}});
    let strict = server.send(Method::POST, &format!("{path}&fieldValidation=Strict"), body.clone()).await;
    assert_eq!(strict.0, StatusCode::BAD_REQUEST);
    insta::assert_snapshot!(strict.1["message"].as_str().unwrap(), @r#"Secret in version "v1" cannot be handled as a Secret: strict decoding error: unknown field "dta", unknown field "metadata.nam""#);
    let warned = server.request(Method::POST, path).json(&body).send().await.unwrap();
    assert_eq!(warned.status(), StatusCode::CREATED);
    let warnings: Vec<_> = warned.headers().get_all("warning").iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(warnings, [r#"299 - "unknown field \"dta\"""#, r#"299 - "unknown field \"metadata.nam\"""#]);
    let ignored =
        server.request(Method::POST, &format!("{path}&fieldValidation=Ignore")).json(&body).send().await.unwrap();
    assert!(ignored.headers().get("warning").is_none());
    let (code, unknown) = server.send(Method::POST, &format!("{path}&fieldValidation=Loose"), body).await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY);
    insta::assert_snapshot!(unknown["message"].as_str().unwrap(), @r#"CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Loose": supported values: "", "Ignore", "Strict", "Warn""#);
}

#[tokio::test]
async fn queries_that_make_no_sense() {
    let server = Server::start().await;
    let path = "/api/v1/namespaces/default/secrets";
    for (query, code, message) in [
        ("labelSelector=a+b", 400, "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("fieldSelector=spec.x%3D1", 400, "field label not supported: spec.x"),
        (
            "resourceVersion=x",
            400,
            "invalid resource version: resourceVersion: Invalid value: \"x\": strconv.ParseUint: parsing \"x\": invalid syntax",
        ),
        ("limit=x", 400, "strconv.ParseInt: parsing \"x\": invalid syntax"),
        (
            "continue=nonsense",
            400,
            "invalid continue token: continue key is not valid: it is no token that this server gives out",
        ),
        (
            "resourceVersionMatch=Exact",
            422,
            "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
    ] {
        let (status, refused) = server.get(&format!("{path}?{query}")).await;
        assert_eq!((status.as_u16(), refused["message"].as_str()), (code, Some(message)), "{query}");
    }
}

#[tokio::test]
async fn who_and_where() {
    let server = Server::start().await;
    let (code, refused) = answer(server.anonymous(Method::GET, "/api/v1/secrets")).await;
    assert_eq!(code, StatusCode::UNAUTHORIZED);
    insta::assert_snapshot!(refused, @r#"{"apiVersion":"v1","code":401,"kind":"Status","message":"Unauthorized","metadata":{},"reason":"Unauthorized","status":"Failure"}"#);
    let (code, _) = answer(server.anonymous(Method::GET, "/api/v1/secrets").bearer_auth("wrong")).await;
    assert_eq!(code, StatusCode::UNAUTHORIZED);
    let (code, _) = answer(server.anonymous(Method::GET, "/metrics")).await;
    assert_eq!(code, StatusCode::UNAUTHORIZED);
    let (code, version) = answer(server.anonymous(Method::GET, "/version")).await;
    assert_eq!((code, version["gitVersion"].as_str()), (StatusCode::OK, Some("v1.34.0+kyanite")));
    for (method, path) in [
        (Method::GET, "/api/v1/pods"),
        (Method::GET, "/apis/apps/v1"),
        (Method::GET, "/nowhere"),
        (Method::GET, "/api/v1/namespaces/default/secrets/a/status"),
        // What `kubectl auth can-i` asks.
        (Method::POST, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"),
    ] {
        let (code, refused) = server.send(method, path, json!({})).await;
        assert_eq!(
            (code, refused["message"].as_str()),
            (StatusCode::NOT_FOUND, Some("the server could not find the requested resource")),
            "{path}"
        );
    }
    for (method, path) in
        [(Method::POST, "/api/v1/secrets"), (Method::DELETE, "/api/v1/namespaces"), (Method::POST, "/version")]
    {
        let (code, refused) = server.send(method.clone(), path, json!({})).await;
        assert_eq!(
            (code, refused["reason"].as_str()),
            (StatusCode::METHOD_NOT_ALLOWED, Some("MethodNotAllowed")),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn patches_that_cannot_be() {
    let server = Server::start().await;
    let path = "/api/v1/namespaces/default/secrets/a";
    server.send(Method::POST, "/api/v1/namespaces/default/secrets", json!({"metadata": {"name": "a"}})).await;
    let send = |content_type: &'static str, body: &'static str| {
        answer(server.request(Method::PATCH, path).header("content-type", content_type).body(body))
    };
    let send_strict = |body: &'static str| {
        let request = server.request(Method::PATCH, &format!("{path}?fieldValidation=Strict"));
        answer(request.header("content-type", "application/merge-patch+json").body(body))
    };
    let (code, refused) = send("application/apply-patch+cbor", "{}").await;
    assert_eq!(code, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    insta::assert_snapshot!(refused["message"].as_str().unwrap(), @"the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml");
    let (code, refused) = send("application/apply-patch+yaml", "{}").await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY);
    insta::assert_snapshot!(refused["message"].as_str().unwrap(), @r#"PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch"#);
    let apply = |body: &'static str| {
        let request = server.request(Method::PATCH, &format!("{path}?fieldManager=me"));
        answer(request.header("content-type", "application/apply-patch+yaml").body(body))
    };
    for (body, why) in [
        ("data:\n  k: v\n", "error decoding YAML: this server reads configurations in JSON: "),
        ("{}", "the configuration says it is \", Kind=\" and not \"v1, Kind=Secret\""),
        (r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"b"}}"#, "the name of the object (b) does not match"),
        (
            r#"{"apiVersion":"v1","kind":"Secret","metadata":{"managedFields":[]}}"#,
            "metadata.managedFields must be nil",
        ),
    ] {
        let (code, refused) = apply(body).await;
        let message = refused["message"].as_str().unwrap();
        assert!(code == StatusCode::BAD_REQUEST && message.starts_with(why), "{body}: {message}");
    }
    let merge = "application/merge-patch+json";
    let (code, refused) = send(merge, r#"{"type":"other/type"}"#).await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY);
    insta::assert_snapshot!(refused["message"].as_str().unwrap(), @r#"Secret "a" is invalid: type: Invalid value: "other/type": field is immutable"#);
    let (code, refused) = send(merge, r#"{"metadata":{"name":"b"}}"#).await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY);
    insta::assert_snapshot!(refused["message"].as_str().unwrap(), @r#"Secret "a" is invalid: metadata.name: Invalid value: "b": field is immutable"#);
    let (code, refused) = send(merge, r#"{"metadata":{"resourceVersion":"1"}}"#).await;
    assert_eq!((code, refused["reason"].as_str()), (StatusCode::CONFLICT, Some("Conflict")));
    let (code, refused) = send_strict(r#"{"metadata":{"labels":{"x":"1","x":"2"}},"dta":{}}"#).await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY);
    let message = refused["message"].as_str().unwrap();
    assert!(
        message.ends_with(r#"strict decoding error: duplicate field "metadata.labels.x", unknown field "dta""#),
        "{message}"
    );
    let (code, _) = send(merge, "[]").await;
    assert_eq!(code, StatusCode::BAD_REQUEST);
    let (code, _) = send("application/json-patch+json", r#"[{"op":"add"}]"#).await;
    assert_eq!(code, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn health_is_public_and_tells_its_checks() {
    let server = Server::start().await;
    let get = |path: &str| answer(server.anonymous(Method::GET, path));
    assert_eq!(get("/healthz").await, (StatusCode::OK, json!("ok")));
    assert_eq!(get("/readyz/etcd").await, (StatusCode::OK, json!("ok")));
    let (_, verbose) = get("/readyz?verbose").await;
    assert_eq!(verbose, "[+]ping ok\n[+]log ok\n[+]etcd ok\n[+]shutdown ok\nreadyz check passed\n");
    let (_, excluded) = get("/livez?verbose&exclude=etcd&exclude=other").await;
    assert_eq!(
        excluded,
        "[+]ping ok\n[+]log ok\n[+]etcd excluded: ok\nwarn: some health checks cannot be excluded: no matches for \"other\"\nlivez check passed\n"
    );
    // Without a KMS there is nothing to check.
    assert_eq!(get("/healthz/kms-providers").await, (StatusCode::NOT_FOUND, json!("404 page not found\n")));
}

#[tokio::test]
async fn metrics_count_requests() {
    let server = Server::start().await;
    server.get("/api/v1/namespaces/default/secrets").await;
    let (code, text) = server.get("/metrics").await;
    assert_eq!(code, StatusCode::OK);
    let line = r#"apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="secrets",scope="namespace",subresource="",verb="LIST",version="v1"} 1"#;
    assert!(text.as_str().unwrap().lines().any(|seen| seen == line), "{text}");
    assert_eq!(server.handle.counters().requests, 2);
}
