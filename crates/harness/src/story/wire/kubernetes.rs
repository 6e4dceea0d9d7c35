//! The Kubernetes API, by kube-rs and the stack's kubeconfig.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt as _;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, ResourceExt as _};

use crate::ready::ReadyFile;
use crate::story::scenario::FailureClass;

use super::metrics::{Sample, samples};
use super::{Refusal, WireError};

/// A client of a stack's API server.
#[derive(Clone)]
pub(crate) struct Kubernetes {
    client: Client,
}

impl std::fmt::Debug for Kubernetes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kubernetes").finish_non_exhaustive()
    }
}

/// A Secret as a client sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SecretData {
    pub(crate) resource_version: String,
    pub(crate) data: BTreeMap<String, Vec<u8>>,
}

/// What became of the Secrets that were replaced by themselves.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Rewrite {
    /// Stored anew, as `namespace/name`.
    pub(crate) rewritten: Vec<String>,
    /// Left as they were.
    pub(crate) untouched: Vec<String>,
}

impl Kubernetes {
    /// A client for the kubeconfig of the ready file.
    pub(crate) async fn new(ready: &ReadyFile) -> Result<Self, WireError> {
        let path = ready.kubeconfig.clone();
        let path = path.ok_or(WireError::Missing { part: "API server", field: "kubeconfig" })?;
        let unusable =
            |source: Box<dyn std::error::Error + Send + Sync>| WireError::File { path: path.clone(), source };
        let kubeconfig = Kubeconfig::read_from(&path).map_err(|error| unusable(error.into()))?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        let mut config = config.map_err(|error| unusable(error.into()))?;
        // A shell in which `kyanite env` was evaluated has a proxy for Azure's names; the API server is not behind it.
        config.proxy_url = None;
        config.read_timeout = Some(TIMEOUT);
        let client = Client::try_from(config).map_err(|error| unusable(error.into()))?;
        Ok(Self { client })
    }

    /// Creates a Secret.
    pub(crate) async fn create(&self, namespace: &str, name: &str, text: &Text) -> Result<SecretData, Refusal> {
        let created = self.secrets(namespace).create(&PostParams::default(), &secret(name, text)).await;
        created.map(seen).map_err(refusal)
    }

    /// Reads a Secret.
    pub(crate) async fn read(&self, namespace: &str, name: &str) -> Result<SecretData, Refusal> {
        self.secrets(namespace).get(name).await.map(seen).map_err(refusal)
    }

    /// Replaces the data of a Secret, whatever its resourceVersion.
    pub(crate) async fn replace(&self, namespace: &str, name: &str, text: &Text) -> Result<SecretData, Refusal> {
        let replaced = self.secrets(namespace).replace(name, &PostParams::default(), &secret(name, text)).await;
        replaced.map(seen).map_err(refusal)
    }

    /// Deletes a Secret.
    pub(crate) async fn delete(&self, namespace: &str, name: &str) -> Result<(), Refusal> {
        self.secrets(namespace).delete(name, &DeleteParams::default()).await.map(|_| ()).map_err(refusal)
    }

    /// The Secrets of a namespace, or of all, as `namespace/name` in the order of the API. Pages as kubectl does.
    pub(crate) async fn list(&self, namespace: Option<&str>) -> Result<Vec<String>, Refusal> {
        let api = match namespace {
            Some(namespace) => self.secrets(namespace),
            None => Api::all(self.client.clone()),
        };
        Ok(all(&api).await?.iter().map(full_name).collect())
    }

    /// Replaces every Secret by itself, as `kubectl get secrets -A -o json | kubectl replace -f -` does.
    pub(crate) async fn rewrite(&self) -> Result<Rewrite, Refusal> {
        let mut outcome = Rewrite::default();
        for secret in all(&Api::all(self.client.clone())).await? {
            let api = self.secrets(&secret.namespace().unwrap_or_default());
            let replaced = api.replace(&secret.name_any(), &PostParams::default(), &secret).await.map_err(refusal)?;
            if replaced.resource_version() == secret.resource_version() {
                outcome.untouched.push(full_name(&secret));
            } else {
                outcome.rewritten.push(full_name(&secret));
            }
        }
        Ok(outcome)
    }

    /// The status and text of a path, whatever the status is.
    pub(crate) async fn fetch(&self, path: &str) -> Result<(u16, String), Refusal> {
        let request = Request::get(path).body(Body::empty()).map_err(|error| Refusal::nonsense(error.to_string()))?;
        let response = self.client.send(request).await.map_err(refusal)?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(|error| Refusal::unavailable(&error))?;
        Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
    }

    /// The samples of `/metrics`.
    pub(crate) async fn metrics(&self) -> Result<Vec<Sample>, Refusal> {
        match self.fetch("/metrics").await? {
            (200, page) => Ok(samples(&page)),
            (status, page) => {
                Err(Refusal { class: FailureClass::of_status(status), code: Some(status.to_string()), message: page })
            }
        }
    }

    fn secrets(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

/// Data of a Secret: key to text.
type Text = BTreeMap<String, String>;

async fn all(api: &Api<Secret>) -> Result<Vec<Secret>, Refusal> {
    let mut params = ListParams::default().limit(KUBECTL_CHUNK);
    let mut secrets = Vec::new();
    loop {
        let page = api.list(&params).await.map_err(refusal)?;
        let token = page.metadata.continue_.clone().filter(|token| !token.is_empty());
        secrets.extend(page.items);
        match token {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(secrets),
        }
    }
}

fn secret(name: &str, text: &Text) -> Secret {
    let data = text.iter().map(|(key, value)| (key.clone(), ByteString(value.clone().into_bytes()))).collect();
    let mut secret = Secret { data: Some(data), ..Secret::default() };
    secret.metadata.name = Some(name.to_owned());
    secret
}

fn seen(secret: Secret) -> SecretData {
    SecretData {
        resource_version: secret.resource_version().unwrap_or_default(),
        data: secret.data.unwrap_or_default().into_iter().map(|(key, ByteString(value))| (key, value)).collect(),
    }
}

fn full_name(secret: &Secret) -> String {
    format!("{}/{}", secret.namespace().unwrap_or_default(), secret.name_any())
}

fn refusal(error: kube::Error) -> Refusal {
    match error {
        kube::Error::Api(status) => Refusal {
            class: FailureClass::of_status(status.code),
            code: Some(status.reason.clone()).filter(|reason| !reason.is_empty()),
            message: status.message,
        },
        kube::Error::SerdeError(error) => Refusal::nonsense(format!("an answer that is no Kubernetes object: {error}")),
        other => Refusal::unavailable(&other),
    }
}

/// The page size of `kubectl get`.
const KUBECTL_CHUNK: u32 = 500;

/// Real time; longer than the API server takes to give up on a plugin that hangs.
const TIMEOUT: Duration = Duration::from_secs(30);
