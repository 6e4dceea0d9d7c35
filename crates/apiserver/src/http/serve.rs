//! The listener: TLS, HTTP/1.1 and HTTP/2, and an end that leaves nothing running.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::router::router;
use crate::server::ApiServer;

/// Serves `server` on `listener` until `shutdown`.
///
/// The certificate is the caller's; the protocols offered are HTTP/2 and HTTP/1.1 unless `tls` names others. At
/// shutdown, watches end at once and other requests have ten seconds to finish.
///
/// # Errors
///
/// The listener's error, when it cannot accept any more.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    server: ApiServer,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let acceptor = TlsAcceptor::from(with_protocols(tls));
    let router = router(server.core());
    let connections = TaskTracker::new();
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(PING_EVERY);
    let outcome = loop {
        let stream = tokio::select! {
            () = shutdown.cancelled() => break Ok(()),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // A client that hung up while it waited is no reason to stop listening.
                Err(error) if is_of_one_connection(&error) => continue,
                Err(error) => break Err(error),
            },
        };
        connections.spawn(connection(stream, acceptor.clone(), builder.clone(), router.clone(), shutdown.clone()));
    };
    drop(listener);
    server.stop();
    connections.close();
    if timeout(FINISH_WITHIN, connections.wait()).await.is_err() {
        tracing::warn!("requests were still running {} s after the end was asked for", FINISH_WITHIN.as_secs());
    }
    outcome
}

async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    builder: Builder<TokioExecutor>,
    router: Router,
    shutdown: CancellationToken,
) {
    // Small answers must not wait for larger ones.
    let _ = stream.set_nodelay(true);
    let accepted = tokio::select! {
        accepted = timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)) => accepted,
        () = shutdown.cancelled() => return,
    };
    let stream = match accepted {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "TLS handshake failed");
            return;
        }
        Err(_) => return,
    };
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(error, "connection ended");
    }
}

fn with_protocols(tls: Arc<ServerConfig>) -> Arc<ServerConfig> {
    if !tls.alpn_protocols.is_empty() {
        return tls;
    }
    let mut tls = Arc::unwrap_or_clone(tls);
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(tls)
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// As upstream's `ReadHeaderTimeout`.
const HEADERS_WITHIN: Duration = Duration::from_secs(32);
/// HTTP/2 connections whose client is gone are found by this ping.
const PING_EVERY: Duration = Duration::from_secs(30);
const FINISH_WITHIN: Duration = Duration::from_secs(10);
