//! The life of keys, over TLS.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::stack::{Stack, version_of};

#[tokio::test]
async fn a_key_encrypts_and_decrypts() {
    let stack = Stack::start().await;
    let bundle = stack.create("kms").await;
    let version = version_of(&bundle);
    assert_eq!(bundle["key"]["kid"], format!("https://kyanite.vault.azure.net/keys/kms/{version}"));
    for (forth, back) in [("encrypt", "decrypt"), ("wrapKey", "unwrapkey")] {
        for alg in ["RSA1_5", "RSA-OAEP", "RSA-OAEP-256"] {
            let plain = URL_SAFE_NO_PAD.encode("a seed of 32 bytes, more or less");
            let body = json!({ "alg": alg, "value": plain });
            let (status, sealed) = stack.call("POST", &format!("/keys/kms/{version}/{forth}"), body).await;
            assert_eq!(status, StatusCode::OK, "{sealed}");
            assert_eq!(sealed["kid"], bundle["key"]["kid"]);
            let body = json!({ "alg": alg, "value": sealed["value"] });
            let (status, opened) = stack.call("POST", &format!("/keys/kms//{back}"), body).await;
            assert_eq!((status, &opened["value"]), (StatusCode::OK, &Value::from(plain)), "{opened}");
        }
    }
}
