//! Client assertions at Entra's token endpoints: certificates and strangers' tokens.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use keyvault::{ClientCertificate, Config, FederatedCredential, Principal, PrincipalKind};
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::stack::{LOGIN, Stack, TENANT, VAULT, config, json_of};

const CERTIFIED: &str = "88888888-8888-4888-8888-888888888888";
const WORKLOAD: &str = "99999999-9999-4999-8999-999999999999";
const CLUSTER: &str = "https://cluster.example/issuer/";
const SUBJECT: &str = "system:serviceaccount:default:reader";

/// A key pair, its certificate, and the thumbprint that names it.
struct Signer {
    pair: rcgen::KeyPair,
    pem: String,
    thumbprint: String,
}

impl Signer {
    fn new() -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["client".to_owned()]).unwrap().self_signed(&pair).unwrap();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate.der());
        let thumbprint = URL_SAFE_NO_PAD.encode(digest);
        Self { pem: certificate.pem(), pair, thumbprint }
    }

    fn certificate(&self) -> ClientCertificate {
        self.pem.parse().unwrap()
    }

    fn sign(&self, header: &Header, claims: &Value) -> String {
        let key = EncodingKey::from_rsa_pem(self.pair.serialize_pem().as_bytes()).unwrap();
        jsonwebtoken::encode(header, claims, &key).unwrap()
    }

    fn certified(&self, claims: &Value) -> String {
        let header = Header { x5t_s256: Some(self.thumbprint.clone()), ..Header::new(Algorithm::PS256) };
        self.sign(&header, claims)
    }

    fn jwks(&self) -> String {
        let jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(
            &EncodingKey::from_rsa_pem(self.pair.serialize_pem().as_bytes()).unwrap(),
            Algorithm::RS256,
        );
        let mut jwk = serde_json::to_value(jwk.unwrap()).unwrap();
        jwk["kid"] = json!("cluster-key");
        json!({ "keys": [jwk] }).to_string()
    }
}

fn now() -> i64 {
    clock::Clock::new().now().as_second()
}

fn claims(change: Value) -> Value {
    let mut claims = json!({
        "iss": CERTIFIED, "sub": CERTIFIED, "aud": format!("{LOGIN}/{TENANT}/oauth2/v2.0/token"),
        "nbf": now() - 5, "exp": now() + 300, "jti": "once",
    });
    merge(&mut claims, change);
    claims
}

fn cluster_claims(change: Value) -> Value {
    let mut claims = json!({
        "iss": CLUSTER, "sub": SUBJECT, "aud": ["api://AzureADTokenExchange"], "exp": now() + 300,
    });
    merge(&mut claims, change);
    claims
}

fn merge(claims: &mut Value, change: Value) {
    if let (Value::Object(claims), Value::Object(change)) = (claims, change) {
        claims.extend(change);
    }
}

fn cluster_header() -> Header {
    Header { kid: Some("cluster-key".to_owned()), ..Header::new(Algorithm::RS256) }
}

async fn start(certified: &Signer, cluster: &Signer) -> Stack {
    let application = Principal {
        certificates: vec![certified.certificate()],
        ..Principal::new(
            CERTIFIED.parse().unwrap(),
            Uuid::from_u128(8),
            PrincipalKind::ServicePrincipal { client_secret: None },
        )
    };
    let credential = FederatedCredential {
        issuer: CLUSTER.to_owned(),
        subject: SUBJECT.to_owned(),
        audience: FederatedCredential::DEFAULT_AUDIENCE.to_owned(),
        keys: cluster.jwks().parse().unwrap(),
    };
    let workload = Principal {
        federated: vec![credential],
        ..Principal::new(
            WORKLOAD.parse().unwrap(),
            Uuid::from_u128(9),
            PrincipalKind::UserAssigned { resource_id: "/identities/workload".to_owned() },
        )
    };
    Stack::start_with(Config { principals: vec![application, workload], ..config() }).await
}

async fn exchange(stack: &Stack, client_id: &str, assertion: &str) -> (StatusCode, Value) {
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "https://vault.azure.net/.default"),
        ("client_id", client_id),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion),
    ];
    let request = stack.client.post(format!("{LOGIN}/{TENANT}/oauth2/v2.0/token")).form(&form);
    json_of(request.send().await.unwrap()).await
}

