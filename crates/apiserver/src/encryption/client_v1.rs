//! Calls to a KMS v1 plugin.
//!
//! Imitates `envelope/grpc_service.go` of kube-apiserver: before the first other call that goes well, every call asks for
//! the plugin's version within its own deadline. As upstream, no metric times these calls.

use std::time::Duration;

use envelope::{KeyMaterial, KmsV1Error};
use kms_api::v1beta1::key_management_service_client::KeyManagementServiceClient;
use kms_api::v1beta1::{DecryptRequest, EncryptRequest, VersionRequest};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::socket::{Socket, limited};

/// A client of one plugin.
#[derive(Debug)]
pub(super) struct KmsV1Client {
    timeout: Duration,
    socket: Socket,
    /// Whether the plugin has told a version that is ours; who finds it has not, asks while the others wait.
    is_version_known: Mutex<bool>,
}

impl KmsV1Client {
    pub(super) fn new(endpoint: &str, timeout: Duration) -> Self {
        Self { timeout, socket: Socket::new(endpoint), is_version_known: Mutex::new(false) }
    }

    pub(super) async fn encrypt(&self, plain: &[u8]) -> Result<Vec<u8>, KmsV1Error> {
        let deadline = self.begin().await?;
        let send = |channel, left| {
            let request = EncryptRequest { version: VERSION.to_owned(), plain: plain.to_vec() };
            async move { KeyManagementServiceClient::new(channel).encrypt(limited(request, left)).await }
        };
        Ok(self.socket.call(deadline, send).await.map_err(KmsV1Error::Rpc)?.cipher)
    }

    pub(super) async fn decrypt(&self, cipher: &[u8]) -> Result<KeyMaterial, KmsV1Error> {
        let deadline = self.begin().await?;
        let send = |channel, left| {
            let request = DecryptRequest { version: VERSION.to_owned(), cipher: cipher.to_vec() };
            async move { KeyManagementServiceClient::new(channel).decrypt(limited(request, left)).await }
        };
        Ok(KeyMaterial::new(self.socket.call(deadline, send).await.map_err(KmsV1Error::Rpc)?.plain))
    }

    /// The deadline of a call that begins now, once the plugin's version is known.
    async fn begin(&self) -> Result<Instant, KmsV1Error> {
        let deadline = Instant::now() + self.timeout;
        let mut is_known = self.is_version_known.lock().await;
        if !*is_known {
            let send = |channel, left| async move {
                let request = VersionRequest { version: VERSION.to_owned() };
                KeyManagementServiceClient::new(channel).version(limited(request, left)).await
            };
            let found = self.socket.call(deadline, send).await.map_err(KmsV1Error::VersionCall)?.version;
            if found != VERSION {
                return Err(KmsV1Error::Version { found });
            }
            *is_known = true;
        }
        Ok(deadline)
    }
}

/// The version of the protocol, in every request (`kmsapiVersion`).
const VERSION: &str = "v1beta1";
