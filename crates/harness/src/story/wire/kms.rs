//! The plugin, on its KMS v2 socket.

use std::time::Duration;

use kms_api::Endpoint;
use kms_api::v2::StatusRequest;
use kms_api::v2::key_management_service_client::KeyManagementServiceClient;

use crate::ready::ReadyFile;
use crate::story::scenario::FailureClass;

use super::{Refusal, WireError};

/// A client of a stack's plugin.
#[derive(Clone, Debug)]
pub(crate) struct Plugin {
    endpoint: Endpoint,
}

/// What Status answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PluginStatus {
    /// The version of the KMS API.
    pub(crate) version: String,
    /// `ok`, or what is wrong.
    pub(crate) healthz: String,
    /// The key id that Encrypt would answer.
    pub(crate) key_id: String,
}

impl Plugin {
    /// A client for the first socket of the ready file; `None` on a stack without KMS.
    pub(crate) fn new(ready: &ReadyFile) -> Result<Option<Self>, WireError> {
        let Some(address) = ready.kms_sockets.first() else { return Ok(None) };
        match address.parse() {
            Ok(endpoint) => Ok(Some(Self { endpoint })),
            Err(error) => {
                let source = Box::new(error);
                Err(WireError::Address { part: "KMS plugin", address: address.clone(), source })
            }
        }
    }

    /// Asks for Status.
    ///
    /// # Errors
    ///
    /// [`Refusal`] of class `unavailable` if the plugin does not answer, else `internal` with the gRPC code.
    pub(crate) async fn status(&self) -> Result<PluginStatus, Refusal> {
        let mut client = KeyManagementServiceClient::new(self.endpoint.channel());
        let answer = match tokio::time::timeout(TIMEOUT, client.status(StatusRequest {})).await {
            Ok(answer) => answer,
            Err(elapsed) => return Err(Refusal::unavailable(&elapsed)),
        };
        match answer {
            Ok(answer) => {
                let answer = answer.into_inner();
                Ok(PluginStatus { version: answer.version, healthz: answer.healthz, key_id: answer.key_id })
            }
            Err(status) => Err(Refusal {
                class: FailureClass::Internal,
                code: Some(format!("{:?}", status.code())),
                message: status.message().to_owned(),
            }),
        }
    }
}

/// Real time: what the API server allows a KMS call by default.
const TIMEOUT: Duration = Duration::from_secs(3);
