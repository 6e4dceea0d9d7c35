//! The listeners: TLS for vaults and Entra, plain HTTP for the machine's token endpoints.
//!
//! At shutdown nothing new is accepted, requests in flight get [`GRACE`] to finish, and what is left then is dropped, so
//! that neither a slow nor a silent client can hold it up.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

use crate::chain::chain;
use crate::emulator::Emulator;
use crate::http::{Door, answer, panicked};
use crate::network::Place;

/// Serves vaults and Entra on `listener` until `shutdown`; returns when every connection is closed.
///
/// One listener answers for all of Azure's names, told apart by the host that a request names. `tls` must offer `http/1.1`
/// or `h2` (or no ALPN at all, which means HTTP/1.1), and certificates for `*.vault.azure.net`,
/// `login.microsoftonline.com` and `localhost`.
pub async fn serve_tls(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    emulator: Emulator,
    shutdown: CancellationToken,
) {
    serve_tls_at(listener, tls, emulator, Place::default(), shutdown).await;
}

/// As [`serve_tls`], for callers who stand at `place` in the network.
///
/// A place is a listener of its own, so that whoever joins callers to it need not read what they say.
pub async fn serve_tls_at(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    emulator: Emulator,
    place: Place,
    shutdown: CancellationToken,
) {
    let tls = (TlsAcceptor::from(tls), Arc::new(place));
    let watched = shutdown.child_token();
    tokio::join!(emulator.watch_expiry(&watched), async {
        serve(listener, Some(tls), emulator.clone(), shutdown).await;
        watched.cancel();
    });
}

/// Serves the instance metadata service's and App Service's token endpoints on `listener` until `shutdown`; returns when
/// every connection is closed. `IDENTITY_ENDPOINT` of a client is `http://{listener}/msi/token`.
///
/// It is also the proxy of the KMS plugin's proxy mode: vaults by the first segment of the path,
/// `http://{listener}/{vault}.vault.azure.net/keys/...`, and Entra by its paths, `http://{listener}/{tenant}/oauth2/token`.
/// Ids and the challenge are the same as over TLS.
pub async fn serve_plain(listener: TcpListener, emulator: Emulator, shutdown: CancellationToken) {
    serve(listener, None, emulator, shutdown).await;
}

async fn serve(
    listener: TcpListener,
    tls: Option<(TlsAcceptor, Arc<Place>)>,
    emulator: Emulator,
    shutdown: CancellationToken,
) {
    let connections = TaskTracker::new();
    let kill = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = Connection { peer, emulator: emulator.clone(), shutdown: shutdown.clone() };
                let (tls, kill) = (tls.clone(), kill.clone());
                connections.spawn(async move {
                    tokio::select! {
                        () = kill.cancelled() => {}
                        () = connection.run(stream, tls) => {}
                    }
                });
            }
            // One client gone before it was accepted is nobody's fault; a lack of descriptors passes when others close.
            Err(error) => {
                tracing::warn!(error = %chain(&error), "could not accept a connection");
                let _ = tokio::time::timeout(ACCEPT_PAUSE, shutdown.cancelled()).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(GRACE, connections.wait()).await.is_err() {
        tracing::debug!(open = connections.len(), "dropping connections that did not finish");
        kill.cancel();
        connections.wait().await;
    }
}

/// One accepted connection.
struct Connection {
    peer: SocketAddr,
    emulator: Emulator,
    shutdown: CancellationToken,
}

impl Connection {
    async fn run(self, stream: TcpStream, tls: Option<(TlsAcceptor, Arc<Place>)>) {
        // Answers are small and wait for nothing: no use in holding them back.
        let _ = stream.set_nodelay(true);
        let Some((tls, place)) = tls else { return self.requests(stream, Door::Plain, false).await };
        let shutdown = self.shutdown.clone();
        let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream));
        let shaken = tokio::select! {
            () = shutdown.cancelled() => return,
            shaken = handshake => shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
        };
        match shaken {
            Ok(stream) => {
                let session = stream.get_ref().1;
                let is_http2 = session.alpn_protocol() == Some(b"h2".as_slice());
                let version = match session.protocol_version() {
                    Some(rustls::ProtocolVersion::TLSv1_2) => Some("TLS1_2"),
                    Some(rustls::ProtocolVersion::TLSv1_3) => Some("TLS1_3"),
                    _ => None,
                };
                self.requests(stream, Door::Tls { place, version }, is_http2).await;
            }
            Err(error) => {
                tracing::debug!(peer = %self.peer, error = %chain(&error), "no TLS handshake");
            }
        }
    }

    async fn requests<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S, door: Door, is_http2: bool) {
        let Self { peer, emulator, shutdown } = self;
        let (token, door) = (shutdown.clone(), Arc::new(door));
        let service = tower::service_fn(move |request: Request<Incoming>| {
            let (emulator, door, token) = (emulator.clone(), Arc::clone(&door), token.clone());
            async move { answer(emulator, &door, peer, request, token).await }
        });
        let service = ServiceBuilder::new().layer(CatchPanicLayer::custom(panicked)).service(service);
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE_TIMEOUT);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(IDLE_TIMEOUT)
            .keep_alive_timeout(HANDSHAKE_TIMEOUT);
        let builder = if is_http2 { builder.http2_only() } else { builder.http1_only() };
        let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            // A dropped connection ends here too, as it should.
            tracing::debug!(%peer, %error, "a connection ended early");
        }
    }
}

/// How long requests in flight may take to finish at shutdown.
const GRACE: Duration = Duration::from_secs(2);
/// How long a TLS handshake may take, and the answer to an HTTP/2 ping.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may lie still between requests, and within the head of one.
const IDLE_TIMEOUT: Duration = Duration::from_mins(2);
/// How long to wait after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
