//! The Key Vault side: encrypt, decrypt and list versions of one key, through the official Azure SDK.
//!
//! Azure's plugin uses the first generation of the Go SDK with api-version 2016-10-01; the answers that matter are the
//! same. Differs: the token's audience is learnt from the vault's challenge, not configured, so that no slash at its end
//! can be wrong; a token that the vault does not accept is replaced at once; the KMS `uid` is sent as `x-ms-client-request-id`, so that the vault's audit
//! log can be joined with the API server's.

use std::sync::Arc;
use std::time::Duration;
use std::{fmt, mem};

use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::http::headers::{HeaderName, Headers};
use azure_core::http::request::options::ClientRequestId;
use azure_core::http::{ClientMethodOptions, ClientOptions, Context, RequestContent, RetryOptions, Transport};
use azure_security_keyvault_keys::models::{
    EncryptionAlgorithm, KeyClientDecryptOptions, KeyClientEncryptOptions, KeyOperationParameters,
};
use azure_security_keyvault_keys::{KeyClient, KeyClientOptions};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::TryStreamExt as _;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tracing::warn;
use zeroize::ZeroizeOnDrop;

use crate::algorithm::Algorithm;
use crate::annotations::Receipt;
use crate::budget::Budget;
use crate::cloud::Cloud;
use crate::config::{Credential, HttpConfig, Proxy};
use crate::credential::RenewableCredential;
use crate::key::{Key, KeyVersion};
use crate::plugin::StartError;
use crate::secret::Plaintext;
use crate::transport::{self, PluginTransport};
use crate::vault_error::VaultClientError;

/// A client for one key. Cheap to share; one token serves all calls.
pub(crate) struct VaultClient {
    credential: Arc<RenewableCredential>,
    is_patient: bool,
    key: Key,
    keys: KeyClient,
    /// How many calls may still begin; `None` without a limit.
    places: Option<Semaphore>,
}

/// What Encrypt gives back.
#[derive(Debug)]
pub(crate) struct Encrypted {
    pub(crate) version: KeyVersion,
    /// The vault's base64url text.
    pub(crate) ciphertext: String,
    pub(crate) receipt: Receipt,
}

impl VaultClient {
    /// With `max_calls` at once (0 is no limit), and trying again as the caller's deadline lets it or, `is_patient`, as
    /// Azure's plugin does.
    pub(crate) fn new(
        key: Key,
        cloud: Cloud,
        kind: Credential,
        transport: Transport,
        max_calls: usize,
        is_patient: bool,
    ) -> Result<Self, StartError> {
        let options =
            KeyClientOptions { client_options: client_options(&transport, &cloud), ..KeyClientOptions::default() };
        let credential = RenewableCredential::new(kind, cloud, transport)?;
        let keys = KeyClient::new(key.vault_url(), credential.clone(), Some(options))
            .map_err(|source| StartError::Sdk { source: Box::new(source) })?;
        let places = (max_calls > 0).then(|| Semaphore::new(max_calls.min(Semaphore::MAX_PERMITS)));
        Ok(Self { credential, is_patient, key, keys, places })
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// Encrypts with `version`, or with the newest if there is none, and makes sure that it was this key that did.
    pub(crate) async fn encrypt(
        &self,
        algorithm: Algorithm,
        version: Option<&KeyVersion>,
        plaintext: &[u8],
        uid: &str,
        budget: Budget,
    ) -> Result<Encrypted, VaultClientError> {
        let (mut reply, receipt) = self
            .call(budget, || async {
                let options = KeyClientEncryptOptions {
                    key_version: version.map(|version| version.as_str().to_owned()),
                    method_options: correlated(uid),
                };
                let content = operation_content(algorithm, plaintext)?;
                let response = self.keys.encrypt(self.key.name().as_str(), content, Some(options)).await;
                let (_, headers, body) = response.map_err(VaultClientError::from_sdk)?.deconstruct();
                Ok((OperationReply::parse(&body)?, receipt(&headers)))
            })
            .await?;
        let kid = reply.kid.take().ok_or(VaultClientError::Unreadable { what: "it names no kid" })?;
        let used = self.key.version_in(&kid);
        if let Some(version) = used.filter(|used| version.is_none_or(|asked| asked == used)) {
            return Ok(Encrypted { version, ciphertext: mem::take(&mut reply.value), receipt });
        }
        let expected = version.map_or_else(|| self.key.url(), |asked| self.key.key_id(asked).to_string());
        Err(VaultClientError::WrongKey { expected, kid })
    }

    /// Decrypts with `version`.
    pub(crate) async fn decrypt(
        &self,
        algorithm: Algorithm,
        version: &KeyVersion,
        ciphertext: &[u8],
        uid: &str,
        budget: Budget,
    ) -> Result<Plaintext, VaultClientError> {
        let reply = self
            .call(budget, || async {
                let options = KeyClientDecryptOptions { method_options: correlated(uid) };
                let content = operation_content(algorithm, ciphertext)?;
                let response =
                    self.keys.decrypt(self.key.name().as_str(), version.as_str(), content, Some(options)).await;
                let (_, _, body) = response.map_err(VaultClientError::from_sdk)?.deconstruct();
                OperationReply::parse(&body)
            })
            .await?;
        URL_SAFE_NO_PAD
            .decode(reply.value.as_bytes())
            .map(Plaintext::new)
            .map_err(|_| VaultClientError::Unreadable { what: "its value is not unpadded base64url" })
    }

    /// All versions of the key, in no particular order. Needs the `list` permission.
    pub(crate) async fn list_versions(&self, budget: Budget) -> Result<Vec<KeyVersion>, VaultClientError> {
        self.call(budget, || async {
            let mut pager = self
                .keys
                .list_key_properties_versions(self.key.name().as_str(), None)
                .map_err(VaultClientError::from_sdk)?;
            let mut versions = Vec::new();
            while let Some(item) = pager.try_next().await.map_err(VaultClientError::from_sdk)? {
                versions.extend(item.kid.and_then(|kid| self.key.version_in(&kid)));
                if versions.len() >= MAX_VERSIONS {
                    warn!(limit = MAX_VERSIONS, "the key has more versions than are kept");
                    break;
                }
            }
            Ok(versions)
        })
        .await
    }

    /// Tries within the budget; a token that is not accepted is replaced and the call made once more.
    async fn call<T, F>(&self, budget: Budget, attempt: impl Fn() -> F) -> Result<T, VaultClientError>
    where
        F: Future<Output = Result<T, VaultClientError>>,
    {
        let one_try = || async {
            let _place = match &self.places {
                // It is never closed.
                Some(places) => places.acquire().await.ok(),
                None => None,
            };
            match attempt().await {
                Err(error) if error.is_stale_token() => {
                    self.credential.renew();
                    attempt().await
                }
                outcome => outcome,
            }
        };
        if self.is_patient { budget.try_patiently(one_try).await } else { budget.try_within(one_try).await }
    }
}

impl fmt::Debug for VaultClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultClient").field("key", &self.key).finish_non_exhaustive()
    }
}

