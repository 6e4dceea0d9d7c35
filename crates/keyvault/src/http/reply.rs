//! An answer before it is sent.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use serde::Serialize;

use crate::chain::chain;
use crate::http::api_error::ApiError;

/// An answer, with what the journal wants to know of it.
pub(crate) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    error_code: Option<String>,
    inner_code: Option<String>,
    error_message: Option<String>,
    /// How much of the body is sent, if not all.
    bytes: Option<usize>,
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
        Self {
            status,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            error_code: None,
            inner_code: None,
            error_message: None,
            bytes: None,
        }
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

    /// Tells the audit log `error.message`.
    pub(super) fn with_error_message(mut self, message: impl Into<String>) -> Self {
        self.error_message = Some(message.into());
        self
    }

    pub(super) fn error_message(&self) -> Option<&str> {
        self.error_message.as_deref()
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

    /// Breaks the answer off after so many bytes of its body.
    pub(super) fn truncated(mut self, bytes: Option<usize>) -> Self {
        self.bytes = bytes.or(self.bytes);
        self
    }

    pub(super) fn into_response(self) -> Response<ReplyBody> {
        let body = match self.bytes {
            None => ReplyBody::Whole(Full::new(self.body)),
            Some(bytes) => {
                let announced = self.body.len();
                ReplyBody::Broken { left: Some(self.body.slice(..bytes.min(announced))), announced, flushed: false }
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum ReplyBody {
    /// Its beginning, and then an error, which breaks the connection off.
    Broken {
        /// What has not been sent of the beginning.
        left: Option<Bytes>,
        /// The length of the whole.
        announced: usize,
        /// Whether the server was given the chance to send what it has before the error comes.
        flushed: bool,
    },
    Whole(Full<Bytes>),
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match &mut *self {
            Self::Broken { left, flushed, .. } => match left.take() {
                Some(left) => Poll::Ready(Some(Ok(Frame::data(left)))),
                None if *flushed => Poll::Ready(Some(Err(BrokenOff))),
                None => {
                    *flushed = true;
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
            },
            Self::Whole(whole) => {
                let Poll::Ready(frame) = Pin::new(whole).poll_frame(context) else { return Poll::Pending };
                Poll::Ready(frame.map(|frame| match frame {
                    Ok(frame) => Ok(frame),
                    Err(never) => match never {},
                }))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Broken { .. } => false,
            Self::Whole(whole) => whole.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Broken { announced, .. } => SizeHint::with_exact(u64::try_from(*announced).unwrap_or(u64::MAX)),
            Self::Whole(whole) => whole.size_hint(),
        }
    }
}

/// An injected fault breaks the answer off.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("send the whole answer: an injected fault breaks it off")]
pub(crate) struct BrokenOff;

/// Not the body: it may carry a token or a plaintext.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("status", &self.status).finish_non_exhaustive()
    }
}

/// The answer to a request whose handling panicked.
pub(crate) fn panicked(payload: Box<dyn Any + Send>) -> Response<ReplyBody> {
    let text = match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast_ref::<&str>().map_or_else(String::new, ToString::to_string),
    };
    tracing::error!(panic = text, "a request's handling panicked; please report this as a bug");
    ApiError::internal().into_reply().into_response()
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_panic_answers_in_the_services_shape() {
        let payloads: [Box<dyn Any + Send>; 3] = [Box::new("text"), Box::new(String::from("text")), Box::new(7)];
        for payload in payloads {
            let response = panicked(payload);
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["error"]["code"], "InternalServerError");
        }
    }
}
