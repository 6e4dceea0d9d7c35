//! A request as it arrived, with path and query taken apart and decoded.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use hyper::body::Incoming;

use crate::http::host::CallerHost;

/// A request. Its body can be read once.
pub(crate) struct Inbound {
    method: Method,
    path: String,
    segments: Vec<String>,
    query: Vec<(String, String)>,
    query_text: Option<String>,
    host: Option<CallerHost>,
    headers: HeaderMap,
    body: Option<Either<Incoming, Full<Bytes>>>,
    peer: SocketAddr,
}

impl Inbound {
    pub(super) fn new(request: Request<Incoming>, peer: SocketAddr) -> Self {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        Self {
            segments: segments(&path),
            path,
            query: query(&parts.uri),
            query_text: parts.uri.query().map(str::to_owned),
            host: host(&parts.uri, &parts.headers),
            method: parts.method,
            headers: parts.headers,
            body: Some(Either::Left(body)),
            peer,
        }
    }

    /// A request without a caller, with a body in JSON.
    pub(super) fn given(method: Method, path: &str, body: Bytes) -> Self {
        let json = HeaderValue::from_static("application/json");
        Self {
            method,
            path: path.to_owned(),
            segments: segments(path),
            query: Vec::new(),
            query_text: None,
            host: None,
            headers: HeaderMap::from_iter([(CONTENT_TYPE, json)]),
            body: Some(Either::Right(Full::new(body))),
            peer: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        }
    }

    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    /// The path as it was sent.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The path's segments, decoded. Empty ones are left out: clients send `/keys/{name}//encrypt` and `/keys/{name}/`.
    pub(crate) fn segments(&self) -> &[String] {
        &self.segments
    }

    /// The path and the query as they were sent.
    pub(super) fn target(&self) -> String {
        let question_mark = if self.query_text.is_some() { "?" } else { "" };
        format!("{}{question_mark}{}", self.path, self.query_text.as_deref().unwrap_or_default())
    }

    /// The value of a query parameter; names are compared without regard to case and may arrive percent-encoded.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The host that the caller names.
    pub(super) fn host(&self) -> Option<&CallerHost> {
        self.host.as_ref()
    }

    /// Takes the first segment of the path, which names `host`, off the path.
    pub(super) fn enter(&mut self, host: CallerHost) {
        self.segments.remove(0);
        let rest = self.path.trim_start_matches('/');
        self.path = rest.find('/').and_then(|slash| rest.get(slash..)).unwrap_or("/").to_owned();
        self.host = Some(host);
    }

    /// A header, if it is there and is text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Where the connection comes from.
    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Reads the body, within limits of length and of real time. Empty if it was read before.
    ///
    /// # Errors
    ///
    /// [`BodyError`].
    pub(crate) async fn body(&mut self) -> Result<Bytes, BodyError> {
        let Some(body) = self.body.take() else { return Ok(Bytes::new()) };
        match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_BYTES).collect()).await {
            Err(_) => Err(BodyError::TooSlow),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLong),
            Ok(Err(_)) => Err(BodyError::Broken),
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
        }
    }
}

/// Neither headers nor body: both carry secrets.
impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound").field("method", &self.method).field("path", &self.path).finish_non_exhaustive()
    }
}

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum BodyError {
    /// It ended before its end.
    Broken,
    /// It is longer than 1 MiB.
    TooLong,
    /// It did not arrive within 30 s.
    TooSlow,
}

fn segments(path: &str) -> Vec<String> {
    let parts = path.split('/').filter(|part| !part.is_empty());
    parts.map(|part| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned()).collect()
}

fn query(uri: &Uri) -> Vec<(String, String)> {
    let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

/// HTTP/2 and the absolute form name the host in the URI, HTTP/1.1's origin form in a header.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<CallerHost> {
    match uri.authority() {
        Some(authority) => CallerHost::parse(authority.as_str()),
        None => CallerHost::parse(headers.get(HOST)?.to_str().ok()?),
    }
}

const MAX_BODY_BYTES: usize = 1024 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn empty_segments_are_left_out_and_the_rest_is_decoded() {
        assert_eq!(segments("//keys/k%6Ds//encrypt/"), ["keys", "kms", "encrypt"]);
        assert_eq!(segments("/keys/a%2Fb/%ff"), ["keys", "a/b", "\u{fffd}"]);
        assert!(segments("/").is_empty());
    }

    #[test]
    fn query_names_are_decoded() {
        let uri: Uri = "/keys?api%2Dversion=2025-07-01&%24skiptoken=a%3D&maxresults".parse().unwrap();
        let expected = [("api-version", "2025-07-01"), ("$skiptoken", "a="), ("maxresults", "")];
        assert_eq!(query(&uri), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    proptest! {
        #[test]
        fn taking_a_path_apart_never_panics(path in ".*") {
            prop_assert!(segments(&path).iter().all(|segment| !segment.is_empty()));
        }
    }
}
