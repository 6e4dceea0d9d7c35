//! The 403s by cause, in the service's words, and the 429.
//!
//! Captured: hashicorp/terraform-provider-azurerm#27817 (roles), pulumi/actions#1045 (policies), microsoft/AzureTRE#3789
//! (firewall), Azure-Samples/multimodal-ai-llm-processing-accelerator#171 (public access), Azure/azure-cli#31406 (bypass),
//! vcsjones/AzureSignTool#219 (throttling).

use http::StatusCode;

use crate::access::{Denial, Need};
use crate::emulator::LiveVault;
use crate::http::api_error::ApiError;
use crate::http::assumed;
use crate::identity::Caller;
use crate::limits::Throttled;
use crate::network::{Bypass, Refusal};
use crate::vault::ObjectKind;

/// Who was refused what.
#[derive(Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub(super) caller: &'a Caller,
    pub(super) vault: &'a LiveVault,
    pub(super) region: &'a str,
}

impl Attempt<'_> {
    /// The caller may not do this.
    pub(super) fn denied(
        self,
        denial: Denial,
        need: Need,
        resource_id: &str,
        object: Option<(ObjectKind, &str)>,
    ) -> ApiError {
        let Self { vault, region, .. } = self;
        let (name, caller) = (vault.name(), self.caller());
        match denial {
            Denial::NoRole => {
                let object = object.map(|(kind, name)| format!("/{}/{name}", kind.collection())).unwrap_or_default();
                let resource = format!("{resource_id}{object}").to_lowercase();
                let action = need.data_action;
                let message = format!(
                    "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or \
                     role definitions were changed recently, please observe propagation time.\r\nCaller: \
                     {caller}\r\nAction: '{action}'\r\nResource: '{resource}'\r\nAssignment: (not \
                     found)\r\nDenyAssignmentId: null\r\nDecisionReason: 'DeniedWithNoValidRBAC' \r\nVault: \
                     {name};location={region}\r\n"
                );
                forbidden(message, "ForbiddenByRbac")
            }
            // Captured for `ForbiddenByPolicy`; of `AccessDenied` only the code was: Azure/go-autorest#477.
            Denial::NoPolicy | Denial::NotPermitted => {
                let (collection, permission) = need.permission.words();
                let message = format!(
                    "The user, group or application '{caller}' does not have {collection} {permission} permission on key \
                     vault '{name};location={region}'. For help resolving this issue, please see {}",
                    assumed::POLICY_HELP
                );
                let is_unknown = denial == Denial::NoPolicy;
                forbidden(message, if is_unknown { "AccessDenied" } else { "ForbiddenByPolicy" })
            }
        }
    }

    /// The caller stands in the wrong place. `address` is what the vault sees of it.
    pub(super) fn not_from_there(self, refusal: Refusal, address: &str) -> ApiError {
        let Self { vault, region, .. } = self;
        let tail = format!("Caller: {}\r\nVault: {};location={region}", self.caller(), vault.name());
        let (text, inner) = match refusal {
            Refusal::Firewall { bypass: Bypass::AzureServices } => {
                let text = "Client address is not authorized and caller is not a trusted service.";
                (format!("{text}\r\nClient address: {address}\r\n"), "ForbiddenByFirewall")
            }
            Refusal::Firewall { bypass: Bypass::None } => {
                let text = assumed::FIREWALL_WITHOUT_BYPASS;
                (format!("{text}\r\nClient address: {address}\r\n"), "ForbiddenByFirewall")
            }
            Refusal::Perimeter => {
                let (text, inner) = assumed::PERIMETER;
                (format!("{text}\r\nClient address: {address}\r\n"), inner)
            }
            Refusal::PublicAccessDisabled { bypass: Bypass::AzureServices } => {
                let text = "Public network access is disabled and request is not from a trusted service nor via an \
                            approved private link.";
                (format!("{text}\r\n"), "ForbiddenByConnection")
            }
            Refusal::PublicAccessDisabled { bypass: Bypass::None } => {
                (format!("{}\r\n", assumed::CONNECTION_WITHOUT_BYPASS), "ForbiddenByConnection")
            }
        };
        forbidden(format!("{text}{tail}"), inner)
    }

    fn caller(self) -> String {
        let Caller { client_id, object_id, issuer } = self.caller;
        format!("appid={client_id};oid={object_id};iss={issuer}")
    }
}

impl From<Throttled> for ApiError {
    fn from(throttled: Throttled) -> Self {
        let reason =
            if throttled.by_subscription { assumed::SUBSCRIPTION_LIMIT } else { "VaultRequestTypeLimitReached" };
        let message = format!("Request was not processed because too many requests were received. Reason: {reason}");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "Throttled", message).with_retry_after(throttled.retry_after_seconds)
    }
}

fn forbidden(message: String, inner: &'static str) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "Forbidden", message).with_inner(inner)
}