#[tokio::test]
async fn a_certificate_and_a_clusters_token_open_the_vault() {
    let (certified, cluster) = (Signer::new(), Signer::new());
    let stack = start(&certified, &cluster).await;
    let own = certified.certified(&claims(json!({})));
    let foreign = cluster.sign(&cluster_header(), &cluster_claims(json!({})));
    for (client_id, assertion) in [(CERTIFIED, own), (WORKLOAD, foreign)] {
        let (status, token) = exchange(&stack, client_id, &assertion).await;
        assert_eq!(status, StatusCode::OK, "{token}");
        let request = stack.client.get(format!("{VAULT}/keys?api-version=7.4"));
        let request = request.bearer_auth(token["access_token"].as_str().unwrap());
        assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
        assert_eq!(stack.control.requests(1)[0].client_id.as_deref(), Some(client_id));
    }
}

#[tokio::test]
async fn what_proves_nothing_is_refused_by_cause() {
    let (certified, cluster) = (Signer::new(), Signer::new());
    let stack = start(&certified, &cluster).await;
    let hmac = {
        // The classic: the public key as an HMAC secret.
        let header = Header { x5t_s256: Some(certified.thumbprint.clone()), ..Header::new(Algorithm::HS256) };
        let key = EncodingKey::from_secret(certified.pem.as_bytes());
        jsonwebtoken::encode(&header, &claims(json!({})), &key).unwrap()
    };
    let none = {
        let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", encode(json!({ "alg": "none", "x5t#S256": certified.thumbprint })), encode(claims(json!({}))))
    };
    let stranger = Signer::new();
    let forged = {
        let header = Header { x5t_s256: Some(certified.thumbprint.clone()), ..Header::new(Algorithm::RS256) };
        stranger.sign(&header, &claims(json!({})))
    };
    let cluster_forged = stranger.sign(&cluster_header(), &cluster_claims(json!({})));
    let signed = |change| cluster.sign(&cluster_header(), &cluster_claims(change));
    let cases = [
        ("HMAC with the public key", CERTIFIED, hmac),
        ("no signature", CERTIFIED, none),
        ("another key", CERTIFIED, forged),
        ("another certificate", CERTIFIED, stranger.certified(&claims(json!({})))),
        ("another audience", CERTIFIED, certified.certified(&claims(json!({ "aud": "https://example.com" })))),
        ("another subject", CERTIFIED, certified.certified(&claims(json!({ "sub": WORKLOAD })))),
        ("expired", CERTIFIED, certified.certified(&claims(json!({ "nbf": 1, "exp": 2 })))),
        ("no token at all", CERTIFIED, "a.b.c".to_owned()),
        ("for somebody else", WORKLOAD, certified.certified(&claims(json!({})))),
        ("a cluster's, forged", WORKLOAD, cluster_forged),
        ("a cluster's, another issuer", WORKLOAD, signed(json!({ "iss": "https://other.example" }))),
        ("a cluster's, another audience", WORKLOAD, signed(json!({ "aud": "vault" }))),
        ("a cluster's, another subject", WORKLOAD, signed(json!({ "sub": "system:serviceaccount:default:other" }))),
        ("a cluster's, expired", WORKLOAD, signed(json!({ "exp": 3 }))),
    ];
    let mut transcript = String::new();
    for (what, client_id, assertion) in cases {
        let (status, body) = exchange(&stack, client_id, &assertion).await;
        let description = body["error_description"].as_str().unwrap();
        let (text, _) = description.split_once(" Trace ID: ").unwrap();
        let text = text.replace(&certified.thumbprint, "[own]").replace(&stranger.thumbprint, "[stranger's]");
        let text = match text.split_once("Current time: ") {
            Some((before, after)) => format!("{before}Current time: [now],{}", after.split_once(',').unwrap().1),
            None => text,
        };
        writeln!(transcript, "{what}: {} {}\n    {text}", status.as_u16(), body["error"]).unwrap();
    }
    insta::assert_snapshot!(transcript);
}
