//! Makes an object from the body that the REST API takes for it, without a caller.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use crate::emulator::LiveVault;
use crate::http::api_error::ApiError;
use crate::http::api_version::ApiVersion;
use crate::http::host::CallerHost;
use crate::http::inbound::Inbound;
use crate::http::route::{Command, Route};
use crate::http::view::VaultView;
use crate::vault::ObjectKind;

/// Makes a key or a secret in a vault.
///
/// # Errors
///
/// The message of the vault's refusal.
pub(crate) async fn plant(vault: &Arc<LiveVault>, kind: ObjectKind, name: &str, body: &Value) -> Result<(), String> {
    let made = make(vault, kind, name, body).await;
    made.map_err(|refusal| refusal.into_reply().error_message().unwrap_or_default().to_owned())
}

async fn make(vault: &Arc<LiveVault>, kind: ObjectKind, name: &str, body: &Value) -> Result<(), ApiError> {
    let (method, path) = match kind {
        ObjectKind::Key if body.get("key").is_none() => (Method::POST, format!("/keys/{name}/create")),
        ObjectKind::Key => (Method::PUT, format!("/keys/{name}")),
        ObjectKind::Secret => (Method::PUT, format!("/secrets/{name}")),
    };
    let host = format!("{}.{}", vault.name(), vault.kind().dns_suffix());
    let host = CallerHost::parse(&host).ok_or_else(ApiError::internal)?;
    let mut inbound = Inbound::given(method, &path, Bytes::from(body.to_string()));
    let version = ApiVersion::parse(Some(NEWEST))?;
    let route = Route::parse(inbound.method(), inbound.segments())?;
    let command = Command::read(route, &mut inbound).await?;
    VaultView { vault, host: &host, version: &version }.carry_out(command).await.map(drop)
}

/// The api-version whose bodies are taken.
const NEWEST: &str = "2025-07-01";
