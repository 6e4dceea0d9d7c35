//! Who the plugin is to the vault: one token for all calls, fetched once, renewed beside the traffic before it ends.
//!
//! The SDK's own credentials fetch a token when a call needs one, within five minutes of the old one's end, and that
//! call waits. Here a task fetches the next token earlier, so that no call does; and a token that the vault does not
//! take any more is replaced at once, where the SDK keeps it until it expires. Azure's plugin once asked for a token
//! with every request and was throttled for it: Azure/kubernetes-kms issue 52.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions};
use azure_core::error::Result as SdkResult;
use azure_core::http::Transport;
use azure_core::time::OffsetDateTime;
use azure_identity::{
    ClientAssertionCredential, ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use crate::certificate::{Assertions, CertificateError, ClientCertificate};
use crate::cloud::Cloud;
use crate::config::Credential;
use crate::plugin::StartError;
use crate::secret::ClientSecret;
use crate::vault_client::client_options;
use crate::vault_error::VaultClientError;

/// One of the SDK's credentials, and the tokens that it has given, by scopes.
pub(crate) struct RenewableCredential {
    certificate: Option<Arc<ClientCertificate>>,
    cloud: Cloud,
    current: RwLock<Arc<dyn TokenCredential>>,
    held: Mutex<HashMap<Vec<String>, Held>>,
    itself: Weak<Self>,
    kind: Credential,
    transport: Transport,
}

impl RenewableCredential {
    pub(crate) fn new(kind: Credential, cloud: Cloud, transport: Transport) -> Result<Arc<Self>, StartError> {
        let certificate = match &kind {
            Credential::ClientCertificate { path, password, .. } => Some(Arc::new(read_certificate(path, password)?)),
            _ => None,
        };
        let current = RwLock::new(make_credential(&kind, certificate.as_ref(), &cloud, &transport)?);
        Ok(Arc::new_cyclic(|itself| Self {
            certificate,
            cloud,
            current,
            held: Mutex::default(),
            itself: itself.clone(),
            kind,
            transport,
        }))
    }

    /// Forgets the tokens: the vault does not take them.
    pub(crate) fn renew(&self) {
        info!("the vault does not accept the token, asking for a new one");
        self.held().clear();
        self.start_afresh();
    }

    /// The SDK's credential keeps its token too, so another takes its place.
    fn start_afresh(&self) {
        // It could be made before, from the same values.
        if let Ok(fresh) = make_credential(&self.kind, self.certificate.as_ref(), &self.cloud, &self.transport) {
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
    }

    async fn fetch(&self, scopes: &[&str], options: Option<TokenRequestOptions<'_>>) -> SdkResult<AccessToken> {
        let current = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        let token = current.get_token(scopes, options).await?;
        let held = Held::new(token.clone());
        let owned: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        tokio::spawn(renew_in_time(self.itself.clone(), owned.clone(), held.renew_at(), held.token.expires_on));
        self.held().insert(owned, held);
        Ok(token)
    }

    /// The next token, unless another has come since the one that ends at `ending`; when to try again if there is none.
    async fn fetch_next(&self, scopes: &[String], ending: OffsetDateTime) -> Option<Instant> {
        if self.held().get(scopes).is_none_or(|held| held.token.expires_on != ending) {
            return None;
        }
        self.start_afresh();
        let borrowed: Vec<&str> = scopes.iter().map(String::as_str).collect();
        match self.fetch(&borrowed, None).await {
            Ok(_) => {
                debug!("the token was renewed before its end");
                None
            }
            Err(error) => {
                let left = Duration::try_from(ending - OffsetDateTime::now_utc()).ok()?;
                let error = VaultClientError::from_sdk(error);
                warn!(class = ?error.class(), seconds_left = left.as_secs(), "cannot renew the token yet: {error}");
                Some(Instant::now() + (left / 4).max(SHORTEST_PAUSE))
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Vec<String>, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TokenCredential for RenewableCredential {
    async fn get_token(&self, scopes: &[&str], options: Option<TokenRequestOptions<'_>>) -> SdkResult<AccessToken> {
        let held = {
            let held = self.held();
            let found = held
                .iter()
                .find(|(of, held)| of.iter().map(String::as_str).eq(scopes.iter().copied()) && held.is_good());
            found.map(|(_, held)| held.token.clone())
        };
        match held {
            Some(token) => Ok(token),
            None => self.fetch(scopes, options).await,
        }
    }
}

impl fmt::Debug for RenewableCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RenewableCredential").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A token, and when it came. Lifetimes are real time: the vault measures them so.
struct Held {
    since: OffsetDateTime,
    token: AccessToken,
}

impl Held {
    fn new(token: AccessToken) -> Self {
        Self { since: OffsetDateTime::now_utc(), token }
    }

    fn lifetime(&self) -> Duration {
        Duration::try_from(self.token.expires_on - self.since).unwrap_or_default()
    }

    /// Ten minutes before its end, twice what the SDK leaves; half of its life if that is short.
    fn renew_at(&self) -> Instant {
        let lifetime = self.lifetime();
        Instant::now() + lifetime.saturating_sub((lifetime / 2).min(RENEWAL_LEAD))
    }

    fn is_good(&self) -> bool {
        self.token.expires_on > OffsetDateTime::now_utc() + (self.lifetime() / 10).min(MARGIN)
    }
}

/// Beside the traffic. It must not keep the credential alive. Boxed, because a renewal starts the wait for the next.
fn renew_in_time(
    credential: Weak<RenewableCredential>,
    scopes: Vec<String>,
    at: Instant,
    ending: OffsetDateTime,
) -> BoxFuture<'static, ()> {
    async move {
        let mut next = Some(at);
        while let Some(at) = next {
            sleep_until(at).await;
            next = match credential.upgrade() {
                Some(credential) => credential.fetch_next(&scopes, ending).await,
                None => None,
            };
        }
    }
    .boxed()
}

fn read_certificate(path: &Path, password: &ClientSecret) -> Result<ClientCertificate, StartError> {
    let content =
        std::fs::read(path).map_err(|source| StartError::CertificateFile { path: path.to_owned(), source })?;
    ClientCertificate::from_pkcs12(&content, password).map_err(|source| StartError::Certificate { source })
}

fn make_credential(
    kind: &Credential,
    certificate: Option<&Arc<ClientCertificate>>,
    cloud: &Cloud,
    transport: &Transport,
) -> Result<Arc<dyn TokenCredential>, StartError> {
    let client_options = client_options(transport, cloud);
    let made = match (kind, certificate) {
        (Credential::ClientCertificate { tenant, client, .. }, Some(certificate)) => {
            let assertions = Assertions {
                audience: format!("{}/{tenant}/oauth2/v2.0/token", cloud.authority().trim_end_matches('/')),
                certificate: Arc::clone(certificate),
                client: client.clone(),
            };
            let options = ClientAssertionCredentialOptions { client_options };
            ClientAssertionCredential::new(tenant.clone(), client.clone(), assertions, Some(options))
                .map(|credential| -> Arc<dyn TokenCredential> { credential })
        }
        (Credential::ClientSecret { tenant, client, secret }, _) => {
            let secret = Secret::new(secret.expose().to_owned());
            let options = ClientSecretCredentialOptions { client_options };
            ClientSecretCredential::new(tenant, client.clone(), secret, Some(options))
                .map(|credential| -> Arc<dyn TokenCredential> { credential })
        }
        (Credential::ManagedIdentity { client }, _) => {
            let user_assigned_id = client.clone().map(UserAssignedId::ClientId);
            ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions { user_assigned_id, client_options }))
                .map(|credential| -> Arc<dyn TokenCredential> { credential })
        }
        (Credential::ClientCertificate { .. }, None) => {
            return Err(StartError::Certificate { source: CertificateError::NoCertificate });
        }
    };
    made.map_err(|source| StartError::Sdk { source: Box::new(source) })
}

/// How long before a token's end the next is fetched.
const RENEWAL_LEAD: Duration = Duration::from_mins(10);

/// How much of its life a token must have left to be given out.
const MARGIN: Duration = Duration::from_secs(30);

/// Between two tries to renew.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
