//! From a request to the verb that answers it.
//!
//! The order is upstream's: health before anything else, then who asks, then what, then how.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::LengthLimitError;
use tokio::time::{Instant, timeout};
use tower_http::catch_panic::CatchPanicLayer;
use uuid::Uuid;

use super::accept::Accept;
use super::delete_options::{BodyForm, DeleteOptions};
use super::path::Path;
use super::query::Query;
use super::reply::{Answer, Reply};
use super::respond::{Form, document};
use crate::core::Core;
use crate::metrics::RequestLabels;
use crate::object::decode::{self, Decoded};
use crate::resource::Resource;
use crate::status::ApiError;
use crate::table::TableOptions;
use crate::{auth, discovery, health, openapi, verbs};

/// A request for objects, read. Its `Debug` shows neither token nor body.
pub(crate) struct ApiRequest {
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl ApiRequest {
    /// The object in the body.
    ///
    /// # Errors
    ///
    /// 415 for a content type that is neither JSON nor protobuf, 400 for a body that is not such an object.
    pub(crate) fn object(&self, resource: Resource) -> Result<Decoded, ApiError> {
        let decoded = match self.form()? {
            BodyForm::Json => decode::object(resource, &self.body),
            BodyForm::Protobuf => decode::protobuf(resource, &self.body),
        };
        decoded.map_err(|error| ApiError::bad_request(error.to_string()))
    }

    /// The options of a delete, from the body or the query.
    ///
    /// # Errors
    ///
    /// 415 as [`ApiRequest::object`], 400 or 422 for options that make no sense.
    pub(crate) fn delete_options(&self) -> Result<DeleteOptions, ApiError> {
        let form = if self.body.is_empty() { BodyForm::Json } else { self.form()? };
        DeleteOptions::parse(&self.query, form, &self.body)
    }

    fn form(&self) -> Result<BodyForm, ApiError> {
        let content_type = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        match media_type.to_ascii_lowercase().as_str() {
            // Upstream takes a body without a type for its first format, which is JSON.
            "" | JSON => Ok(BodyForm::Json),
            PROTOBUF => Ok(BodyForm::Protobuf),
            _ => Err(ApiError::unsupported_media_type(&format!("{JSON}, {PROTOBUF}"))),
        }
    }
}

impl fmt::Debug for ApiRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiRequest").field("query", &self.query).finish_non_exhaustive()
    }
}

/// The service of one server.
pub(crate) fn router(core: Arc<Core>) -> Router {
    Router::new().fallback(handle).with_state(core).layer(CatchPanicLayer::custom(panicked))
}

async fn handle(State(core): State<Arc<Core>>, request: Request<Body>) -> Response {
    let started = Instant::now();
    let labels = labels(&request);
    let mut response = match route(&core, request).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    };
    if let Ok(id) = HeaderValue::from_str(&Uuid::new_v4().to_string()) {
        response.headers_mut().insert(AUDIT_ID, id);
    }
    core.tally.requests.fetch_add(1, Ordering::Relaxed);
    if response.status().is_server_error() {
        core.tally.server_errors.fetch_add(1, Ordering::Relaxed);
    }
    core.metrics.observe(labels, response.status().as_u16(), started.elapsed().as_secs_f64());
    response
}

async fn route(core: &Core, request: Request<Body>) -> Result<Response, ApiError> {
    let path = request.uri().path().to_owned();
    if !auth::is_public(&path) && core.authenticator.user(request.headers()).is_none() {
        return Err(ApiError::unauthorized());
    }
    if discovery::is_events(&path) && matches!(*request.method(), Method::GET | Method::HEAD) {
        let revision = core.store.revision().await.map_err(|error| error.for_client(Resource::Namespaces, ""))?;
        return Ok(document(JSON, &discovery::no_events(revision)));
    }
    if let Some(rest) = path.strip_prefix("/api/v1/").filter(|rest| !rest.is_empty()) {
        let path = Path::parse(rest).ok_or_else(ApiError::no_such_path)?;
        return objects(core, &path, request).await;
    }
    // Everything else is only read.
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if let Some((endpoint, check)) = health::Endpoint::parse(&path) {
        if !is_read {
            return Err(ApiError::method_not_allowed());
        }
        let query = Query::parse(request.uri())?;
        return Ok(health::answer(core, endpoint, check, &query).await);
    }
    match documents(core, &path, &Accept::parse(request.headers())) {
        None => Err(ApiError::no_such_path()),
        Some(_) if !is_read => Err(ApiError::method_not_allowed()),
        Some(answer) => answer,
    }
}

