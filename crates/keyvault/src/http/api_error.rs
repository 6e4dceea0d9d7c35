//! The one place where a refusal becomes an HTTP status, Azure's error codes and Azure's words.
//!
//! The envelope is `{"error":{"code","message","innererror":{"code"}}}`. Texts with a link were captured from the service in
//! that issue; the others are in `assumed`.

use std::borrow::Cow;

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::chain::chain;
use crate::emulator::ServiceError;
use crate::faults::Verdict;
use crate::http::assumed;
use crate::http::inbound::BodyError;
use crate::http::reply::Reply;
use crate::identity::BearerError;
use crate::vault::{ObjectKind, VaultError, VaultName};

/// A refusal as the caller sees it.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    code: Cow<'static, str>,
    message: Cow<'static, str>,
    inner: Option<Cow<'static, str>>,
    retry_after_seconds: Option<u32>,
}

impl ApiError {
    /// 400 `BadParameter`.
    pub(super) fn bad_parameter(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadParameter", message)
    }

    /// What Kyanite does not have yet; `what` begins the sentence.
    pub(super) fn not_emulated(what: &str) -> Self {
        let (status, code) = assumed::NOT_EMULATED;
        Self::new(status, code, format!("{what} not emulated by Kyanite yet. See docs/keyvault.md for what is."))
    }

    /// A host that is no vault here.
    pub(super) fn no_such_vault<'a>(host: &str, vaults: impl Iterator<Item = &'a VaultName>) -> Self {
        let (status, code) = assumed::NO_SUCH_VAULT;
        let names: Vec<_> = vaults.map(VaultName::as_str).collect();
        let known = names.join(", ");
        Self::new(status, code, format!("This stack has no vault at {host}. Its vaults: {known}."))
    }

    /// The refusal of an injected fault.
    pub(super) fn fault(verdict: Verdict) -> Option<Self> {
        let Verdict::Refuse { status, code, inner_code, message, retry_after_seconds } = verdict else { return None };
        let (default_code, default_message) = assumed::fault(status);
        Some(Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code: code.map_or(Cow::Borrowed(default_code), Cow::Owned),
            message: message.map_or(Cow::Borrowed(default_message), Cow::Owned),
            inner: inner_code.map(Cow::Owned),
            retry_after_seconds,
        })
    }

    /// Our own failure.
    pub(super) fn internal() -> Self {
        let (code, message) = assumed::INTERNAL;
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, code, message)
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn into_reply(self) -> Reply {
        let inner = self.inner.as_deref();
        let error = ErrorBody {
            code: &self.code,
            message: &self.message,
            innererror: inner.map(|code| InnerErrorBody { code }),
        };
        let mut reply = Reply::json(self.status, &Envelope { error })
            .with_error_code(self.code.clone().into_owned())
            .with_inner_code(self.inner.clone().map(Cow::into_owned))
            .with_error_message(self.message.clone());
        if let Some(seconds) = self.retry_after_seconds {
            reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        reply
    }

    fn not_found(kind: ObjectKind, message: String) -> Self {
        let code = match kind {
            ObjectKind::Key => "KeyNotFound",
            ObjectKind::Secret => "SecretNotFound",
        };
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// A refusal without an inner code.
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code: Cow::Borrowed(code), message: message.into(), inner: None, retry_after_seconds: None }
    }

    /// Adds `Retry-After`.
    pub(super) fn with_retry_after(mut self, seconds: Option<u32>) -> Self {
        self.retry_after_seconds = seconds;
        self
    }

    /// Adds `error.innererror.code`.
    pub(super) fn with_inner(mut self, code: &'static str) -> Self {
        self.inner = Some(Cow::Borrowed(code));
        self
    }
}

