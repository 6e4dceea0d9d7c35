//! The vault, by Azure's own name: HTTPS through the gateway, with a token that Entra gave.
//!
//! This is a client of Key Vault's REST API as its documents describe it, and not one of the emulator: it shares no
//! type with it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Certificate, Client, Method, Proxy};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use crate::ready::ReadyFile;
use crate::story::scenario::FailureClass;

use super::{Refusal, WireError};

/// A client of a stack's vault.
pub(crate) struct Vault {
    client: Client,
    url: String,
    token_url: String,
    client_id: String,
    client_secret: Zeroizing<String>,
    token: OnceCell<Zeroizing<String>>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Something that a key version has encrypted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Ciphertext {
    /// URL of the key version.
    pub(crate) version_url: String,
    /// Key Vault's text for it: base64url without padding.
    pub(crate) value: String,
}

/// One version of a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct VersionState {
    /// Its URL: `https://{vault}.vault.azure.net/keys/{key}/{version}`.
    pub(crate) url: String,
    /// Whether it may be used.
    pub(crate) enabled: bool,
    /// When it was made, in seconds since 1970.
    pub(crate) created: i64,
}

impl Vault {
    /// A client for the first vault of the ready file.
    pub(crate) fn new(ready: &ReadyFile) -> Result<Self, WireError> {
        let missing = |field| WireError::Missing { part: "vault", field };
        let vault = ready.vaults.first().ok_or(missing("vaults"))?;
        let gateway = ready.gateway.first().ok_or(missing("gateway"))?;
        let credentials = ready.credentials.as_ref().ok_or(missing("credentials"))?;
        let ca = ready.ca.as_ref().ok_or(missing("ca"))?;

        let file = |path: &std::path::Path, source| WireError::File { path: path.to_owned(), source };
        let pem = std::fs::read(ca).map_err(|error| file(ca, error.into()))?;
        let certificate = Certificate::from_pem(&pem).map_err(|error| file(ca, error.into()))?;
        let secret_file = &credentials.client_secret_file;
        let secret = std::fs::read_to_string(secret_file).map_err(|error| file(secret_file, error.into()))?;
        let address =
            |source| WireError::Address { part: "gateway", address: gateway.url.clone(), source: Box::new(source) };
        let client = Client::builder()
            .tls_certs_only([certificate])
            .proxy(Proxy::all(&gateway.url).map_err(address)?)
            .timeout(TIMEOUT)
            .build()
            .map_err(address)?;

        Ok(Self {
            client,
            url: format!("https://{}.vault.azure.net", vault.name),
            token_url: format!("https://login.microsoftonline.com/{}/oauth2/v2.0/token", credentials.tenant_id),
            client_id: credentials.client_id.clone(),
            client_secret: Zeroizing::new(secret.trim().to_owned()),
            token: OnceCell::new(),
        })
    }

    /// The versions of every key that is not deleted, by key, oldest first.
    pub(crate) async fn all_versions(&self) -> Result<Vec<VersionState>, Refusal> {
        let mut keys = self.pages(format!("{}/keys", self.url)).await?;
        keys.sort_by(|a, b| a.kid.cmp(&b.kid));
        let mut versions = Vec::new();
        for key in keys {
            versions.extend(self.versions_at(&key.kid).await?);
        }
        Ok(versions)
    }

    /// The versions of a key, oldest first.
    pub(crate) async fn versions(&self, key: &str) -> Result<Vec<VersionState>, Refusal> {
        self.versions_at(&self.key_url(key)).await
    }

    /// The URL of a key's newest version. A disabled one is not shown.
    pub(crate) async fn newest(&self, key: &str) -> Result<String, Refusal> {
        let bundle: KeyBundle = self.call(Method::GET, &versioned(&self.key_url(key)), None).await?;
        Ok(bundle.key.kid)
    }

    /// Makes a new version of a key; returns its URL.
    pub(crate) async fn rotate(&self, key: &str) -> Result<String, Refusal> {
        let url = versioned(&format!("{}/rotate", self.key_url(key)));
        let bundle: KeyBundle = self.call(Method::POST, &url, None).await?;
        Ok(bundle.key.kid)
    }

