//! KMS v1beta1: `v1beta1.KeyManagementService`, which kube-apiserver has deprecated and old clusters still speak. Its
//! messages carry no key id and no annotations, and its algorithm is `RSA1_5`.

use kms_api::v1beta1::key_management_service_server::KeyManagementService;
use kms_api::v1beta1::{
    DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse, VersionRequest, VersionResponse,
};
use tonic::{Request, Response, Status};
use tracing::info;

use crate::algorithm::Algorithm;
use crate::budget::Budget;
use crate::difference::Difference;
use crate::operation::OperationError;
use crate::plugin::Plugin;
use crate::secret::Plaintext;
use crate::service::Call;

pub(crate) struct ServiceV1 {
    pub(crate) plugin: Plugin,
}

impl ServiceV1 {
    /// Differs: Azure's plugin does not look at the version.
    fn check_version(&self, version: &str) -> Result<(), OperationError> {
        if matches!(version, "" | API_VERSION) || self.plugin.inner.is_like_azure(Difference::Checks) {
            Ok(())
        } else {
            Err(OperationError::ApiVersion { version: version.chars().take(MAX_SHOWN_CHARS).collect() })
        }
    }
}

#[tonic::async_trait]
impl KeyManagementService for ServiceV1 {
    async fn version(&self, _: Request<VersionRequest>) -> Result<Response<VersionResponse>, Status> {
        Call::begin(&self.plugin, "version").end(Ok(VersionResponse {
            version: API_VERSION.to_owned(),
            runtime_name: RUNTIME_NAME.to_owned(),
            runtime_version: env!("CARGO_PKG_VERSION").to_owned(),
        }))
    }

    async fn decrypt(&self, request: Request<DecryptRequest>) -> Result<Response<DecryptResponse>, Status> {
        let call = Call::begin(&self.plugin, "decrypt");
        let budget = Budget::of_call(request.metadata());
        let DecryptRequest { version, cipher } = request.into_inner();
        info!("decrypt request started");
        let outcome = match self.check_version(&version) {
            Ok(()) => self.plugin.inner.decrypt_unnamed(&cipher, budget).await,
            Err(error) => Err(error),
        };
        if outcome.is_ok() {
            info!("decrypt request complete");
        }
        call.end(outcome.map(|plaintext| DecryptResponse { plain: plaintext.expose().to_vec() }))
    }

    async fn encrypt(&self, request: Request<EncryptRequest>) -> Result<Response<EncryptResponse>, Status> {
        let call = Call::begin(&self.plugin, "encrypt");
        let budget = Budget::of_call(request.metadata());
        let EncryptRequest { version, plain } = request.into_inner();
        let plaintext = Plaintext::new(plain);
        info!("encrypt request started");
        let outcome = match self.check_version(&version) {
            Ok(()) => self.plugin.inner.encrypt(Algorithm::Rsa15, &plaintext, "", budget).await,
            Err(error) => Err(error),
        };
        if outcome.is_ok() {
            info!("encrypt request complete");
        }
        call.end(outcome.map(|sealed| EncryptResponse { cipher: sealed.ciphertext }))
    }
}

/// The one version of this protocol.
pub(crate) const API_VERSION: &str = "v1beta1";

/// What Azure's plugin calls itself.
const RUNTIME_NAME: &str = "Microsoft AzureKMS";

/// What of a wrong version an error shows.
const MAX_SHOWN_CHARS: usize = 40;
