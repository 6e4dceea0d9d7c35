//! Why a request is not passed on, in one sentence that says what to do next.

use std::io;
use std::net::SocketAddr;

use http::StatusCode;

use crate::routes::{Destination, Routes};

/// Why a request is not passed on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// A plain request for a name that only has TLS, or an `https://` target without a tunnel.
    #[error("Kyanite's gateway reads no TLS: ask for {url} with CONNECT, as clients do when HTTPS_PROXY is set")]
    NeedsTunnel { url: String },
    /// Not a proxy request.
    #[error(
        "this is Kyanite's gateway, a forward proxy: set HTTPS_PROXY and HTTP_PROXY to its address instead of opening it (it answers for {answered})"
    )]
    NotProxied { answered: String },
    /// No host, or no usable port.
    #[error("Kyanite's gateway cannot tell the host and port of {target:?}: ask for host:port")]
    Target { target: String },
    /// None of our names.
    #[error(
        "Kyanite's gateway does not answer for {destination} and lets nothing leave this machine (it answers for {answered}); to reach {host} directly, add it to NO_PROXY",
        host = destination.host
    )]
    Unknown { destination: Destination, answered: String },
    /// One of our names, but nothing listens for it.
    #[error(
        "Kyanite's gateway cannot reach the emulator of {destination} at {address} ({cause}): is that part running?"
    )]
    Unreachable { destination: Destination, address: SocketAddr, cause: String },
}

impl Refusal {
    pub(crate) fn unknown(destination: Destination, routes: &Routes) -> Self {
        Self::Unknown { destination, answered: routes.to_string() }
    }

    pub(crate) fn unreachable(destination: Destination, address: SocketAddr, cause: &io::Error) -> Self {
        Self::Unreachable { destination, address, cause: cause.to_string() }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NeedsTunnel { .. } | Self::NotProxied { .. } | Self::Target { .. } => StatusCode::BAD_REQUEST,
            Self::Unknown { .. } | Self::Unreachable { .. } => StatusCode::BAD_GATEWAY,
        }
    }
}