    /// Makes a new key (RSA, 2048 bits); returns the URL of its version.
    pub(crate) async fn create(&self, key: &str) -> Result<String, Refusal> {
        let url = versioned(&format!("{}/create", self.key_url(key)));
        let body = json!({"kty": "RSA", "key_size": 2048});
        let bundle: KeyBundle = self.call(Method::POST, &url, Some(body)).await?;
        Ok(bundle.key.kid)
    }

    /// Sets `enabled` of a version.
    pub(crate) async fn enable(&self, version_url: &str, enabled: bool) -> Result<(), Refusal> {
        let body = json!({"attributes": {"enabled": enabled}});
        self.call::<KeyBundle>(Method::PATCH, &versioned(version_url), Some(body)).await.map(|_| ())
    }

    /// Soft-deletes a key.
    pub(crate) async fn delete(&self, key: &str) -> Result<(), Refusal> {
        self.call::<Value>(Method::DELETE, &versioned(&self.key_url(key)), None).await.map(|_| ())
    }

    /// Takes a soft-deleted key back.
    pub(crate) async fn recover(&self, key: &str) -> Result<(), Refusal> {
        let url = versioned(&format!("{}/recover", self.deleted_key_url(key)));
        self.call::<Value>(Method::POST, &url, None).await.map(|_| ())
    }

    /// Destroys a soft-deleted key.
    pub(crate) async fn purge(&self, key: &str) -> Result<(), Refusal> {
        self.call::<Value>(Method::DELETE, &versioned(&self.deleted_key_url(key)), None).await.map(|_| ())
    }

    /// Encrypts `plaintext` with a version.
    pub(crate) async fn encrypt(&self, version_url: &str, plaintext: &[u8]) -> Result<Ciphertext, Refusal> {
        let value = self.operate("encrypt", version_url, &URL_SAFE_NO_PAD.encode(plaintext)).await?;
        Ok(Ciphertext { version_url: version_url.to_owned(), value })
    }

    /// Decrypts a ciphertext with the version that made it.
    pub(crate) async fn decrypt(&self, ciphertext: &Ciphertext) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let value = Zeroizing::new(self.operate("decrypt", &ciphertext.version_url, &ciphertext.value).await?);
        let plaintext = URL_SAFE_NO_PAD.decode(value.as_bytes());
        // The text of the error would show a byte of the plaintext.
        plaintext.map(Zeroizing::new).map_err(|_| Refusal::nonsense("the decrypted value is not base64url"))
    }

    async fn versions_at(&self, key_url: &str) -> Result<Vec<VersionState>, Refusal> {
        let items = self.pages(format!("{key_url}/versions")).await?;
        let mut versions: Vec<_> = items
            .into_iter()
            .map(|item| VersionState {
                url: item.kid,
                enabled: item.attributes.enabled,
                created: item.attributes.created,
            })
            .collect();
        versions.sort_by_key(|version| version.created);
        Ok(versions)
    }

    /// Every item of a paged list.
    async fn pages(&self, url: String) -> Result<Vec<KeyItem>, Refusal> {
        let mut items = Vec::new();
        let mut next = Some(versioned(&url));
        while let Some(url) = next {
            let page: KeyPage = self.call(Method::GET, &url, None).await?;
            items.extend(page.value);
            next = page.next_link;
        }
        Ok(items)
    }

    async fn operate(&self, operation: &str, version_url: &str, value: &str) -> Result<String, Refusal> {
        let body = json!({"alg": "RSA-OAEP-256", "value": value});
        let url = versioned(&format!("{version_url}/{operation}"));
        let result: OperationResult = self.call(Method::POST, &url, Some(body)).await?;
        Ok(result.value)
    }

    fn key_url(&self, key: &str) -> String {
        format!("{}/keys/{key}", self.url)
    }

    fn deleted_key_url(&self, key: &str) -> String {
        format!("{}/deletedkeys/{key}", self.url)
    }

    async fn call<T: for<'de> Deserialize<'de>>(
        &self,
        method: Method,
        url: &str,
        body: Option<Value>,
    ) -> Result<T, Refusal> {
        let token = self.token.get_or_try_init(|| self.fetch_token()).await?;
        let mut request = self.client.request(method, url).bearer_auth(token.as_str());
        if let Some(body) = &body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| Refusal::unavailable(&error))?;
        let status = response.status();
        let text = response.text().await.map_err(|error| Refusal::unavailable(&error))?;
        if status.is_success() {
            // A purge answers 204 without a body.
            let text = if text.is_empty() { "null" } else { &text };
            return serde_json::from_str(text)
                .map_err(|error| Refusal::nonsense(format!("an answer that Key Vault would not give: {error}")));
        }
        Err(refused(status.as_u16(), text))
    }

    /// A token for Key Vault, by the client-credentials grant.
    async fn fetch_token(&self) -> Result<Zeroizing<String>, Refusal> {
        let form = [
            ("client_id", self.client_id.as_str()),
            ("client_secret", self.client_secret.as_str()),
            ("grant_type", "client_credentials"),
            ("scope", "https://vault.azure.net/.default"),
        ];
        let response = self.client.post(&self.token_url).form(&form).send().await;
        let response = response.map_err(|error| Refusal::unavailable(&error))?;
        let status = response.status();
        let text = response.text().await.map_err(|error| Refusal::unavailable(&error))?;
        if !status.is_success() {
            return Err(refused(status.as_u16(), text));
        }
        serde_json::from_str::<TokenAnswer>(&text)
            .map(|answer| Zeroizing::new(answer.access_token))
            .map_err(|error| Refusal::nonsense(format!("an answer that Entra would not give: {error}")))
    }
}

