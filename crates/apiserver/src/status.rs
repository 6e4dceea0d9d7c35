//! Errors as clients see them: `meta/v1.Status`.
//!
//! Each constructor is one of `apimachinery/pkg/api/errors`, with its code, reason, message and details. Inner modules
//! have their own errors; they become an [`ApiError`] where a request is answered, once.

use http::StatusCode;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ListMeta, Status, StatusCause, StatusDetails};

use crate::managed_fields::Conflicts;
use crate::resource::Resource;
use crate::validation::FieldProblem;

/// A refusal, ready to be sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ApiError {
    status: Box<Status>,
}

impl ApiError {
    pub(crate) fn already_exists(resource: Resource, name: &str) -> Self {
        Self::new(StatusCode::CONFLICT, "AlreadyExists", format!("{} {name:?} already exists", resource.plural()))
            .about(resource.plural(), name)
    }

    /// Eight generated names were all taken.
    pub(crate) fn generated_name_exists(resource: Resource, name: &str) -> Self {
        let message = format!(
            "{} {name:?} already exists, the server was not able to generate a unique name for the object",
            resource.plural()
        );
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message).about(resource.plural(), name).retry_after(1)
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message.into())
    }

    /// `subject` is the resource, or the kind where upstream is inconsistent (preconditions of a delete).
    pub(crate) fn conflict(subject: &str, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {subject} {name:?}: {why}");
        Self::new(StatusCode::CONFLICT, "Conflict", message).about(subject, name)
    }

    /// An apply that would change fields of other managers.
    pub(crate) fn apply_conflict(conflicts: &Conflicts) -> Self {
        let causes = conflicts.causes().map(|(message, field)| StatusCause {
            reason: Some("FieldManagerConflict".into()),
            message: Some(message),
            field: Some(field),
        });
        Self::new(StatusCode::CONFLICT, "Conflict", conflicts.to_string()).caused_by(causes.collect())
    }

    /// The object was changed since the client read it.
    pub(crate) fn modified(resource: Resource, name: &str) -> Self {
        Self::conflict(resource.plural(), name, OBJECT_MODIFIED)
    }

    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message.into())
    }

    /// An expired list that may be gone on with by another token.
    pub(crate) fn expired_with_continue(message: impl Into<String>, token: String) -> Self {
        let mut error = Self::expired(message);
        error.status.metadata.continue_ = Some(token);
        error
    }

    pub(crate) fn forbidden(resource: Resource, name: &str, why: &str) -> Self {
        let message = format!("{} {name:?} is forbidden: {why}", resource.plural());
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).about(resource.plural(), name)
    }

    /// Something inside failed; `text` is upstream's, for clients.
    pub(crate) fn internal(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", format!("Internal error occurred: {text}"))
            .caused_by(vec![StatusCause { message: Some(text), ..StatusCause::default() }])
    }

    /// The object breaks rules; every broken rule is one cause.
    pub(crate) fn invalid(kind: &str, group: &str, name: &str, problems: &[FieldProblem]) -> Self {
        let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let mut texts: Vec<String> = Vec::new();
        for problem in problems {
            let text = problem.to_string();
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let joined = match texts.as_slice() {
            [only] => only.clone(),
            several => format!("[{}]", several.join(", ")),
        };
        let message = format!("{qualified} {name:?} is invalid: {joined}");
        let causes = problems
            .iter()
            .map(|problem| StatusCause {
                reason: Some(problem.reason().into()),
                message: Some(problem.body()),
                field: Some(problem.field().into()),
            })
            .collect();
        let mut error =
            Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message).about(kind, name).caused_by(causes);
        if !group.is_empty() {
            error.details().group = Some(group.into());
        }
        error
    }

    /// A path that exists, asked with a method that it has not.
    pub(crate) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message.into()).with_details()
    }

    pub(crate) fn namespace_terminating(resource: Resource, name: &str, namespace: &str) -> Self {
        let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
        Self::forbidden(resource, name, &why).caused_by(vec![StatusCause {
            reason: Some("NamespaceTerminating".into()),
            message: Some(format!("namespace {namespace} is being terminated")),
            field: Some("metadata.namespace".into()),
        }])
    }

    pub(crate) fn not_acceptable() -> Self {
        let message = "only the following media types are accepted: application/json";
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message.into())
    }

    pub(crate) fn not_found(resource: Resource, name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", format!("{} {name:?} not found", resource.plural()))
            .about(resource.plural(), name)
    }

    /// A path that this server does not have.
    pub(crate) fn no_such_path() -> Self {
        let message = "the server could not find the requested resource";
        Self::new(StatusCode::NOT_FOUND, "NotFound", message.into()).with_details()
    }

    /// An error of the storage that upstream passes on as it is: no reason, only a text.
    pub(crate) fn without_reason(message: impl Into<String>) -> Self {
        let mut error = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "", message.into());
        error.status.reason = None;
        error
    }

    pub(crate) fn timeout(message: &str) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", format!("Timeout: {message}")).with_details()
    }

    /// A list or watch that asks for a revision of the future.
    pub(crate) fn too_large_resource_version(asked: i64, current: i64) -> Self {
        Self::timeout(&format!("Too large resource version: {asked}, current: {current}")).retry_after(1).caused_by(
            vec![StatusCause {
                reason: Some("ResourceVersionTooLarge".into()),
                message: Some("Too large resource version".into()),
                field: None,
            }],
        )
    }

    /// A body, or what it asks for, is over a limit.
    pub(crate) fn too_large(why: &str) -> Self {
        let message = format!("Request entity is too large: {why}");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized".into())
    }

    /// A JSON patch that does not apply; upstream tells no more.
    pub(crate) fn unprocessable() -> Self {
        let message = "the server rejected our request due to an error in our request";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message.into()).with_details()
    }

    pub(crate) fn unsupported_media_type(accepted: &str) -> Self {
        let message =
            format!("the body of the request was in an unknown format - accepted media types include: {accepted}");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    /// Whether this says that there is no such object.
    pub(crate) fn is_absence_of(&self, resource: Resource, name: &str) -> bool {
        *self == Self::not_found(resource, name)
    }

    /// Whether this says that there is such an object already.
    pub(crate) fn is_existence(&self) -> bool {
        self.status.reason.as_deref() == Some("AlreadyExists")
    }

    /// The HTTP status code.
    pub(crate) fn code(&self) -> StatusCode {
        self.status
            .code
            .and_then(|code| u16::try_from(code).ok())
            .and_then(|code| StatusCode::from_u16(code).ok())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The body.
    pub(crate) fn status(&self) -> &Status {
        &self.status
    }

    /// For `Retry-After`.
    pub(crate) fn retry_after_seconds(&self) -> Option<i32> {
        self.status.details.as_ref().and_then(|details| details.retry_after_seconds)
    }

    fn new(code: StatusCode, reason: &str, message: String) -> Self {
        Self {
            status: Box::new(Status {
                code: Some(i32::from(code.as_u16())),
                details: None,
                message: Some(message),
                metadata: ListMeta::default(),
                reason: Some(reason.into()),
                status: Some("Failure".into()),
            }),
        }
    }

    fn about(mut self, kind: &str, name: &str) -> Self {
        let details = self.details();
        details.kind = Some(kind.into());
        if !name.is_empty() {
            details.name = Some(name.into());
        }
        self
    }

    fn caused_by(mut self, causes: Vec<StatusCause>) -> Self {
        if !causes.is_empty() {
            self.details().causes = Some(causes);
        }
        self
    }

    fn retry_after(mut self, seconds: i32) -> Self {
        self.details().retry_after_seconds = Some(seconds);
        self
    }

    fn with_details(mut self) -> Self {
        self.details();
        self
    }

    fn details(&mut self) -> &mut StatusDetails {
        self.status.details.get_or_insert_default()
    }
}

/// The answer to a delete that left nothing to show.
pub(crate) fn deleted(resource: Resource, name: &str, uid: &str) -> Status {
    Status {
        details: Some(StatusDetails {
            kind: Some(resource.plural().into()),
            name: Some(name.into()),
            uid: Some(uid.into()),
            ..StatusDetails::default()
        }),
        status: Some("Success".into()),
        ..Status::default()
    }
}

/// Upstream's `OptimisticLockErrorMsg`.
pub(crate) const OBJECT_MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";
