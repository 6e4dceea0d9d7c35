//! The protocol around the operations: hosts, tokens, versions, paths, pages, headers, and what bad input meets.

use std::fmt::Write as _;

use keyvault::{Config, Operation, VaultConfig};
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use reqwest::{Method, StatusCode, Version};
use serde_json::{Value, json};

use crate::stack::{Stack, TENANT, VAULT, client, config, json_of, version_of};

#[tokio::test]
async fn a_request_without_a_token_is_challenged_before_anything_else() {
    let stack = Stack::start().await;
    // Neither body nor content type nor a path that exists: the probe of an SDK has none of them.
    for url in [format!("{VAULT}/keys/kms/create?api-version=7.4"), format!("{VAULT}/"), format!("{VAULT}/nowhere")] {
        let response = stack.client.post(url).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let challenge = format!(
            "Bearer authorization=\"https://login.microsoftonline.com/{TENANT}\", resource=\"https://vault.azure.net\""
        );
        assert_eq!(response.headers()[WWW_AUTHENTICATE], challenge);
        let (_, body) = json_of(response).await;
        let message = "AKV10000: Request is missing a Bearer or PoP token.";
        assert_eq!(body, json!({ "error": { "code": "Unauthorized", "message": message } }));
    }
    let counts = stack.control.counts();
    assert_eq!((counts[0].operation, counts[0].status, counts[0].count), (Operation::Authentication, Some(401), 3));
}

