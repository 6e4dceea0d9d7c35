//! The kubeconfig of a stack, as `kubectl config` would write it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

/// A kubeconfig in JSON, which every reader of YAML reads. The caller stores it with mode 0600: it holds the token.
pub(crate) fn kubeconfig(server: &str, ca_pem: &str, token: &str) -> String {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": NAME,
            "cluster": { "server": server, "certificate-authority-data": BASE64_STANDARD.encode(ca_pem) },
        }],
        "users": [{ "name": USER, "user": { "token": token } }],
        "contexts": [{ "name": NAME, "context": { "cluster": NAME, "user": USER, "namespace": "default" } }],
        "current-context": NAME,
    });
    format!("{config:#}\n")
}

const NAME: &str = "kyanite";
const USER: &str = "kyanite-admin";