/// A success of encrypt and decrypt, as the wire has it: the SDK's model would decode the text that has to be kept.
#[derive(Deserialize, ZeroizeOnDrop)]
struct OperationReply {
    kid: Option<String>,
    #[serde(default)]
    value: String,
}

impl OperationReply {
    fn parse(body: &[u8]) -> Result<Self, VaultClientError> {
        let reply: Self = serde_json::from_slice(body)
            .map_err(|_| VaultClientError::Unreadable { what: "it is not the JSON of a key operation" })?;
        if reply.value.is_empty() {
            return Err(VaultClientError::Unreadable { what: "it has no value" });
        }
        Ok(reply)
    }
}

fn operation_content(
    algorithm: Algorithm,
    value: &[u8],
) -> Result<RequestContent<KeyOperationParameters>, VaultClientError> {
    KeyOperationParameters {
        algorithm: Some(match algorithm {
            Algorithm::Rsa15 => EncryptionAlgorithm::Rsa1_5,
            Algorithm::RsaOaep256 => EncryptionAlgorithm::RsaOaep256,
        }),
        value: Some(value.to_vec()),
        ..KeyOperationParameters::default()
    }
    .try_into()
    .map_err(VaultClientError::from_sdk)
}

/// The caller's `uid` as request id, if a header can carry it.
fn correlated(uid: &str) -> ClientMethodOptions<'static> {
    let mut context = Context::new();
    if (1..=MAX_UID_BYTES).contains(&uid.len()) && uid.bytes().all(|byte| byte.is_ascii_graphic()) {
        context.insert(ClientRequestId::new(uid.to_owned()));
    }
    ClientMethodOptions { context }
}

fn receipt(headers: &Headers) -> Receipt {
    let value = |name| headers.get_optional_str(&HeaderName::from_static(name)).unwrap_or_default().to_owned();
    Receipt { date: value("date"), request_id: value("x-ms-request-id"), region: value("x-ms-keyvault-region") }
}

pub(crate) fn client_options(transport: &Transport, cloud: &Cloud) -> ClientOptions {
    let mut names = CustomConfiguration::default();
    cloud.authority().clone_into(&mut names.authority_host);
    ClientOptions {
        cloud: Some(Arc::new(CloudConfiguration::from(names))),
        // `Budget` tries again, because it knows the caller's deadline.
        retry: RetryOptions::none(),
        transport: Some(transport.clone()),
        ..ClientOptions::default()
    }
}

/// To the vault and the token endpoint themselves, or to the helper of the proxy mode in their place.
pub(crate) fn transport(
    config: &HttpConfig,
    proxy_mode: Option<&str>,
    cloud: &Cloud,
    key: &Key,
) -> Result<Transport, StartError> {
    let parsed = |text: &str| transport::url(text).map_err(|source| StartError::Sdk { source: Box::new(source) });
    let helper = proxy_mode.map(parsed).transpose()?;
    let client = http_client(config)?;
    let transport = PluginTransport::new(client, helper, parsed(cloud.authority())?, parsed(key.vault_url())?);
    Ok(Transport::new(Arc::new(transport)))
}

fn http_client(config: &HttpConfig) -> Result<reqwest::Client, StartError> {
    let mut builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_LIMIT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("kyanite-kms-plugin/", env!("CARGO_PKG_VERSION")));
    if let Some(pem) = &config.ca_pem {
        let certificates =
            reqwest::Certificate::from_pem_bundle(pem).map_err(|source| StartError::Certificates { source })?;
        if certificates.is_empty() {
            return Err(StartError::NoCertificate);
        }
        builder = builder.tls_certs_merge(certificates);
    }
    builder = match &config.proxy {
        Proxy::Direct => builder.no_proxy(),
        Proxy::Environment => builder,
        Proxy::Url(url) => {
            let proxy = reqwest::Proxy::all(url);
            builder.proxy(proxy.map_err(|source| StartError::Proxy { url: url.clone(), source })?)
        }
    };
    builder.build().map_err(|source| StartError::Http { source })
}

/// How long a connection may take to be made; a call's own budget is often shorter.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How many versions of a key are listed at most.
const MAX_VERSIONS: usize = 1000;

/// The longest `uid` that is sent on; kube-apiserver's are UUIDs.
const MAX_UID_BYTES: usize = 64;
