//! KMS v2: `v2.KeyManagementService`.

use kms_api::v2::key_management_service_server::KeyManagementService;
use kms_api::v2::{DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse, StatusRequest, StatusResponse};
use tonic::{Request, Response, Status};
use tracing::{Instrument as _, Level, debug, info, span};

use crate::algorithm::Algorithm;
use crate::budget::Budget;
use crate::plugin::Plugin;
use crate::secret::Plaintext;
use crate::service::Call;

pub(crate) struct ServiceV2 {
    pub(crate) plugin: Plugin,
}

#[tonic::async_trait]
impl KeyManagementService for ServiceV2 {
    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        let call = Call::begin(&self.plugin, "status");
        let budget = Budget::of_call(request.metadata());
        let outcome = self.plugin.inner.status(budget).await;
        call.end(outcome.map(|key_id| StatusResponse {
            version: STATUS_VERSION.to_owned(),
            healthz: "ok".to_owned(),
            key_id: key_id.to_string(),
        }))
    }

    async fn decrypt(&self, request: Request<DecryptRequest>) -> Result<Response<DecryptResponse>, Status> {
        let call = Call::begin(&self.plugin, "decrypt");
        let budget = Budget::of_call(request.metadata());
        let request = request.into_inner();
        let span = span!(Level::ERROR, "decrypt", uid = request.uid);
        async {
            debug!("decrypt request received");
            info!("decrypt request started");
            let outcome = self.plugin.inner.decrypt(&request, budget).await;
            if outcome.is_ok() {
                info!("decrypt request complete");
            }
            call.end(outcome.map(|plaintext| DecryptResponse { plaintext: plaintext.expose().to_vec() }))
        }
        .instrument(span)
        .await
    }

    async fn encrypt(&self, request: Request<EncryptRequest>) -> Result<Response<EncryptResponse>, Status> {
        let call = Call::begin(&self.plugin, "encrypt");
        let budget = Budget::of_call(request.metadata());
        let EncryptRequest { plaintext, uid } = request.into_inner();
        let plaintext = Plaintext::new(plaintext);
        let span = span!(Level::ERROR, "encrypt", uid);
        async {
            debug!("encrypt request received");
            info!("encrypt request started");
            let outcome = self.plugin.inner.encrypt(Algorithm::RsaOaep256, &plaintext, &uid, budget).await;
            if let Ok(sealed) = &outcome {
                info!(key_id = %sealed.key_id, "encrypt request complete");
            }
            call.end(outcome.map(|sealed| EncryptResponse {
                ciphertext: sealed.ciphertext,
                key_id: sealed.key_id.to_string(),
                annotations: sealed.annotations,
            }))
        }
        .instrument(span)
        .await
    }
}

/// What Azure's plugin says. It must never change during an API server's life, so Kyanite says it too.
pub(crate) const STATUS_VERSION: &str = "v2beta1";
