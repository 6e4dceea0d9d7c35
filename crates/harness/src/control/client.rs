//! The other side of the control door, for the command line and for tests.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use keyvault::{AuditRecord, Fault, FaultId, GridEvent};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use thiserror::Error;
use zeroize::Zeroizing;

use super::status::Status;
use super::wire::{Advance, Advanced, Injected, Refusal};
use crate::ready::ReadyFile;
use crate::stack::Part;

/// A client of a running stack's control door.
pub struct ControlClient {
    http: Client,
    url: String,
    token: Zeroizing<String>,
}

impl ControlClient {
    /// A client of the stack that `ready` describes.
    ///
    /// # Errors
    ///
    /// [`ControlError::NoDoor`] for a part that runs alone and has none; [`ControlError::Token`] if the token cannot be
    /// read.
    pub fn new(ready: &ReadyFile) -> Result<Self, ControlError> {
        let door = ready.control.as_ref().ok_or(ControlError::NoDoor)?;
        let token = fs::read_to_string(&door.token_file);
        let token = token.map_err(|source| ControlError::Token { path: door.token_file.clone(), source })?;
        // The door is on this machine: no proxy, whatever the environment says.
        let http =
            Client::builder().no_proxy().connect_timeout(CONNECT_TIMEOUT).build().map_err(ControlError::Unreachable)?;
        Ok(Self { http, url: door.url.clone(), token: Zeroizing::new(token.trim().to_owned()) })
    }

    /// Everything the stack says of itself.
    ///
    /// # Errors
    ///
    /// [`ControlError`].
    pub async fn status(&self) -> Result<Status, ControlError> {
        json(send(self.request(Method::GET, "/status")).await?).await
    }

    /// Moves the stack's clock forward and returns what it shows then.
    ///
    /// # Errors
    ///
    /// [`ControlError`]; [`ControlError::Refused`] past the year 9999.
    pub async fn advance(&self, by: Duration) -> Result<Timestamp, ControlError> {
        let body = Advance { seconds: by.as_secs() };
        let advanced: Advanced = json(send(self.request(Method::POST, "/clock/advance").json(&body)).await?).await?;
        Ok(advanced.now)
    }

    /// Injects a fault into the vault.
    ///
    /// # Errors
    ///
    /// [`ControlError`].
    pub async fn inject(&self, fault: &Fault) -> Result<FaultId, ControlError> {
        let injected: Injected = json(send(self.request(Method::POST, "/faults").json(fault)).await?).await?;
        Ok(injected.id)
    }

    /// Clears the vault's faults: the one named, or all.
    ///
    /// # Errors
    ///
    /// [`ControlError`].
    pub async fn clear(&self, id: Option<FaultId>) -> Result<(), ControlError> {
        let path = match id.map(|id| serde_json::json!(id)) {
            Some(id) => format!("/faults/{id}"),
            None => "/faults".to_owned(),
        };
        send(self.request(Method::DELETE, &path)).await.map(drop)
    }

    /// The vaults' audit log: the latest 10,000 records, oldest first.
    ///
    /// # Errors
    ///
    /// [`ControlError`].
    pub async fn audit(&self) -> Result<Vec<AuditRecord>, ControlError> {
        json(send(self.request(Method::GET, "/audit")).await?).await
    }

    /// The vaults' events as Event Grid would deliver them: the latest 10,000, oldest first.
    ///
    /// # Errors
    ///
    /// [`ControlError`].
    pub async fn events(&self) -> Result<Vec<GridEvent>, ControlError> {
        json(send(self.request(Method::GET, "/events")).await?).await
    }

    /// Stops a part.
    ///
    /// # Errors
    ///
    /// [`ControlError`].
    pub async fn stop(&self, part: Part) -> Result<(), ControlError> {
        self.act(part, "stop").await
    }

    /// Starts a part that was stopped.
    ///
    /// # Errors
    ///
    /// [`ControlError`].
    pub async fn start(&self, part: Part) -> Result<(), ControlError> {
        self.act(part, "start").await
    }

    /// Stops a part and starts it again, on the same address.
    ///
    /// # Errors
    ///
    /// [`ControlError`].
    pub async fn restart(&self, part: Part) -> Result<(), ControlError> {
        self.act(part, "restart").await
    }

    /// Ends the stack; it is gone a moment later.
    ///
    /// # Errors
    ///
    /// [`ControlError`].
    pub async fn shutdown(&self) -> Result<(), ControlError> {
        send(self.request(Method::POST, "/shutdown")).await.map(drop)
    }

    async fn act(&self, part: Part, action: &str) -> Result<(), ControlError> {
        send(self.request(Method::POST, &format!("/parts/{part}/{action}"))).await.map(drop)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(self.token.as_str())
    }
}

impl std::fmt::Debug for ControlClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControlClient").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Why a stack cannot be controlled.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ControlError {
    /// An answer that is not the control door's.
    #[error("understand the stack's answer")]
    Answer(#[source] reqwest::Error),
    /// The ready file names none.
    #[error("find the control door: the ready file names none (a part that runs alone has none)")]
    NoDoor,
    /// The stack refuses.
    #[error("have the stack do it: {error}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// Its reason.
        error: String,
        /// What to do next, if it says so.
        help: Option<String>,
    },
    /// The token's file cannot be read.
    #[error("read the control door's token in {}", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The stack does not answer.
    #[error("reach the stack")]
    Unreachable(#[source] reqwest::Error),
}

impl ControlError {
    /// What to do next, where there is something to do.
    pub fn help(&self) -> Option<&str> {
        match self {
            Self::Refused { help, .. } => help.as_deref(),
            Self::Unreachable(_) => Some("it has ended, or is about to: start one with kyanite up"),
            _ => None,
        }
    }
}

async fn send(request: RequestBuilder) -> Result<Response, ControlError> {
    let answer = request.send().await.map_err(ControlError::Unreachable)?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let Refusal { error, help } = json(answer).await?;
    Err(ControlError::Refused { status, error, help })
}

async fn json<T: DeserializeOwned>(answer: Response) -> Result<T, ControlError> {
    answer.json().await.map_err(ControlError::Answer)
}

/// On loopback a connection is made at once or never.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
