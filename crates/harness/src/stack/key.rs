//! Making the stack's key, through the public wire as anybody would: Entra ID for a token, Key Vault's REST for the key,
//! both by Azure's names through the gateway.

use reqwest::{Certificate, Client, Proxy, StatusCode};
use serde::Deserialize;
use serde_json::json;
use thiserror::Error;
use uuid::Uuid;

use super::config::KeySize;
use super::secret::Token;

/// What is needed to reach a vault by its name.
pub(super) struct VaultAccess<'a> {
    pub(super) proxy: &'a str,
    pub(super) ca_pem: &'a str,
    pub(super) tenant_id: Uuid,
    pub(super) client_id: Uuid,
    pub(super) client_secret: &'a Token,
    pub(super) vault: &'a str,
}

/// What became of the wish for a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum KeyOutcome {
    /// It was there already.
    Found,
    /// It is new.
    Made,
    /// It was deleted in an earlier run and not purged: its name is taken. That may be just what a user wants to see.
    Deleted,
    /// It was disabled in an earlier run.
    Disabled,
}

impl VaultAccess<'_> {
    /// Makes the key `name` unless there is one.
    pub(super) async fn ensure_key(&self, name: &str, size: KeySize) -> Result<KeyOutcome, KeyError> {
        let client = self.client()?;
        let token = self.token(&client).await?;
        let url = format!("https://{}.vault.azure.net/keys/{name}", self.vault);
        let get = client.get(&url).query(&[API_VERSION]).bearer_auth(&token);
        let found = get.send().await.map_err(KeyError::Vault)?;
        match found.status() {
            StatusCode::OK => return Ok(KeyOutcome::Found),
            StatusCode::NOT_FOUND => {}
            // The vault shows a disabled key to nobody.
            StatusCode::FORBIDDEN => return Ok(KeyOutcome::Disabled),
            status => return Err(KeyError::Refused { status, body: found.text().await.unwrap_or_default() }),
        }
        let body = json!({ "kty": "RSA", "key_size": u16::from(size), "key_ops": ["encrypt", "decrypt", "wrapKey", "unwrapKey"] });
        let create = client.post(format!("{url}/create")).query(&[API_VERSION]).bearer_auth(&token).json(&body);
        let made = create.send().await.map_err(KeyError::Vault)?;
        match made.status() {
            StatusCode::OK => Ok(KeyOutcome::Made),
            StatusCode::CONFLICT => Ok(KeyOutcome::Deleted),
            status => Err(KeyError::Refused { status, body: made.text().await.unwrap_or_default() }),
        }
    }

    fn client(&self) -> Result<Client, KeyError> {
        let ca = Certificate::from_pem(self.ca_pem.as_bytes()).map_err(KeyError::Client)?;
        let proxy = Proxy::all(self.proxy).map_err(KeyError::Client)?;
        let builder = Client::builder().no_proxy().proxy(proxy).tls_certs_only([ca]);
        builder.build().map_err(KeyError::Client)
    }

    async fn token(&self, client: &Client) -> Result<String, KeyError> {
        let url = format!("https://login.microsoftonline.com/{}/oauth2/v2.0/token", self.tenant_id);
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &self.client_id.to_string()),
            ("client_secret", self.client_secret.expose()),
            ("scope", "https://vault.azure.net/.default"),
        ];
        let answer = client.post(url).form(&form).send().await.map_err(KeyError::Token)?;
        let answer = answer.error_for_status().map_err(KeyError::Token)?;
        Ok(answer.json::<TokenAnswer>().await.map_err(KeyError::Token)?.access_token)
    }
}

/// Why the key cannot be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The HTTP client cannot be set up.
    #[error("set up an HTTP client")]
    Client(#[source] reqwest::Error),
    /// The vault refuses.
    #[error("have the vault do it: it answers {status}: {body}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// What it says.
        body: String,
    },
    /// No token.
    #[error("get a token")]
    Token(#[source] reqwest::Error),
    /// The vault cannot be reached.
    #[error("reach the vault")]
    Vault(#[source] reqwest::Error),
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
}

const API_VERSION: (&str, &str) = ("api-version", "7.4");
