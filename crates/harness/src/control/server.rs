//! The control door's HTTP side.
//!
//! | request | does |
//! |---|---|
//! | `GET /status` | tells everything |
//! | `POST /clock/advance {"seconds": n}` | moves the clock |
//! | `POST /faults` a fault, `DELETE /faults`, `DELETE /faults/{id}` | the vault's faults |
//! | `POST /parts/{part}/stop`, `start`, `restart` | one part alone |
//! | `GET /audit`, `GET /events` | the vaults' audit log and Event Grid's events, oldest first |
//! | `POST /vault` a [`ControlCommand`] | principals, roles, policies, network rules, limits |
//! | `POST /shutdown` | ends the stack |

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use keyvault::{ControlCommand, Fault, FaultId};
use tokio::net::TcpListener;

use super::wire::{Advance, Advanced, Applied, Injected, Refusal};
use crate::etcd::chain;
use crate::stack::{Part, Stack, StackError, Token, WeakStack};

/// Serves the control door of `stack` for as long as it is polled.
pub(crate) async fn serve(listener: TcpListener, stack: WeakStack, token: Arc<Token>) {
    let router = Router::new()
        .route("/status", get(status))
        .route("/clock/advance", post(advance))
        .route("/faults", post(inject).delete(clear_all))
        .route("/faults/{id}", delete(clear))
        .route("/audit", get(audit))
        .route("/events", get(events))
        .route("/vault", post(command))
        .route("/parts/{part}/{action}", post(act))
        .route("/shutdown", post(end))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(middleware::from_fn_with_state(token, authenticate))
        .with_state(Door { stack });
    if let Err(error) = axum::serve(listener, router).await {
        tracing::warn!(%error, "the control door ended");
    }
}

/// What the handlers reach the stack by. It must not keep the stack alive: the stack keeps the door.
#[derive(Clone)]
struct Door {
    stack: WeakStack,
}

impl Door {
    fn stack(&self) -> Result<Stack, Refused> {
        self.stack.upgrade().ok_or_else(|| Refused::new(StatusCode::GONE, "the stack is about to end"))
    }
}

/// An answer that is no success.
struct Refused {
    status: StatusCode,
    refusal: Refusal,
}

impl Refused {
    fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, refusal: Refusal { error: error.into(), help: None } }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, Json(self.refusal)).into_response()
    }
}

impl From<StackError> for Refused {
    fn from(error: StackError) -> Self {
        let status = match &error {
            StackError::Clock(_) => StatusCode::BAD_REQUEST,
            StackError::NoPart { .. } => StatusCode::NOT_FOUND,
            _ => StatusCode::CONFLICT,
        };
        Self { status, refusal: Refusal { error: chain(&error), help: error.help() } }
    }
}

impl From<JsonRejection> for Refused {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<PathRejection> for Refused {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

async fn authenticate(State(token): State<Arc<Token>>, request: Request, next: Next) -> Response {
    let offered = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match offered.and_then(|value| value.strip_prefix("Bearer ")) {
        Some(offered) if token.matches(offered) => next.run(request).await,
        _ => {
            let error = "the bearer token is not this stack's: it is in the file that `control.token_file` of the ready file names";
            Refused::new(StatusCode::UNAUTHORIZED, error).into_response()
        }
    }
}

async fn status(State(door): State<Door>) -> Result<Response, Refused> {
    Ok(Json(door.stack()?.status().await).into_response())
}

async fn advance(State(door): State<Door>, body: Result<Json<Advance>, JsonRejection>) -> Result<Response, Refused> {
    let Json(Advance { seconds }) = body?;
    let now = door.stack()?.advance_clock(Duration::from_secs(seconds))?;
    Ok(Json(Advanced { now }).into_response())
}

async fn inject(State(door): State<Door>, body: Result<Json<Fault>, JsonRejection>) -> Result<Response, Refused> {
    let Json(fault) = body?;
    let id = door.stack()?.vault_control().await?.inject(fault);
    let id = id.map_err(|error| Refused::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    Ok(Json(Injected { id }).into_response())
}

async fn clear(State(door): State<Door>, id: Result<Path<FaultId>, PathRejection>) -> Result<Response, Refused> {
    let Path(id) = id?;
    if door.stack()?.vault_control().await?.clear(id) {
        Ok(StatusCode::NO_CONTENT.into_response())
    } else {
        Err(Refused::new(StatusCode::NOT_FOUND, "there is no fault with this id"))
    }
}

async fn audit(State(door): State<Door>) -> Result<Response, Refused> {
    Ok(Json(door.stack()?.vault_control().await?.audit(usize::MAX)).into_response())
}

async fn events(State(door): State<Door>) -> Result<Response, Refused> {
    Ok(Json(door.stack()?.vault_control().await?.events(usize::MAX)).into_response())
}

async fn command(
    State(door): State<Door>,
    body: Result<Json<ControlCommand>, JsonRejection>,
) -> Result<Response, Refused> {
    let Json(command) = body?;
    let done = door.stack()?.vault_control().await?.apply(command);
    let assignment = done.map_err(|error| Refused::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    Ok(Json(Applied { assignment }).into_response())
}

async fn clear_all(State(door): State<Door>) -> Result<Response, Refused> {
    door.stack()?.vault_control().await?.clear_all();
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn act(
    State(door): State<Door>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Refused> {
    let Path((part, action)) = path?;
    let part: Part = part.parse().map_err(|error| Refused::new(StatusCode::NOT_FOUND, format!("{error}")))?;
    let stack = door.stack()?;
    match action.as_str() {
        "restart" => stack.restart(part).await?,
        "start" => stack.start_part(part).await?,
        "stop" => stack.stop_part(part).await?,
        _ => return Err(Refused::new(StatusCode::NOT_FOUND, format!("`{action}` is none of restart, start, stop"))),
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn end(State(door): State<Door>) -> Result<Response, Refused> {
    door.stack()?.request_shutdown();
    Ok(StatusCode::ACCEPTED.into_response())
}

async fn unknown(request: Request) -> Refused {
    let (method, path) = (request.method(), request.uri().path());
    Refused::new(StatusCode::NOT_FOUND, format!("the control door knows no {method} {path}"))
}