impl From<VaultError> for ApiError {
    fn from(error: VaultError) -> Self {
        let bad_parameter = |message: String| Self::bad_parameter(message);
        let forbidden = |message: String| Self::new(StatusCode::FORBIDDEN, "Forbidden", message);
        match error {
            VaultError::AlgorithmMismatch { algorithm, key } => {
                bad_parameter(assumed::algorithm_mismatch(algorithm, key))
            }
            VaultError::BackupUnreadable { kind: _ } => Self::bad_parameter(assumed::BACKUP),
            VaultError::BlockLength { algorithm, block_bytes, actual_bytes } => {
                bad_parameter(assumed::block_length(algorithm, block_bytes, actual_bytes))
            }
            VaultError::Crypto(_) => {
                tracing::error!(error = %chain(&error), "the cryptographic library failed");
                Self::internal()
            }
            VaultError::Decryption => Self::bad_parameter(assumed::DECRYPTION),
            VaultError::DeletedNotFound { kind, name } => {
                Self::not_found(kind, assumed::deleted_not_found(kind.upper(), name.as_str()))
            }
            VaultError::DigestLength { algorithm, expected_bytes, actual_bytes } => {
                bad_parameter(assumed::digest_length(algorithm, expected_bytes, actual_bytes))
            }
            // Captured: Azure/azure-sdk-for-python#45342 for keys, Azure/azure-sdk-for-js#24756 for secrets.
            VaultError::Disabled { kind, operation } => {
                let message = format!("Operation {operation} is not allowed on a disabled {}.", kind.lower());
                forbidden(message).with_inner(match kind {
                    ObjectKind::Key => "KeyDisabled",
                    ObjectKind::Secret => "SecretDisabled",
                })
            }
            VaultError::EmptyValidity => Self::bad_parameter(assumed::EMPTY_VALIDITY),
            VaultError::InvalidIv { algorithm } => bad_parameter(assumed::invalid_iv(algorithm)),
            VaultError::KeyExpired { operation } => {
                forbidden(assumed::key_expired(operation)).with_inner(assumed::KEY_EXPIRED_CODE)
            }
            VaultError::KeyNotYetValid { operation } => {
                forbidden(assumed::key_not_yet_valid(operation)).with_inner(assumed::KEY_NOT_YET_VALID_CODE)
            }
            // Captured for secrets: Azure/azure-rest-api-specs#9222, external-secrets/external-secrets#3519.
            VaultError::NameHeldByDeleted { kind, name } => {
                let (upper, lower) = (kind.upper(), kind.lower());
                let message = format!(
                    "{upper} {name} is currently in a deleted but recoverable state, and its name cannot be reused; in \
                     this state, the {lower} can only be recovered or purged."
                );
                Self::new(StatusCode::CONFLICT, "Conflict", message).with_inner("ObjectIsDeletedButRecoverable")
            }
            VaultError::NameTaken { kind, name } => {
                let message = assumed::name_taken(kind.upper(), name.as_str());
                Self::new(StatusCode::CONFLICT, "Conflict", message)
            }
            VaultError::NotExportable => forbidden(assumed::NOT_EXPORTABLE.to_owned()),
            // Captured: Azure/azure-sdk-for-net#22002.
            VaultError::NotFound { kind, name, version } => {
                let id = match version {
                    None => name.to_string(),
                    Some(version) => format!("{name}/{version}"),
                };
                let kind_text = kind.lower();
                let message = format!(
                    "A {kind_text} with (name/id) {id} was not found in this key vault. If you recently deleted this \
                     {kind_text} you may be able to recover it using the correct recovery command. For help resolving \
                     this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"
                );
                Self::not_found(kind, message)
            }
            // Captured: Azure/azure-sdk-for-net#11518.
            VaultError::OperationNotPermitted { operation } => {
                forbidden(format!("Operation {} is not permitted on this key.", operation.as_str()))
                    .with_inner("KeyOperationForbidden")
            }
            VaultError::OperationUnknown { operation, kty } => {
                bad_parameter(assumed::operation_unknown(operation.as_str(), kty))
            }
            VaultError::PlaintextTooLong { limit_bytes, actual_bytes } => {
                bad_parameter(assumed::plaintext_too_long(limit_bytes, actual_bytes))
            }
            // Captured: microsoft/AzureTRE#1760.
            VaultError::PurgeProtected => forbidden(
                "Operation \"purge\" is not allowed because purge protection is enabled for this vault. Key Vault \
                 service will automatically purge it after the retention period has passed."
                    .to_owned(),
            ),
            VaultError::ReleasePolicyImmutable => Self::bad_parameter(assumed::RELEASE_POLICY_IMMUTABLE),
            VaultError::ReleasePolicyLate => Self::bad_parameter(assumed::RELEASE_POLICY_LATE),
            VaultError::RotationPolicy { problem } => Self::bad_parameter(assumed::rotation_policy(problem)),
            VaultError::SecretTooLong { limit_bytes, actual_bytes } => {
                bad_parameter(assumed::secret_too_long(limit_bytes, actual_bytes))
            }
        }
    }
}

