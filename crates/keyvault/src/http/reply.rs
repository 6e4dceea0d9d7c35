//! An answer before it is sent.

use std::any::Any;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use crate::chain::chain;
use crate::http::api_error::ApiError;

/// An answer, with what the journal wants to know of it.
#[derive(Debug)]
pub(crate) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    error_code: Option<String>,
    inner_code: Option<String>,
}

impl Reply {
    /// An answer with a JSON body.
    pub(crate) fn json<T: Serialize>(status: StatusCode, body: &T) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => Self::bytes(status, Bytes::from(body)),
            Err(error) => {
                // No shape of this crate can fail: all its maps have text for keys.
                tracing::error!(error = %chain(&error), "an answer could not be written as JSON");
                Self::empty(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }

    /// An answer whose body is JSON already.
    pub(super) fn bytes(status: StatusCode, body: Bytes) -> Self {
        let mut reply = Self::empty(status);
        reply.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        reply.body = body;
        reply
    }

    /// An answer without a body.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new(), error_code: None, inner_code: None }
    }

    /// Tells the journal `error.code`.
    pub(crate) fn with_error_code(mut self, code: impl Into<String>) -> Self {
        self.error_code = Some(code.into());
        self
    }

    /// Tells the journal `error.innererror.code`.
    pub(super) fn with_inner_code(mut self, code: Option<String>) -> Self {
        self.inner_code = code;
        self
    }

    pub(crate) fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn error_code(&self) -> Option<&str> {
        self.error_code.as_deref()
    }

    pub(super) fn inner_code(&self) -> Option<&str> {
        self.inner_code.as_deref()
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// The answer to a request whose handling panicked.
pub(crate) fn panicked(payload: Box<dyn Any + Send>) -> Response<Full<Bytes>> {
    let text = match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast_ref::<&str>().map_or_else(String::new, ToString::to_string),
    };
    tracing::error!(panic = text, "a request's handling panicked; please report this as a bug");
    ApiError::internal().into_reply().into_response()
}