/// The answer for a path that is none of objects. `None` for one that this server does not have.
fn documents(core: &Core, path: &str, accept: &Accept) -> Option<Result<Response, ApiError>> {
    Some(match path.trim_end_matches('/') {
        "" => Ok(document(JSON, &discovery::root_paths())),
        at @ ("/api" | "/apis") => match accept.aggregated_discovery() {
            Some(version) => {
                Ok(document(discovery::aggregated_content_type(version), &discovery::aggregated(at, version)))
            }
            None if at == "/api" => json(accept, &discovery::api_versions()),
            None => json(accept, &discovery::api_groups()),
        },
        "/api/v1" => json(accept, &discovery::api_resources()),
        "/metrics" => metrics(core),
        "/openapi/v2" if openapi::v2::ACCEPTED.iter().any(|media_type| accept.names(media_type)) => {
            Ok(([(CONTENT_TYPE, openapi::v2::CONTENT_TYPE)], openapi::v2::protobuf()).into_response())
        }
        "/openapi/v2" => json(accept, &openapi::v2::document()),
        "/openapi/v3" => json(accept, &openapi::v3::index()),
        "/openapi/v3/api/v1" => json(accept, &openapi::v3::document()),
        "/version" => Ok(document(JSON, &discovery::version(&core.git_version))),
        _ => return None,
    })
}

/// Answers a request for objects.
async fn objects(core: &Core, path: &Path, request: Request<Body>) -> Result<Response, ApiError> {
    let query = Query::parse(request.uri())?;
    let accept = Accept::parse(request.headers());
    let shape = accept.shape().ok_or_else(ApiError::not_acceptable)?;
    let form = Form {
        shape,
        table: TableOptions::new(&core.clock, query.text("includeObject")),
        pretty: query.text("pretty").is_some_and(|value| value == "true" || value == "1"),
    };
    let (parts, body) = request.into_parts();
    let answer = async {
        let body = to_bytes(body, MAX_BODY_BYTES).await.map_err(|error| unread(&error))?;
        let request = ApiRequest { query, headers: parts.headers, body };
        verb(core, path, &parts.method, &request).await
    };
    let Ok(reply) = timeout(core.request_timeout, answer).await else {
        return Err(ApiError::timeout("request did not complete within the allotted timeout"));
    };
    let reply = reply?;
    if matches!(reply.answer, Answer::Watch(_)) {
        core.tally.watches.fetch_add(1, Ordering::Relaxed);
    }
    Ok(form.response(reply))
}

async fn verb(core: &Core, path: &Path, method: &Method, request: &ApiRequest) -> Result<Reply, ApiError> {
    match path {
        Path::Subresource(..) => Err(ApiError::no_such_path()),
        Path::Object(target, name) => match method.as_str() {
            "GET" | "HEAD" => verbs::get(core, target, name).await,
            "PUT" => verbs::update(core, target, name, request).await,
            "PATCH" => verbs::patch(core, target, name, request).await,
            "DELETE" => verbs::delete(core, target, name, request).await,
            _ => Err(ApiError::method_not_allowed()),
        },
        Path::Collection(target) => {
            let is_one_place = target.namespace.is_some() || !target.resource.is_namespaced();
            match method.as_str() {
                "GET" | "HEAD" if request.query.flag("watch") => verbs::watch(core, target, request).await,
                "GET" | "HEAD" => verbs::list(core, target, request).await,
                "POST" if is_one_place => verbs::create(core, target, request).await,
                "DELETE" if is_one_place && target.resource != Resource::Namespaces => {
                    verbs::delete_collection(core, target, request).await
                }
                _ => Err(ApiError::method_not_allowed()),
            }
        }
    }
}

fn metrics(core: &Core) -> Result<Response, ApiError> {
    let text = core.metrics.render().map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

fn json(accept: &Accept, body: &serde_json::Value) -> Result<Response, ApiError> {
    if accept.takes_json() { Ok(document(JSON, body)) } else { Err(ApiError::not_acceptable()) }
}

fn labels(request: &Request<Body>) -> RequestLabels {
    let query = Query::parse(request.uri()).unwrap_or_default();
    let path = request.uri().path().strip_prefix("/api/v1/").and_then(Path::parse);
    let is_collection = matches!(path, Some(Path::Collection(_)));
    let verb = match request.method().as_str() {
        "GET" | "HEAD" if is_collection && query.flag("watch") => "WATCH",
        "GET" | "HEAD" if is_collection => "LIST",
        "GET" | "HEAD" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" if is_collection => "DELETECOLLECTION",
        "DELETE" => "DELETE",
        _ => "other",
    };
    let scope = match &path {
        None => "",
        Some(Path::Collection(target)) if target.namespace.is_none() => "cluster",
        Some(Path::Collection(_)) => "namespace",
        Some(Path::Object(..) | Path::Subresource(..)) => "resource",
    };
    RequestLabels {
        verb,
        resource: path.map(|path| path.target().resource),
        scope,
        dry_run: query.text("dryRun") == Some("All"),
    }
}

/// A body that is longer than allowed, or that did not come to its end.
fn unread(error: &axum::Error) -> ApiError {
    if std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<LengthLimitError>) {
        ApiError::too_large(&format!("limit is {MAX_BODY_BYTES}"))
    } else {
        ApiError::bad_request("the body of the request did not come to its end")
    }
}

/// A bug must not look like anything else, and must not end the connection.
fn panicked(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    tracing::error!("a request made this server panic: this is a bug");
    let mut response = ApiError::internal("this server failed: its log has the cause").into_response();
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");
/// `MaxRequestBodyBytes` of the generic server: 3 MiB.
const MAX_BODY_BYTES: usize = 3 * 1024 * 1024;