impl From<ServiceError> for ApiError {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Refused(refusal) => refusal.into(),
            failure @ (ServiceError::Crypto { .. } | ServiceError::Store { .. } | ServiceError::Task { .. }) => {
                tracing::error!(error = %chain(&failure), "an operation failed inside");
                Self::internal()
            }
        }
    }
}

impl From<BearerError> for ApiError {
    fn from(error: BearerError) -> Self {
        let message: Cow<'static, str> = match error {
            BearerError::Algorithm => assumed::TOKEN_ALGORITHM.into(),
            // Captured: Azure/go-autorest#525; a newer text adds the application's id.
            BearerError::Audience { expected, found } => {
                format!("AKV10022: Invalid audience. Expected {expected}, found: {found}.").into()
            }
            BearerError::Claims => assumed::TOKEN_CLAIMS.into(),
            // Captured: Azure/azure-sdk-for-python#27266.
            BearerError::Expired => "[TokenExpired] Error validating token: 'S2S12086'.".into(),
            // Captured: MicrosoftDocs/azure-docs#75410.
            BearerError::Issuer { expected, found } => {
                format!("AKV10032: Invalid issuer. Expected one of {}, found {found}.", expected.join(", ")).into()
            }
            BearerError::Malformed => assumed::TOKEN_MALFORMED.into(),
            BearerError::Missing => "AKV10000: Request is missing a Bearer or PoP token.".into(),
            BearerError::NotYetValid { not_before, now } => {
                assumed::token_not_yet_valid(&not_before.to_string(), &now.to_string()).into()
            }
            BearerError::Signature => assumed::TOKEN_SIGNATURE.into(),
            failure @ BearerError::SigningKey { .. } => {
                tracing::error!(error = %chain(&failure), "no token can be checked");
                return Self::internal();
            }
            BearerError::Tenant { expected, found } => assumed::token_tenant(&expected, &found).into(),
            // Captured: Azure-Samples/azuresandbox#188.
            BearerError::UnknownKey { header } => format!(
                "AKV10046: Unable to resolve the key used for signature validation. EncodedJwtHeader: '{header}'."
            )
            .into(),
        };
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", message)
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Broken => Self::bad_parameter(assumed::BODY_BROKEN),
            BodyError::TooLong => {
                let (status, message) = assumed::BODY_TOO_LONG;
                Self::new(status, "BadParameter", message)
            }
            BodyError::TooSlow => {
                let (status, code, message) = assumed::BODY_TOO_SLOW;
                Self::new(status, code, message)
            }
        }
    }
}

impl ApiError {
    /// A body of another kind than JSON.
    pub(super) fn content_type() -> Self {
        let (status, message) = assumed::CONTENT_TYPE;
        Self::new(status, "BadParameter", message)
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: ErrorBody<'a>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    innererror: Option<InnerErrorBody<'a>>,
}

#[derive(Serialize)]
struct InnerErrorBody<'a> {
    code: &'a str,
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::vault::{CryptoError, KeyOperation, RotationPolicyProblem};

    /// One line for the status, one for the body.
    async fn shown(error: ApiError) -> String {
        let response = error.into_reply().into_response();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        format!("{status}\n{}\n", String::from_utf8(body.to_vec()).unwrap())
    }

    async fn all(errors: impl IntoIterator<Item = ApiError>) -> String {
        let mut text = String::new();
        for error in errors {
            text += &shown(error).await;
        }
        text
    }