/// The refusal in an error body of Key Vault; the innermost code, as it names the cause.
fn refused(status: u16, text: String) -> Refusal {
    let class = FailureClass::of_status(status);
    match serde_json::from_str::<ErrorAnswer>(&text) {
        Ok(ErrorAnswer { error }) => {
            let code = error.innererror.map_or(error.code, |inner| inner.code);
            Refusal { class, code: Some(code), message: error.message }
        }
        Err(_) => Refusal { class, code: Some(status.to_string()), message: text },
    }
}

fn versioned(url: &str) -> String {
    format!("{url}?api-version={API_VERSION}")
}

impl VersionState {
    /// Its id: the last part of its URL.
    pub(crate) fn id(&self) -> &str {
        version_id(&self.url)
    }

    /// URL of the key that it is a version of.
    pub(crate) fn key_url(&self) -> &str {
        self.url.strip_suffix(self.id()).map_or("", |url| url.trim_end_matches('/'))
    }
}

/// The id of the version at a URL.
pub(crate) fn version_id(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or_default()
}

#[derive(Deserialize)]
struct KeyPage {
    value: Vec<KeyItem>,
    #[serde(rename = "nextLink")]
    next_link: Option<String>,
}

#[derive(Deserialize)]
struct KeyItem {
    kid: String,
    attributes: KeyAttributes,
}

#[derive(Deserialize)]
struct KeyAttributes {
    enabled: bool,
    created: i64,
}

#[derive(Deserialize)]
struct KeyBundle {
    key: JsonWebKey,
}

#[derive(Deserialize)]
struct JsonWebKey {
    kid: String,
}

#[derive(Deserialize)]
struct OperationResult {
    value: String,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: ErrorBody,
}

#[derive(Deserialize)]
struct ErrorBody {
    code: String,
    message: String,
    innererror: Option<InnerError>,
}

#[derive(Deserialize)]
struct InnerError {
    code: String,
}

/// A stable version of Key Vault's API that has everything a story needs (rotation came with 7.3).
const API_VERSION: &str = "7.4";

/// Real time; the vault is on this machine.
const TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_code_is_the_cause() {
        let body = r#"{"error":{"code":"Forbidden","message":"no","innererror":{"code":"KeyDisabled"}}}"#;
        let refusal = refused(403, body.to_owned());
        assert_eq!(refusal.to_string(), "denied (KeyDisabled): no");
        assert_eq!(
            refused(404, r#"{"error":{"code":"KeyNotFound","message":"m"}}"#.to_owned()).to_string(),
            "not-found (KeyNotFound): m"
        );
        assert_eq!(refused(502, "<html>".to_owned()).to_string(), "unavailable (502): <html>");
    }
}
