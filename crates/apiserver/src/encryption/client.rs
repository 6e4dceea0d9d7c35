//! Calls to a KMS v2 plugin.
//!
//! Imitates `envelope/kmsv2/grpc_service.go` of kube-apiserver.

use std::sync::Arc;
use std::time::{Duration, Instant};

use envelope::{EncryptAnswer, EncryptedObject, KeyMaterial, ProviderName, RpcCode, RpcError, StatusAnswer};
use kms_api::v2::key_management_service_client::KeyManagementServiceClient;
use kms_api::v2::{DecryptRequest, EncryptRequest, StatusRequest};
use tonic::transport::Channel;
use tonic::{Response, Status};
use tracing::Instrument as _;

use super::metrics::Metrics;
use super::socket::{Socket, limited};

/// A client of one plugin.
#[derive(Debug)]
pub(super) struct KmsClient {
    provider: ProviderName,
    metrics: Arc<Metrics>,
    timeout: Duration,
    socket: Socket,
}

impl KmsClient {
    pub(super) fn new(provider: ProviderName, endpoint: &str, timeout: Duration, metrics: Arc<Metrics>) -> Self {
        Self { provider, metrics, timeout, socket: Socket::new(endpoint) }
    }

    pub(super) async fn status(&self) -> Result<StatusAnswer, RpcError> {
        let answer = self
            .call("/v2.KeyManagementService/Status", "", |mut client, limit| async move {
                client.status(limited(StatusRequest {}, limit)).await
            })
            .await?;
        Ok(StatusAnswer { version: answer.version, healthz: answer.healthz, key_id: answer.key_id })
    }

    pub(super) async fn encrypt(&self, uid: &str, plaintext: &[u8]) -> Result<EncryptAnswer, RpcError> {
        let answer = self
            .call("/v2.KeyManagementService/Encrypt", uid, |mut client, limit| {
                let request = EncryptRequest { plaintext: plaintext.to_vec(), uid: uid.to_owned() };
                async move { client.encrypt(limited(request, limit)).await }
            })
            .await?;
        Ok(EncryptAnswer { ciphertext: answer.ciphertext, key_id: answer.key_id, annotations: answer.annotations })
    }

    pub(super) async fn decrypt(&self, uid: &str, object: &EncryptedObject) -> Result<KeyMaterial, RpcError> {
        let answer = self
            .call("/v2.KeyManagementService/Decrypt", uid, |mut client, limit| {
                let annotations = object.annotations().iter();
                let request = DecryptRequest {
                    ciphertext: object.encrypted_dek_source().as_bytes().to_vec(),
                    uid: uid.to_owned(),
                    key_id: object.key_id().as_str().to_owned(),
                    annotations: annotations.map(|(name, value)| (name.to_owned(), value.to_vec())).collect(),
                };
                async move { client.decrypt(limited(request, limit)).await }
            })
            .await?;
        Ok(KeyMaterial::new(answer.plaintext))
    }

    /// `uid` ties the call to the plugin's log and the vault's; Status has none.
    async fn call<T, F>(&self, method: &str, uid: &str, send: impl Fn(Client, Duration) -> F) -> Result<T, RpcError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let started = Instant::now();
        let span = tracing::debug_span!("kms", provider = %self.provider, method, uid);
        let deadline = tokio::time::Instant::now() + self.timeout;
        let send = |channel, left| send(Client::new(channel), left);
        let answer = self.socket.call(deadline, send).instrument(span).await;
        let code = answer.as_ref().err().map_or(RpcCode::Ok, |error| error.code);
        self.metrics.kms_called(&self.provider, method, code, started);
        answer
    }
}

type Client = KeyManagementServiceClient<Channel>;
