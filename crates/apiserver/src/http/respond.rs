//! Answers to HTTP responses.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WARNING, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use super::accept::Shape;
use super::reply::{Answer, Reply};
use crate::object::{ListItem, Object};
use crate::resource::Resource;
use crate::status::ApiError;
use crate::store::Page;
use crate::table::{Table, TableOptions};

/// How to write an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub(crate) shape: Shape,
    pub(crate) table: TableOptions,
    /// Indented, for people.
    pub(crate) pretty: bool,
}

impl Form {
    /// Writes `reply`.
    pub(crate) fn response(self, reply: Reply) -> Response {
        let Reply { answer, warnings } = reply;
        let mut response = match self.render(answer) {
            Ok(response) => response,
            Err(error) => ApiError::internal(error.to_string()).into_response(),
        };
        for warning in warnings {
            let text = warning.replace(['\r', '\n'], " ").replace('\\', "\\\\").replace('"', "\\\"");
            if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{text}\"")) {
                response.headers_mut().append(WARNING, value);
            }
        }
        response
    }

    /// One object in the wanted shape.
    pub(crate) fn object(self, object: &Object) -> Result<Value, serde_json::Error> {
        match self.shape {
            Shape::Object => object.to_json(),
            Shape::PartialMetadata(version) => partial(object, version),
            Shape::Table(version) => {
                let table = Table { resource: object.resource(), version, options: self.table };
                table.of_objects(std::slice::from_ref(object), &json!({"resourceVersion": object.resource_version()}))
            }
        }
    }

    fn render(self, answer: Answer) -> Result<Response, serde_json::Error> {
        match answer {
            Answer::List(resource, page) => self.list(resource, &page),
            Answer::Object(code, object) => self.json(code, &self.object(&object)?),
            Answer::Status(status) => self.json(StatusCode::OK, &status),
            Answer::Watch(events) => Ok((
                [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, NO_CACHE)],
                Body::from_stream(events.into_stream(self)),
            )
                .into_response()),
        }
    }

    fn list(self, resource: Resource, page: &Page) -> Result<Response, serde_json::Error> {
        let mut metadata = json!({"resourceVersion": page.revision.to_string()});
        if let (Some(token), Value::Object(metadata)) = (&page.continuation, &mut metadata) {
            metadata.insert("continue".into(), token.as_str().into());
            if let Some(remaining) = page.remaining {
                metadata.insert("remainingItemCount".into(), remaining.into());
            }
        }
        let body = match self.shape {
            Shape::Object => {
                let list = List {
                    api_version: "v1",
                    kind: resource.list_kind(),
                    metadata: &metadata,
                    items: page.items.iter().map(ListItem).collect(),
                };
                return self.json(StatusCode::OK, &list);
            }
            Shape::PartialMetadata(version) => json!({
                "apiVersion": format!("meta.k8s.io/{version}"),
                "kind": "PartialObjectMetadataList",
                "metadata": metadata,
                "items": page.items.iter().map(|object| partial(object, version)).collect::<Result<Vec<_>, _>>()?,
            }),
            Shape::Table(version) => {
                Table { resource, version, options: self.table }.of_objects(&page.items, &metadata)?
            }
        };
        self.json(StatusCode::OK, &body)
    }

    fn json(self, code: StatusCode, body: &impl Serialize) -> Result<Response, serde_json::Error> {
        let mut bytes = if self.pretty { serde_json::to_vec_pretty(body) } else { serde_json::to_vec(body) }?;
        bytes.push(b'\n');
        Ok((code, [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, NO_CACHE)], bytes).into_response())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    kind: &'a str,
    api_version: &'a str,
    metadata: &'a Value,
    items: Vec<ListItem<'a>>,
}

/// `PartialObjectMetadata` of an object.
pub(crate) fn partial(object: &Object, version: &str) -> Result<Value, serde_json::Error> {
    Ok(json!({
        "apiVersion": format!("meta.k8s.io/{version}"),
        "kind": "PartialObjectMetadata",
        "metadata": serde_json::to_value(object.metadata())?,
    }))
}

/// A JSON document that is no object of the API.
pub(crate) fn document(content_type: &'static str, body: &Value) -> Response {
    ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, NO_CACHE)], body.to_string()).into_response()
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(self.status()).unwrap_or_default();
        let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, NO_CACHE)];
        let mut response = (self.code(), headers, body).into_response();
        if let Some(seconds) = self.retry_after_seconds() {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        if self.code() == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

const NO_CACHE: &str = "no-cache, private";
