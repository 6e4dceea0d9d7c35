//! How requests leave: as the SDK made them, or turned round to the helper of Azure's proxy mode.
//!
//! In proxy mode the vault and the token endpoint are reached in plain HTTP through a helper beside the cluster,
//! `http://{address}:{port}/{vault}.vault.azure.net/keys/…` and `http://{address}:{port}/{tenant}/…`, with a header
//! that names the service meant. AKS reaches private vaults so. The SDK goes on to speak to Azure's own names: only the
//! last step is turned round, so that key ids, the check of the vault's challenge and everything else are as without the
//! helper. Imitates `getProxiedVaultURL` and `addTargetTypeHeader` of Azure/kubernetes-kms; as there, managed
//! identities are not asked for through it.

use std::fmt;

use async_trait::async_trait;
use azure_core::error::{Error as SdkError, ErrorKind, Result as SdkResult};
use azure_core::http::{AsyncRawResponse, HttpClient, Request, Url};

/// The SDK's client, with what it lacks.
pub(crate) struct PluginTransport {
    authority: Url,
    client: reqwest::Client,
    helper: Option<Url>,
    vault: Url,
}

impl PluginTransport {
    /// To `vault` and `authority` themselves, or through `helper`.
    pub(crate) fn new(client: reqwest::Client, helper: Option<Url>, authority: Url, vault: Url) -> Self {
        Self { authority, client, helper, vault }
    }

    fn is_to_authority(&self, url: &Url) -> bool {
        url.host_str() == self.authority.host_str() && url.port() == self.authority.port()
    }

    /// Where a request goes, and which service it is for; `None` if it goes as it is.
    fn turned(&self, url: &Url) -> Option<(Url, &'static str)> {
        let mut turned = self.helper.clone()?;
        turned.set_query(url.query());
        if url.host_str() == self.vault.host_str() && url.port() == self.vault.port() {
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            turned.set_path(&format!("/{}{port}{}", url.host_str()?, url.path()));
            Some((turned, "KeyVault"))
        } else if self.is_to_authority(url) {
            turned.set_path(url.path());
            Some((turned, "AzureActiveDirectory"))
        } else {
            None
        }
    }
}

#[async_trait]
impl HttpClient for PluginTransport {
    async fn execute_request(&self, request: &Request) -> SdkResult<AsyncRawResponse> {
        let answer = match self.turned(request.url()) {
            None => self.client.execute_request(request).await?,
            Some((url, service)) => {
                let mut turned = request.clone();
                *turned.url_mut() = url;
                turned.insert_header(TARGET_HEADER, service);
                self.client.execute_request(&turned).await?
            }
        };
        if answer.status().is_success() || !self.is_to_authority(request.url()) {
            return Ok(answer);
        }
        // The SDK's credentials cannot read an error of Entra that has an escape in its text, and all of them have line
        // breaks: it would tell of JSON, and not what Entra said. So the answer becomes the error here.
        let raw = answer.try_into_raw_response().await?;
        let status = raw.status();
        Err(ErrorKind::HttpResponse { status, error_code: None, raw_response: Some(Box::new(raw)) }.into_error())
    }
}

impl fmt::Debug for PluginTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let helper = self.helper.as_ref().map(Url::as_str);
        f.debug_struct("PluginTransport").field("helper", &helper).finish_non_exhaustive()
    }
}

/// A text as URL, with the SDK's error.
pub(crate) fn url(text: &str) -> SdkResult<Url> {
    Url::parse(text).map_err(|error| SdkError::new(ErrorKind::DataConversion, error))
}

const TARGET_HEADER: &str = "x-azure-proxy-target";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_move_into_the_path_and_the_rest_stays() {
        let parsed = |text| url(text).unwrap();
        let transport = PluginTransport::new(
            reqwest::Client::new(),
            Some(parsed("http://10.0.0.4:7788/")),
            parsed("https://login.microsoftonline.com"),
            parsed("https://kyanite.vault.azure.net/"),
        );
        let target = |text| transport.turned(&parsed(text)).map(|(url, service)| (url.to_string(), service));
        assert_eq!(
            target("https://kyanite.vault.azure.net/keys/kms/v1/encrypt?api-version=7.6"),
            Some((
                "http://10.0.0.4:7788/kyanite.vault.azure.net/keys/kms/v1/encrypt?api-version=7.6".to_owned(),
                "KeyVault"
            ))
        );
        assert_eq!(
            target("https://login.microsoftonline.com/t/oauth2/v2.0/token"),
            Some(("http://10.0.0.4:7788/t/oauth2/v2.0/token".to_owned(), "AzureActiveDirectory"))
        );
        assert_eq!(target("http://169.254.169.254/metadata/identity/oauth2/token"), None);
    }
}