    #[tokio::test]
    async fn every_refusal_of_the_vault() {
        let name = || "kms".parse().unwrap();
        let version = || Some("00ab34cd56ef78901234567890abcdef".to_owned());
        let (key, secret) = (ObjectKind::Key, ObjectKind::Secret);
        let problems = [
            RotationPolicyProblem::ActionTwice,
            RotationPolicyProblem::ExpiryTooShort,
            RotationPolicyProblem::NoExpiry,
            RotationPolicyProblem::NotifyAfterCreate,
            RotationPolicyProblem::TriggerTooLate,
            RotationPolicyProblem::TriggerTooShort,
        ];
        let refusals = [
            VaultError::AlgorithmMismatch { algorithm: "ES256", key: "P-384" },
            VaultError::BackupUnreadable { kind: key },
            VaultError::BlockLength { algorithm: "A128CBC", block_bytes: 16, actual_bytes: 17 },
            VaultError::Crypto(CryptoError::Sign),
            VaultError::Decryption,
            VaultError::DeletedNotFound { kind: key, name: name() },
            VaultError::DeletedNotFound { kind: secret, name: name() },
            VaultError::DigestLength { algorithm: "RS256", expected_bytes: 32, actual_bytes: 20 },
            VaultError::Disabled { kind: key, operation: "decrypt" },
            VaultError::Disabled { kind: secret, operation: "get" },
            VaultError::EmptyValidity,
            VaultError::InvalidIv { algorithm: "A256GCM" },
            VaultError::KeyExpired { operation: "encrypt" },
            VaultError::KeyNotYetValid { operation: "wrapKey" },
            VaultError::NameHeldByDeleted { kind: key, name: name() },
            VaultError::NameHeldByDeleted { kind: secret, name: name() },
            VaultError::NameTaken { kind: key, name: name() },
            VaultError::NotExportable,
            VaultError::NotFound { kind: key, name: name(), version: None },
            VaultError::NotFound { kind: key, name: name(), version: version() },
            VaultError::NotFound { kind: secret, name: name(), version: None },
            VaultError::OperationNotPermitted { operation: KeyOperation::UnwrapKey },
            VaultError::OperationUnknown { operation: KeyOperation::Encrypt, kty: "EC" },
            VaultError::PlaintextTooLong { limit_bytes: 190, actual_bytes: 191 },
            VaultError::PurgeProtected,
            VaultError::ReleasePolicyImmutable,
            VaultError::ReleasePolicyLate,
            VaultError::SecretTooLong { limit_bytes: 25_600, actual_bytes: 25_601 },
        ];
        let refusals = refusals.into_iter().chain(problems.map(|problem| VaultError::RotationPolicy { problem }));
        insta::assert_snapshot!(all(refusals.map(ApiError::from)).await);
    }

    #[tokio::test]
    async fn every_refusal_of_a_token() {
        let moment = |text: &str| text.parse().unwrap();
        let text = |text: &str| text.to_owned();
        let refusals = [
            BearerError::Algorithm,
            BearerError::Audience {
                expected: text("https://vault.azure.net"),
                found: text("https://vault.azure.net/"),
            },
            BearerError::Claims,
            BearerError::Expired,
            BearerError::Issuer { expected: vec![text("https://sts.windows.net/a/")], found: text("https://evil/") },
            BearerError::Malformed,
            BearerError::Missing,
            BearerError::NotYetValid {
                not_before: moment("2026-01-02T00:00:00Z"),
                now: moment("2026-01-01T00:00:00Z"),
            },
            BearerError::Signature,
            BearerError::Tenant { expected: text("a"), found: text("b") },
            BearerError::UnknownKey { header: text("eyJhbGciOiJSUzI1NiJ9") },
        ];
        insta::assert_snapshot!(all(refusals.map(ApiError::from)).await);
    }

    #[tokio::test]
    async fn every_other_refusal() {
        let fault = |status, retry_after_seconds| {
            let verdict = Verdict::Refuse { status, code: None, inner_code: None, message: None, retry_after_seconds };
            ApiError::fault(verdict).unwrap()
        };
        let refusals = [
            ApiError::from(BodyError::Broken),
            ApiError::from(BodyError::TooLong),
            ApiError::from(BodyError::TooSlow),
            ApiError::content_type(),
            ApiError::not_emulated("Secrets are"),
            ApiError::no_such_vault("nobody.vault.azure.net", [&"kyanite".parse().unwrap()].into_iter()),
            ApiError::internal(),
            fault(401, None),
            fault(403, None),
            fault(408, None),
            fault(418, None),
            fault(429, Some(7)),
            fault(500, None),
            fault(503, None),
            fault(504, None),
        ];
        insta::assert_snapshot!(all(refusals).await);
    }

    #[tokio::test]
    async fn an_expired_token_answers_as_long_a_body_as_the_captured_one() {
        // The capture shows the text and `Content-Length: 96`.
        let body = shown(BearerError::Expired.into()).await;
        assert_eq!(body.lines().nth(1).unwrap().len(), 96);
    }

    #[test]
    fn a_fault_may_say_everything_itself() {
        let verdict = Verdict::Refuse {
            status: 503,
            code: Some("Gone".to_owned()),
            inner_code: Some("Inner".to_owned()),
            message: Some("text".to_owned()),
            retry_after_seconds: Some(3),
        };
        let mut reply = ApiError::fault(verdict).unwrap().into_reply();
        assert_eq!((reply.error_code(), reply.inner_code()), (Some("Gone"), Some("Inner")));
        assert_eq!(reply.headers_mut()[RETRY_AFTER], "3");
        assert!(ApiError::fault(Verdict::Proceed).is_none());
    }
}