#[tokio::test]
async fn an_answer_carries_the_services_headers() {
    let stack = Stack::start().await;
    stack.create("kms").await;
    let request = stack.client.get(format!("{VAULT}/keys/kms?api-version=7.4"));
    let request = request.bearer_auth(stack.token().await).header("x-ms-client-request-id", "my-own-id");
    let response = request.send().await.unwrap();
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    insta::assert_snapshot!(shown(response.headers(), &["date", "x-ms-request-id", "content-length"]), @"
    cache-control: no-cache
    content-type: application/json; charset=utf-8
    expires: -1
    pragma: no-cache
    strict-transport-security: max-age=31536000;includeSubDomains
    x-content-type-options: nosniff
    x-ms-client-request-id: my-own-id
    x-ms-keyvault-network-info: conn_type=Ipv4;addr=127.0.0.1;act_addr_fam=InterNetwork;
    x-ms-keyvault-region: westeurope
    x-ms-keyvault-service-version: 1.9.950.1
    ");
    assert_eq!(header("x-ms-request-id").unwrap().len(), 36);
    let date = header("date").unwrap();
    assert!(date.ends_with(" GMT") && date.len() == 29, "{date}");
    let logged = stack.control.requests(1).remove(0);
    assert_eq!(logged.operation, Operation::KeyGet);
    assert_eq!(logged.request_id, header("x-ms-request-id").unwrap());
    assert_eq!(logged.client_request_id.as_deref(), Some("my-own-id"));
}

fn shown(headers: &HeaderMap, without: &[&str]) -> String {
    let mut lines: Vec<_> = headers
        .iter()
        .filter(|(name, _)| !without.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    lines.sort();
    lines.join("\n")
}

#[tokio::test]
async fn http_1_and_2_are_spoken() {
    let stack = Stack::start().await;
    let url = format!("{VAULT}/healthstatus");
    let second = stack.client.get(&url).send().await.unwrap();
    assert_eq!(second.version(), Version::HTTP_2);
    let old = client(&stack.authority, stack.tls).http1_only().build().unwrap();
    let first = old.get(&url).send().await.unwrap();
    assert_eq!(first.version(), Version::HTTP_11);
    for response in [first, second] {
        assert_eq!(response.status(), StatusCode::OK);
        let info = response.headers()["x-ms-keyvault-network-info"].to_str().unwrap().to_owned();
        assert_eq!(info, "conn_type=Ipv4;addr=127.0.0.1;act_addr_fam=InterNetwork;");
        assert_eq!(response.bytes().await.unwrap().len(), 4);
    }
}

#[tokio::test]
async fn odd_spellings_of_a_request_mean_the_same() {
    let stack = Stack::start().await;
    let version = version_of(&stack.create("kms").await);
    let sealed = json!({ "alg": "RSA1_5", "value": "c2VlZA" });
    for path in [
        format!("/keys/kms/{version}/wrapKey?api-version=2025-07-01"),
        "/keys/kms/wrapkey?api-version=2016-10-01".to_owned(),
        "/keys/kms//WRAPKEY?api%2Dversion=7.5".to_owned(),
        "//KEYS/Kms/wrapKey/?API-VERSION=7.0&unknown=1".to_owned(),
        "/keys/k%6Ds/%77rapKey?api-version=7.6-preview.2".to_owned(),
    ] {
        let request = stack.client.post(format!("{VAULT}{path}")).bearer_auth(stack.token().await).json(&sealed);
        let (status, body) = json_of(request.send().await.unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        assert_eq!(body["kid"], format!("{VAULT}/keys/kms/{version}"), "{path}");
    }
}

#[tokio::test]
async fn pages_link_to_each_other_on_the_callers_own_host() {
    let stack = Stack::start().await;
    for name in ["a", "b", "C", "d", "e"] {
        stack.create(name).await;
    }
    // By another name and port: ids and links follow the caller.
    let base = format!("https://localhost:{}", stack.tls.port());
    let mut next = Some(format!("{base}/keys?api-version=7.4&maxresults=2"));
    let mut names = Vec::new();
    while let Some(url) = next {
        let request = stack.client.get(&url).bearer_auth(stack.token().await);
        let (status, page) = json_of(request.send().await.unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        for item in page["value"].as_array().unwrap() {
            let kid = item["kid"].as_str().unwrap();
            names.push(kid.strip_prefix(&format!("{base}/keys/")).unwrap().to_owned());
        }
        next = page["nextLink"].as_str().map(str::to_owned);
        assert!(next.iter().all(|link| link.starts_with(&format!("{base}/keys?api-version=7.4&$skiptoken="))));
    }
    assert_eq!(names, ["a", "b", "C", "d", "e"]);
}

#[tokio::test]
async fn a_host_on_a_port_of_its_own_is_challenged_for_that_port() {
    let stack = Stack::start().await;
    let port = stack.tls.port();
    let url = format!("https://kyanite.vault.azure.net:{port}/keys?api-version=7.4");
    let response = stack.client.get(&url).send().await.unwrap();
    let challenge = response.headers()[WWW_AUTHENTICATE].to_str().unwrap().to_owned();
    assert!(challenge.ends_with(&format!("resource=\"https://vault.azure.net:{port}\"")), "{challenge}");
    let scope = format!("https://vault.azure.net:{port}/.default");
    let (_, token) = json_of(stack.token_request(&[("scope", &scope)]).send().await.unwrap()).await;
    let request = stack.client.get(&url).bearer_auth(token["access_token"].as_str().unwrap());
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_name_that_says_nothing_of_a_vault_needs_a_single_vault() {
    let vault = |name: &str| VaultConfig::new(name.parse().unwrap());
    let stack = Stack::start_with(Config { vaults: vec![vault("kyanite"), vault("nobody")], ..config() }).await;
    stack.create("kms").await;
    // Each vault has its own keys.
    let other = "https://nobody.vault.azure.net/keys?api-version=7.4";
    let request = stack.client.get(other).bearer_auth(stack.token().await);
    assert_eq!(json_of(request.send().await.unwrap()).await.1["value"], json!([]));
    let url = format!("https://localhost:{}/keys?api-version=7.4", stack.tls.port());
    let (status, body) = json_of(stack.client.get(url).send().await.unwrap()).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.ends_with("Its vaults: kyanite, nobody."), "{message}");
}

/// Every answer to bad input, with what caused it.
#[tokio::test]
async fn bad_input_meets_the_services_own_errors() {
    let stack = Stack::start().await;
    stack.create("kms").await;
    let deep = "[".repeat(100_000);
    let tags: serde_json::Map<_, _> = (0..16).map(|index| (format!("t{index}"), Value::from("v"))).collect();
    let tags = json!({ "kty": "RSA", "tags": tags }).to_string();
    let cases = [
        ("GET", "/keys/kms", None),
        ("GET", "/keys/kms?api-version=", None),
        ("GET", "/keys/kms?api-version=7.9", None),
        ("GET", "/?api-version=7.4", None),
        ("GET", "/keys/kms/x/y/z?api-version=7.4", None),
        ("PUT", "/deletedkeys/kms?api-version=7.4", None),
        ("OPTIONS", "/keys/kms?api-version=7.4", None),
        ("GET", "/keys/a_b?api-version=7.4", None),
        ("GET", "/keys/%00?api-version=7.4", None),
        ("GET", "/keys/none?api-version=7.4", None),
        ("GET", "/keys/kms/not-a-version?api-version=7.4", None),
        ("GET", "/deletedkeys/kms?api-version=7.4", None),
        ("GET", "/keys?maxresults=26&api-version=7.4", None),
        ("GET", "/keys?maxresults=-1&api-version=7.4", None),
        ("GET", "/keys?$skiptoken=a*b&api-version=7.4", None),
        ("GET", "/keys?$skiptoken=Lw&api-version=7.4", None),
        ("GET", "/keys/kms/versions?$skiptoken=eA&api-version=7.4", None),
        ("GET", "/secrets/s?api-version=7.4", None),
        ("PUT", "/keys/kms?api-version=7.4", Some("{}")),
        ("POST", "/keys/kms/rotate?api-version=7.2", None),
        ("POST", "/keys/kms/create?api-version=7.4", None),
        ("POST", "/keys/kms/create?api-version=7.4", Some("")),
        ("POST", "/keys/kms/create?api-version=7.4", Some("not json")),
        ("POST", "/keys/kms/create?api-version=7.4", Some("[]")),
        ("POST", "/keys/kms/create?api-version=7.4", Some(&deep)),
        ("POST", "/keys/kms/create?api-version=7.4", Some("{}")),
        ("POST", "/keys/kms/create?api-version=7.4", Some(r#"{"kty":5}"#)),
        ("PUT", "/keys/kms?api-version=7.4", Some(r#"{"key":{"kty":"RSA","n":"AQAB"}}"#)),
        ("PUT", "/keys/kms?api-version=7.4", Some(r#"{"key":{"kty":"RSA-HSM","key_hsm":"AAAA"},"Hsm":true}"#)),
        ("PUT", "/keys/kms?api-version=7.4", Some(r#"{"key":{"kty":"oct-HSM","k":"AAAA"}}"#)),
        ("PUT", "/keys/kms?api-version=7.4", Some(r#"{"key":{"kty":"EC","crv":"P-256","d":"AQ","x":"AQ","y":"AQ"}}"#)),
        ("POST", "/keys/kms/create?api-version=7.4", Some(r#"{"kty":"oct"}"#)),
        ("POST", "/keys/kms/create?api-version=7.4", Some(r#"{"kty":"oct-HSM","key_size":64}"#)),
        ("POST", "/keys/kms/create?api-version=7.4", Some(r#"{"kty":"AKP"}"#)),
        ("POST", "/keys/kms/create?api-version=7.4", Some(r#"{"kty":"EC","crv":"P-224"}"#)),
        ("POST", "/keys/kms/create?api-version=7.4", Some(r#"{"kty":"EC","crv":"P-256","key_size":384}"#)),
        ("POST", "/keys/kms/create?api-version=7.4", Some(r#"{"kty":"EC","key_ops":["sign","encrypt"]}"#)),
        ("POST", "/keys/kms/create?api-version=7.4", Some(r#"{"kty":"RSA","release_policy":{"data":"e30"}}"#)),
        ("POST", "/keys/kms/create?api-version=7.4", Some(r#"{"kty":"DSA"}"#)),
        ("POST", "/keys/kms/create?api-version=7.4", Some(r#"{"kty":"RSA","key_size":1024}"#)),
        ("POST", "/keys/kms/create?api-version=7.4", Some(r#"{"kty":"RSA","key_size":-2048}"#)),
        ("POST", "/keys/kms/create?api-version=7.4", Some(r#"{"kty":"RSA","public_exponent":3}"#)),
        ("POST", "/keys/kms/create?api-version=7.4", Some(r#"{"kty":"RSA","key_ops":["export"]}"#)),
        ("POST", "/keys/kms/create?api-version=7.4", Some(r#"{"kty":"RSA","attributes":{"exp":-1}}"#)),
        ("POST", "/keys/kms/create?api-version=7.4", Some(r#"{"kty":"RSA","attributes":{"nbf":9223372036854775807}}"#)),
        ("POST", "/keys/kms/create?api-version=7.4", Some(r#"{"kty":"RSA","attributes":{"nbf":20,"exp":10}}"#)),
        ("POST", "/keys/kms/create?api-version=7.4", Some(r#"{"kty":"RSA","attributes":{"exportable":true}}"#)),
        ("POST", "/keys/kms/create?api-version=7.4", Some(&tags)),
        ("PATCH", "/keys/kms?api-version=7.4", Some(r#"{"attributes":{"enabled":"no"}}"#)),
        ("PATCH", "/keys/none?api-version=7.4", Some("{}")),
        ("POST", "/keys/kms/encrypt?api-version=7.4", Some("{}")),
        ("POST", "/keys/kms/encrypt?api-version=7.4", Some(r#"{"alg":"RSA","value":""}"#)),
        ("POST", "/keys/kms/encrypt?api-version=7.4", Some(r#"{"alg":"A256GCM","value":""}"#)),
        ("POST", "/keys/kms/encrypt?api-version=7.4", Some(r#"{"alg":"RSA1_5"}"#)),
        ("POST", "/keys/kms/encrypt?api-version=7.4", Some(r#"{"alg":"RSA1_5","value":"a+b="}"#)),
        (
            "POST",
            "/keys/kms/encrypt?api-version=7.4",
            Some(&format!(r#"{{"alg":"RSA1_5","value":"{}"}}"#, "A".repeat(328))),
        ),
        ("POST", "/keys/kms/decrypt?api-version=7.4", Some(r#"{"alg":"RSA1_5","value":""}"#)),
        (
            "POST",
            "/keys/kms/decrypt?api-version=7.4",
            Some(&format!(r#"{{"alg":"RSA-OAEP","value":"{}"}}"#, "A".repeat(342))),
        ),
        ("POST", "/keys/kms/wrapkey?api-version=7.4", Some(r#"{"alg":"A256GCM","value":""}"#)),
        ("POST", "/keys/kms/sign?api-version=7.4", Some(r#"{"alg":"RS256","value":"AA"}"#)),
        ("POST", "/keys/kms/sign?api-version=7.4", Some(r#"{"alg":"RSNULL","value":"AA"}"#)),
        ("POST", "/keys/kms/sign?api-version=7.4", Some(r#"{"alg":"ES256","value":"AA"}"#)),
        ("POST", "/keys/kms/verify?api-version=7.4", Some(r#"{"alg":"PS512","value":"AA"}"#)),
        ("POST", "/deletedkeys/kms/recover?api-version=7.4", None),
    ];
    insta::assert_snapshot!(transcript(&stack, &cases).await);
}

/// As above, about secrets, backups, rotation policies and what is not there.
#[tokio::test]
async fn bad_input_about_other_things_meets_the_services_own_errors() {
    let stack = Stack::start().await;
    stack.create("kms").await;
    let long_secret = json!({ "value": "x".repeat(25_601) }).to_string();
    let cases = [
        ("GET", "/secrets/s/not-a-version?api-version=7.4", None),
        ("GET", "/deletedsecrets/s?api-version=7.4", None),
        ("PUT", "/secrets/s_s?api-version=7.4", Some("{}")),
        ("PUT", "/secrets/s?api-version=7.4", Some("{}")),
        ("PUT", "/secrets/s?api-version=7.4", Some(r#"{"value":5}"#)),
        ("PUT", "/secrets/s?api-version=7.4", Some(&long_secret)),
        ("PATCH", "/secrets/s?api-version=7.4", Some(r#"{"contentType":"text"}"#)),
        ("POST", "/secrets/restore?api-version=7.4", Some(r#"{"value":"AAAA"}"#)),
        ("GET", "/certificates?api-version=7.4", None),
        ("GET", "/keys/kms//attestation?api-version=7.6", None),
        ("POST", "/rng?api-version=7.4", Some(r#"{"count":16}"#)),
        ("POST", "/rng?api-version=7.4", Some(r#"{"count":129}"#)),
        ("POST", "/keys/restore?api-version=7.4", Some("{}")),
        ("POST", "/keys/restore?api-version=7.4", Some(r#"{"value":"AAAA"}"#)),
        ("POST", "/keys/kms/release?api-version=7.4", None),
        ("GET", "/keys/none/rotationpolicy?api-version=7.4", None),
        ("GET", "/keys/kms/rotationpolicy?api-version=7.2", None),
        ("PUT", "/keys/kms/rotationpolicy?api-version=7.4", Some(r#"{"attributes":{"expiryTime":"P27D"}}"#)),
        ("PUT", "/keys/kms/rotationpolicy?api-version=7.4", Some(r#"{"attributes":{"expiryTime":"two weeks"}}"#)),
        (
            "PUT",
            "/keys/kms/rotationpolicy?api-version=7.4",
            Some(r#"{"lifetimeActions":[{"action":{"type":"Burn"}}]}"#),
        ),
        (
            "PUT",
            "/keys/kms/rotationpolicy?api-version=7.4",
            Some(r#"{"lifetimeActions":[{"action":{"type":"rotate"}}]}"#),
        ),
    ];
    insta::assert_snapshot!(transcript(&stack, &cases).await);
}

/// What each request is answered.
async fn transcript(stack: &Stack, cases: &[(&str, &str, Option<&str>)]) -> String {
    let mut transcript = String::new();
    for &(method, path, body) in cases {
        let url = format!("{VAULT}{path}");
        let request = stack.client.request(method.parse::<Method>().unwrap(), url).bearer_auth(stack.token().await);
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_owned()),
            None => request,
        };
        let (status, answer) = json_of(request.send().await.unwrap()).await;
        let cause = body.unwrap_or_default();
        let cause = if cause.len() > 80 { format!("{}…", &cause[..40]) } else { cause.to_owned() };
        writeln!(transcript, "{method} {path} {cause}\n    {} {answer}", status.as_u16()).unwrap();
    }
    transcript
}

#[tokio::test]
async fn a_body_above_the_limit_or_of_another_kind_is_refused() {
    let stack = Stack::start().await;
    let send = async |content_type: &'static str, body: Vec<u8>| {
        let request = stack.client.post(format!("{VAULT}/keys/kms/create?api-version=7.4"));
        let request = request.bearer_auth(stack.token().await).header("content-type", content_type).body(body);
        request.send().await.unwrap().status()
    };
    let padded = |bytes: usize| format!("{{\"kty\":\"RSA\"{}}}", " ".repeat(bytes - 13)).into_bytes();
    assert_eq!(send("application/json; charset=utf-8", padded(1024 * 1024)).await, StatusCode::OK);
    assert_eq!(send("application/json", padded(1024 * 1024 + 1)).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(send("text/plain", padded(13)).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn nobody_elses_vault_is_here() {
    let stack = Stack::start().await;
    let url = "https://nobody.vault.azure.net/keys?api-version=7.4";
    let (status, body) = json_of(stack.client.get(url).send().await.unwrap()).await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::NOT_FOUND, &json!("VaultNotFound")));
}
