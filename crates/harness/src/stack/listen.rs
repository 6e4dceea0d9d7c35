//! Sockets of a stack: on loopback, and on the same port again after a restart.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

use super::error::StackError;

/// Listens on a port of loopback; 0 is any that is free. `listener_of` names the listener in errors.
pub(super) async fn listen(listener_of: &'static str, port: u16) -> Result<(TcpListener, SocketAddr), StackError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let failed = |source| StackError::Listen { part: listener_of, address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}
