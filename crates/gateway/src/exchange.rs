//! One request of a client: where it wants to go, and what becomes of it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme as UriScheme};
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::refusal::Refusal;
use crate::routes::{Destination, Routes, Scheme, Upstream};

/// What all exchanges of one listener share.
#[derive(Clone)]
pub(crate) struct Exchange {
    pub(crate) routes: Routes,
    /// Tunnels and upstream connections outlive the request that opened them.
    pub(crate) tasks: TaskTracker,
    /// Ends them all at once.
    pub(crate) cut: CancellationToken,
}

impl Exchange {
    /// Answers one request; a refusal is an answer too.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let answer =
            if request.method() == Method::CONNECT { self.tunnel(request).await } else { self.pass_on(request).await };
        answer.unwrap_or_else(|refusal| {
            warn!(status = refusal.status().as_u16(), "{refusal}");
            refused(&refusal)
        })
    }

    /// `CONNECT host:port`: from the answer on, bytes go both ways unread.
    async fn tunnel(&self, mut request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
        let destination = connect_target(request.uri())?;
        let upstream = self.upstream(&destination)?;
        let emulator = self.connect(&destination, upstream.address).await?;
        let client = hyper::upgrade::on(&mut request);
        let cut = self.cut.clone();
        self.tasks.spawn(async move { cut.run_until_cancelled(join(client, emulator)).await });
        Ok(Response::new(Either::Left(Full::default())))
    }

    /// `GET http://host/path`: sent on as `GET /path`.
    async fn pass_on(&self, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
        let destination = self.absolute_target(request.uri())?;
        let upstream = self.upstream(&destination)?;
        if upstream.scheme == Scheme::Https {
            return Err(Refusal::NeedsTunnel { url: request.uri().to_string() });
        }
        let emulator = self.connect(&destination, upstream.address).await?;
        let unreachable =
            |error: hyper::Error| Refusal::unreachable(destination.clone(), upstream.address, &io::Error::other(error));
        let (mut sender, connection) = http1::handshake(TokioIo::new(emulator)).await.map_err(unreachable)?;
        let cut = self.cut.clone();
        self.tasks.spawn(async move { cut.run_until_cancelled(connection).await });
        let response = sender.send_request(origin_form(request)).await.map_err(unreachable)?;
        let (mut parts, body) = response.into_parts();
        strip_hop_by_hop(&mut parts.headers);
        Ok(Response::from_parts(parts, Either::Right(body)))
    }

    fn absolute_target(&self, uri: &Uri) -> Result<Destination, Refusal> {
        let Some(authority) = uri.authority() else {
            return Err(Refusal::NotProxied { answered: self.routes.to_string() });
        };
        if uri.scheme() != Some(&UriScheme::HTTP) {
            return Err(Refusal::NeedsTunnel { url: uri.to_string() });
        }
        destination(authority, Some(80))
    }

    fn upstream(&self, destination: &Destination) -> Result<Upstream, Refusal> {
        self.routes.find(destination).ok_or_else(|| {
            self.routes.counters().refused(destination);
            Refusal::unknown(destination.clone(), &self.routes)
        })
    }

    async fn connect(&self, destination: &Destination, address: SocketAddr) -> Result<TcpStream, Refusal> {
        let connected = match timeout(CONNECT_LIMIT, TcpStream::connect(address)).await {
            Ok(connected) => connected,
            Err(elapsed) => Err(io::Error::from(elapsed)),
        };
        match connected.and_then(|stream| stream.set_nodelay(true).map(|()| stream)) {
            Ok(stream) => {
                self.routes.counters().joined(destination);
                debug!(%destination, %address, "joined");
                Ok(stream)
            }
            Err(error) => {
                self.routes.counters().unreachable(destination);
                Err(Refusal::unreachable(destination.clone(), address, &error))
            }
        }
    }
}

/// An answer of ours, or the emulator's as it comes.
pub(crate) type Body = Either<Full<Bytes>, Incoming>;

/// Carries bytes until both sides have said that they are done, or either is gone. One side closing its sending half
/// is passed on and leaves the other direction open.
async fn join(client: OnUpgrade, mut emulator: TcpStream) {
    // The client left before it read our answer: nothing to carry.
    let Ok(client) = client.await else { return };
    match copy_bidirectional(&mut TokioIo::new(client), &mut emulator).await {
        Ok((sent, received)) => debug!(sent, received, "tunnel closed"),
        Err(error) => debug!(%error, "tunnel broken"),
    }
}

fn connect_target(uri: &Uri) -> Result<Destination, Refusal> {
    match uri.authority() {
        Some(authority) if uri.scheme().is_none() => destination(authority, None),
        _ => Err(Refusal::Target { target: uri.to_string() }),
    }
}

fn destination(authority: &Authority, default_port: Option<u16>) -> Result<Destination, Refusal> {
    // `port_u16` is also `None` for a port that is no number.
    let names_port = authority.as_str().rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
    let port = if names_port { authority.port_u16() } else { default_port };
    match port {
        Some(port) if port > 0 && !authority.host().is_empty() => Ok(Destination::new(authority.host(), port)),
        _ => Err(Refusal::Target { target: authority.to_string() }),
    }
}

fn origin_form(request: Request<Incoming>) -> Request<Incoming> {
    let (mut parts, body) = request.into_parts();
    strip_hop_by_hop(&mut parts.headers);
    // RFC 9112 section 3.2.2: a proxy ignores the received Host and makes it from the target.
    if let Some(host) = parts.uri.authority().and_then(|name| HeaderValue::from_str(name.as_str()).ok()) {
        parts.headers.insert(HOST, host);
    }
    let path = parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    parts.uri = Uri::from(path);
    parts.version = http::Version::HTTP_11;
    Request::from_parts(parts, body)
}

/// Removes what belongs to one connection and not to the message (RFC 9110 section 7.6.1). `Transfer-Encoding` is
/// hyper's business.
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all("connection")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

fn refused(refusal: &Refusal) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::from(format!("{refusal}\n"))));
    *response.status_mut() = refusal.status();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// How long the emulator's own listener may take to accept a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
];
