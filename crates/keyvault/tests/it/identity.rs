//! Entra and the managed-identity endpoints, and their tokens at the vault.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use keyvault::{Config, Principal, PrincipalKind};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::stack::{
    CLIENT_ID, CLIENT_SECRET, IDENTITY_HEADER, LOGIN, MACHINE_CLIENT_ID, OBJECT_ID, Stack, TENANT, VAULT, config,
    json_of,
};

async fn sent(request: RequestBuilder) -> (StatusCode, Value) {
    json_of(request.send().await.unwrap()).await
}

fn claims_of(token: &Value) -> Value {
    let claims = token["access_token"].as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

async fn opens_the_vault(stack: &Stack, token: &Value) -> StatusCode {
    let url = format!("{VAULT}/keys?api-version=7.4");
    let request = stack.client.get(url).bearer_auth(token["access_token"].as_str().unwrap());
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn v1_and_v2_give_tokens_that_a_stranger_can_verify() {
    let stack = Stack::start().await;
    let (status, v2) = sent(stack.token_request(&[("scope", "https://vault.azure.net/.default")])).await;
    assert_eq!((status, &v2["expires_in"], &v2["token_type"]), (StatusCode::OK, &json!(3599), &json!("Bearer")));
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("resource", "https://vault.azure.net"),
    ];
    let v1 = stack.client.post(format!("{LOGIN}/{TENANT}/oauth2/token?api-version=1.0")).form(&form);
    let (status, v1) = sent(v1).await;
    assert_eq!((status, &v1["expires_in"]), (StatusCode::OK, &json!("3599")));
    assert_eq!(v1["resource"], "https://vault.azure.net");

    let (_, discovered) =
        sent(stack.client.get(format!("{LOGIN}/{TENANT}/v2.0/.well-known/openid-configuration"))).await;
    assert_eq!(discovered["issuer"], format!("{LOGIN}/{TENANT}/v2.0"));
    assert_eq!(discovered["token_endpoint"], format!("{LOGIN}/{TENANT}/oauth2/v2.0/token"));
    let (_, keys) = sent(stack.client.get(discovered["jwks_uri"].as_str().unwrap())).await;
    let keys: JwkSet = serde_json::from_value(keys).unwrap();
    for token in [&v1, &v2] {
        let text = token["access_token"].as_str().unwrap();
        let header = jsonwebtoken::decode_header(text).unwrap();
        assert_eq!(header.kid, header.x5t);
        let key = DecodingKey::from_jwk(keys.find(&header.kid.unwrap()).unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&["https://vault.azure.net"]);
        validation.set_issuer(&[format!("https://sts.windows.net/{TENANT}/")]);
        validation.validate_nbf = true;
        jsonwebtoken::decode::<Value>(text, &key, &validation).unwrap();
        assert_eq!(opens_the_vault(&stack, token).await, StatusCode::OK);
    }
    insta::assert_json_snapshot!(claims_of(&v1), {
        ".iat" => "[time]", ".nbf" => "[time]", ".exp" => "[time]", ".uti" => "[random]",
    });
}

#[tokio::test]
async fn a_token_by_the_vaults_application_id_is_of_version_2() {
    let stack = Stack::start().await;
    let scope = "cfa8b339-82a2-471a-a3c9-0fc0be7a4093/.default";
    let (_, token) = sent(stack.token_request(&[("scope", scope)])).await;
    let claims = claims_of(&token);
    assert_eq!((&claims["ver"], &claims["azp"]), (&json!("2.0"), &json!(CLIENT_ID)));
    assert_eq!(claims["iss"], format!("{LOGIN}/{TENANT}/v2.0"));
    assert_eq!(opens_the_vault(&stack, &token).await, StatusCode::OK);
}

#[tokio::test]
async fn credentials_may_come_in_a_basic_header() {
    let stack = Stack::start().await;
    let form = [("grant_type", "client_credentials"), ("scope", "openid https://vault.azure.net/.default")];
    let request = stack.client.post(format!("{LOGIN}/{TENANT}/oauth2/v2.0/token")).form(&form);
    let (status, body) = sent(request.basic_auth(CLIENT_ID, Some(CLIENT_SECRET.replace('+', "%2B")))).await;
    assert_eq!(status, StatusCode::OK, "{body}");
}

#[tokio::test]
async fn entra_refuses_in_its_own_words() {
    let stack = Stack::start().await;
    let scope = ("scope", "https://vault.azure.net/.default");
    let token = format!("{LOGIN}/{TENANT}/oauth2/v2.0/token");
    let cases = [
        ("a wrong secret", stack.token_request(&[scope, ("client_secret", "wrong")])),
        ("no secret", stack.token_request(&[scope, ("client_secret", "")])),
        ("an assertion", stack.token_request(&[scope, ("client_secret", ""), ("client_assertion", "a.b.c")])),
        ("an unknown client", stack.token_request(&[scope, ("client_id", TENANT)])),
        ("a client id that is none", stack.token_request(&[scope, ("client_id", "me")])),
        ("a managed identity's client id", stack.token_request(&[scope, ("client_id", MACHINE_CLIENT_ID)])),
        ("no client id", stack.token_request(&[scope, ("client_id", "")])),
        ("no grant", stack.token_request(&[scope, ("grant_type", "")])),
        ("another grant", stack.token_request(&[scope, ("grant_type", "password")])),
        ("no scope", stack.token_request(&[])),
        ("a scope without /.default", stack.token_request(&[("scope", "https://vault.azure.net")])),
        ("two scopes", stack.token_request(&[("scope", "a/.default b/.default")])),
        ("another resource", stack.token_request(&[("scope", "https://graph.microsoft.com/.default")])),
        ("another tenant", stack.client.post(token.replace(TENANT, "contoso.onmicrosoft.com")).form(&[scope])),
        ("common", stack.client.post(token.replace(TENANT, "common")).form(&[scope])),
        ("GET", stack.client.get(&token)),
        ("JSON", stack.client.post(&token).json(&json!({}))),
        ("POST to discovery", stack.client.post(format!("{LOGIN}/{TENANT}/discovery/v2.0/keys"))),
        ("another path", stack.client.get(format!("{LOGIN}/{TENANT}/oauth2/v2.0/authorize"))),
    ];
    let mut transcript = String::new();
    for (what, request) in cases {
        let (status, body) = sent(request).await;
        let description = body["error_description"].as_str().unwrap();
        let (text, _) = description.split_once(" Trace ID: ").unwrap();
        let (error, codes) = (&body["error"], &body["error_codes"]);
        writeln!(transcript, "{what}: {} {error} {codes}\n    {text}", status.as_u16()).unwrap();
    }
    insta::assert_snapshot!(transcript);
}

#[tokio::test]
async fn a_trailing_slash_in_the_resource_is_what_the_vault_complains_of() {
    let stack = Stack::start().await;
    let (status, token) = sent(stack.token_request(&[("scope", "https://vault.azure.net//.default")])).await;
    assert_eq!(status, StatusCode::OK, "{token}");
    let url = format!("{VAULT}/keys?api-version=7.4");
    let request = stack.client.get(url).bearer_auth(token["access_token"].as_str().unwrap());
    let response = request.send().await.unwrap();
    assert!(response.headers().contains_key("www-authenticate"));
    let (status, body) = json_of(response).await;
    let message = "AKV10022: Invalid audience. Expected https://vault.azure.net, found: https://vault.azure.net/.";
    assert_eq!((status, &body["error"]["message"]), (StatusCode::UNAUTHORIZED, &json!(message)));
}

#[tokio::test]
async fn instance_discovery_knows_the_public_cloud() {
    let stack = Stack::start().await;
    let url = format!("{LOGIN}/common/discovery/instance?api-version=1.1&authorization_endpoint=https://x/y");
    let (status, body) = sent(stack.client.get(url)).await;
    assert_eq!((status, &body["api-version"]), (StatusCode::OK, &json!("1.1")));
    assert_eq!(body["metadata"][0]["preferred_network"], "login.microsoftonline.com");
}

#[tokio::test]
async fn a_direct_caller_finds_entra_by_its_paths() {
    let stack = Stack::start().await;
    let base = format!("https://localhost:{}", stack.tls.port());
    let (_, discovered) =
        sent(stack.client.get(format!("{base}/{TENANT}/v2.0/.well-known/openid-configuration"))).await;
    let endpoint = discovered["token_endpoint"].as_str().unwrap();
    assert_eq!(endpoint, format!("{base}/{TENANT}/oauth2/v2.0/token"));
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("scope", "https://vault.azure.net/.default"),
    ];
    let (status, token) = sent(stack.client.post(endpoint).form(&form)).await;
    assert_eq!(status, StatusCode::OK, "{token}");
    let keys = stack.client.get(format!("{base}/keys?api-version=7.4"));
    let keys = keys.bearer_auth(token["access_token"].as_str().unwrap());
    assert_eq!(sent(keys).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_machine_gets_its_token_in_both_forms() {
    let stack = Stack::start().await;
    let query = [("api-version", "2018-02-01"), ("resource", "https://vault.azure.net")];
    let imds = stack.client.get(format!("http://{}/metadata/identity/oauth2/token", stack.plain));
    let imds = imds.query(&query).header("metadata", "true");
    let app_service = stack.client.get(format!("http://{}/msi/token", stack.plain));
    let app_service = app_service.query(&query).header("x-identity-header", IDENTITY_HEADER);
    for request in [imds, app_service] {
        let (status, token) = sent(request).await;
        assert_eq!(status, StatusCode::OK, "{token}");
        // Strict clients want strings.
        for member in ["access_token", "expires_on", "expires_in", "not_before", "resource", "token_type", "client_id"]
        {
            assert!(token[member].is_string(), "{member}: {token}");
        }
        let claims = claims_of(&token);
        assert_eq!(
            (&claims["appid"], &claims["xms_mirid"]),
            (&json!(MACHINE_CLIENT_ID), &json!("/subscriptions/s/vm"))
        );
        assert_eq!(claims["exp"].to_string(), token["expires_on"].as_str().unwrap());
        assert_eq!(opens_the_vault(&stack, &token).await, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_machine_with_several_identities_must_say_which() {
    let user_assigned = |index: u128| {
        let kind = PrincipalKind::UserAssigned { resource_id: format!("/identities/{index}") };
        Principal::new(Uuid::from_u128(index), Uuid::from_u128(index + 100), kind)
    };
    let principals = vec![user_assigned(1), user_assigned(2)];
    let stack = Stack::start_with(Config { principals, identity_header: None, ..config() }).await;
    let url = format!("http://{}/metadata/identity/oauth2/token", stack.plain);
    let get = |query: &[(&str, &str)], metadata: &str| {
        let fixed = [("api-version", "2018-02-01"), ("resource", "https://vault.azure.net")];
        let query: Vec<_> =
            fixed.iter().filter(|(name, _)| query.iter().all(|(given, _)| given != name)).chain(query).collect();
        stack.client.get(&url).query(&query).header("metadata", metadata)
    };
    for (name, value) in [
        ("client_id", Uuid::from_u128(2).to_string()),
        ("object_id", Uuid::from_u128(102).to_string()),
        ("msi_res_id", "/IDENTITIES/2".to_owned()),
        ("mi_res_id", "/identities/2".to_owned()),
    ] {
        let (status, token) = sent(get(&[(name, &value)], "True")).await;
        assert_eq!((status, &token["client_id"]), (StatusCode::OK, &json!(Uuid::from_u128(2).to_string())), "{name}");
    }
    let app_service = stack.client.get(format!("http://{}/msi/token", stack.plain)).header("x-identity-header", "");
    let cases = [
        ("no identity named", get(&[], "true")),
        ("an unknown identity", get(&[("client_id", CLIENT_ID)], "true")),
        ("no Metadata header", get(&[], "")),
        ("no resource", get(&[("resource", "")], "true")),
        ("another resource", get(&[("client_id", CLIENT_ID), ("resource", "https://graph.microsoft.com")], "true")),
        ("a bad api-version", get(&[("api-version", "latest")], "true")),
        ("POST", stack.client.post(&url)),
        ("another path", stack.client.get(format!("http://{}/metadata/instance", stack.plain))),
        ("App Service without its header", app_service),
    ];
    let mut transcript = String::new();
    for (what, request) in cases {
        let (status, body) = sent(request).await;
        writeln!(transcript, "{what}: {} {body}", status.as_u16()).unwrap();
    }
    insta::assert_snapshot!(transcript);
}

#[tokio::test]
async fn a_principal_that_is_not_declared_may_do_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start_with(Config { data_dir: Some(dir.path().to_owned()), ..config() }).await;
    let token = stack.token().await.to_owned();
    stack.stop().await;
    // The same tenant and signing key, but the application is gone from the directory.
    let changed = Config { data_dir: Some(dir.path().to_owned()), principals: Vec::new(), ..config() };
    let stack = Stack::start_with(changed).await;
    let request = stack.client.get(format!("{VAULT}/keys/kms?api-version=7.4")).bearer_auth(token);
    let (status, body) = sent(request).await;
    assert_eq!((status, &body["error"]["innererror"]["code"]), (StatusCode::FORBIDDEN, &json!("ForbiddenByRbac")));
    let caller = format!("Caller: appid={CLIENT_ID};oid={OBJECT_ID};iss=https://sts.windows.net/{TENANT}/");
    assert!(body["error"]["message"].as_str().unwrap().contains(&caller), "{body}");
}
