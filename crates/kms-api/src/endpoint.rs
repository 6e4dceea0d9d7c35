//! The address of a KMS plugin: `unix:///path/of/socket`, or `unix:///@name` for a Linux abstract socket.
//!
//! Imitates `ParseEndpoint` of kube-apiserver (`staging/src/k8s.io/apiserver/.../envelope/util`): the URL's path is the
//! socket, and a path that starts `/@` is a name in the abstract namespace.
//!
//! Differs: what upstream silently drops (a host, as in `unix://@kms`, a query, a fragment) is refused here, because
//! the socket that results is never the one that was meant.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Uri};

use crate::listener::{BindError, Listener};

/// The address of a KMS plugin's socket.
///
/// ```
/// let endpoint: kms_api::Endpoint = "unix:///run/kms.sock".parse().unwrap();
/// assert_eq!(endpoint.path().unwrap().to_str(), Some("/run/kms.sock"));
/// assert_eq!(endpoint.to_string(), "unix:///run/kms.sock");
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Endpoint {
    address: Address,
}

impl Endpoint {
    /// The endpoint of a socket file.
    ///
    /// # Errors
    ///
    /// [`EndpointError::Relative`] if the path is not absolute, [`EndpointError::NotText`] if it is not UTF-8,
    /// [`EndpointError::TooLong`] if no socket can have it.
    pub fn of_path(path: impl Into<PathBuf>) -> Result<Self, EndpointError> {
        let path = path.into();
        if !path.is_absolute() {
            return Err(EndpointError::Relative { path });
        }
        let Some(bytes) = path.to_str().map(str::len) else {
            return Err(EndpointError::NotText { path });
        };
        if bytes > MAX_PATH_BYTES {
            return Err(EndpointError::TooLong { name: path.display().to_string(), bytes });
        }
        Ok(Self { address: Address::File(path) })
    }

    /// The socket file, or `None` for an abstract socket.
    pub fn path(&self) -> Option<&Path> {
        match &self.address {
            Address::Abstract(_) => None,
            Address::File(path) => Some(path),
        }
    }

    /// Binds the socket and listens; see [`Listener`] for what is guaranteed. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`BindError`] if something else lives at that place or the system refuses.
    pub async fn bind(&self) -> Result<Listener, BindError> {
        Listener::bind(self).await
    }

    /// A channel to the plugin. It connects when first used and again on each call after the connection was lost:
    /// there is no back-off, so a call made right after a plugin's restart succeeds. Must be called within a tokio
    /// runtime.
    ///
    /// `:authority` is `localhost`, as kube-apiserver has it.
    ///
    /// Differs: gRPC's default back-off makes a real kube-apiserver wait up to 50 s after a plugin came back.
    pub fn channel(&self) -> Channel {
        let address = self.address.to_system();
        let connect = tower::service_fn(move |_: Uri| {
            let address = address.clone();
            async move { UnixStream::connect(address).await.map(TokioIo::new) }
        });
        tonic::transport::Endpoint::from_static("http://localhost").connect_with_connector_lazy(connect)
    }

    /// What the system calls understand: a path, or a NUL and the abstract name.
    pub(crate) fn to_system(&self) -> PathBuf {
        self.address.to_system()
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(EndpointError::NotUrl { endpoint: text.to_owned() });
        };
        if !scheme.eq_ignore_ascii_case("unix") {
            return Err(EndpointError::Scheme { scheme: scheme.to_owned() });
        }
        if !rest.starts_with('/') {
            return Err(EndpointError::Host { endpoint: text.to_owned() });
        }
        if rest.contains(['?', '#']) {
            return Err(EndpointError::Query { endpoint: text.to_owned() });
        }
        let path = percent_decoded(rest).ok_or_else(|| EndpointError::Escape { endpoint: text.to_owned() })?;
        if path.contains('\0') {
            return Err(EndpointError::Escape { endpoint: text.to_owned() });
        }
        match path.strip_prefix("/@") {
            Some(name) => Self::of_abstract_name(name),
            None if path.ends_with('/') => Err(EndpointError::NoName { endpoint: text.to_owned() }),
            None => Self::of_path(path),
        }
    }
}

impl Endpoint {
    fn of_abstract_name(name: &str) -> Result<Self, EndpointError> {
        if name.is_empty() {
            return Err(EndpointError::NoName { endpoint: "unix:///@".to_owned() });
        }
        if !cfg!(target_os = "linux") {
            return Err(EndpointError::NotLinux { name: name.to_owned() });
        }
        if name.len() > MAX_PATH_BYTES {
            return Err(EndpointError::TooLong { name: format!("@{name}"), bytes: name.len() });
        }
        Ok(Self { address: Address::Abstract(name.to_owned()) })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match &self.address {
            Address::Abstract(name) => format!("/@{name}"),
            Address::File(path) => path.display().to_string(),
        };
        f.write_str("unix://")?;
        for character in path.chars() {
            match character {
                '%' => f.write_str("%25")?,
                '?' => f.write_str("%3F")?,
                '#' => f.write_str("%23")?,
                other => write!(f, "{other}")?,
            }
        }
        Ok(())
    }
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Address {
    /// A name in Linux's abstract namespace, without the leading NUL.
    Abstract(String),
    File(PathBuf),
}

impl Address {
    fn to_system(&self) -> PathBuf {
        match self {
            Self::Abstract(name) => OsString::from_vec([b"\0", name.as_bytes()].concat()).into(),
            Self::File(path) => path.clone(),
        }
    }
}

/// Why a text is not the address of a KMS plugin. The first texts are kube-apiserver's.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// A `%` is not followed by two hexadecimal digits, or it hides a NUL or bytes that are not UTF-8.
    #[error("invalid endpoint {endpoint:?} for KMS provider: a % escape in it stands for no character of a path")]
    Escape {
        /// The text as given.
        endpoint: String,
    },
    /// There is something between `unix://` and the path.
    #[error(
        "invalid endpoint {endpoint:?} for KMS provider: three slashes are needed, unix:///path/of/socket or unix:///@abstract-name"
    )]
    Host {
        /// The text as given.
        endpoint: String,
    },
    /// The path names no file, or `@` no socket.
    #[error("invalid endpoint {endpoint:?} for KMS provider: it names no socket")]
    NoName {
        /// The text as given.
        endpoint: String,
    },
    /// Only Linux has abstract sockets.
    #[error("use abstract socket {name:?}: only Linux has them, use unix:///path/of/socket")]
    NotLinux {
        /// The socket's name.
        name: String,
    },
    /// A path that is not UTF-8 cannot be written as a URL.
    #[error("use socket path {path:?}: it is not UTF-8")]
    NotText {
        /// The path as given.
        path: PathBuf,
    },
    /// There is no `scheme://`.
    #[error("invalid endpoint {endpoint:?} for KMS provider: expected unix:///path/of/socket")]
    NotUrl {
        /// The text as given.
        endpoint: String,
    },
    /// The URL has a query or a fragment.
    #[error(
        "invalid endpoint {endpoint:?} for KMS provider: it has a query or a fragment, write %3F for ? and %23 for #"
    )]
    Query {
        /// The text as given.
        endpoint: String,
    },
    /// The socket's path is relative.
    #[error("use socket path {path:?}: it must be absolute")]
    Relative {
        /// The path as given.
        path: PathBuf,
    },
    /// The scheme is not `unix`.
    #[error("unsupported scheme {scheme:?} for KMS provider, only unix is supported")]
    Scheme {
        /// The scheme as given.
        scheme: String,
    },
    /// The system's socket addresses cannot hold that many bytes.
    #[error("use socket {name:?}: its name has {bytes} bytes, and a Unix socket's may have at most {MAX_PATH_BYTES}")]
    TooLong {
        /// The socket's path or `@` and its abstract name.
        name: String,
        /// How long it is.
        bytes: usize,
    },
}

/// The longest socket path in bytes: `sun_path` holds 108 on Linux with a NUL at the end, 104 on the BSDs and macOS.
pub(crate) const MAX_PATH_BYTES: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Undoes `%2F` and its like; `None` if an escape is malformed or the result is not UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            bytes.push(digit(rest.next())? << 4 | digit(rest.next())?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Endpoint, EndpointError> {
        text.parse()
    }

    #[test]
    fn a_path_is_the_socket() {
        assert_eq!(parse("unix:///opt/azurekms.socket").unwrap().path(), Some(Path::new("/opt/azurekms.socket")));
        // Azure's plugin and Go's URL parser both ignore the case of the scheme.
        assert_eq!(parse("UNIX:///a/b").unwrap().path(), Some(Path::new("/a/b")));
        assert_eq!(parse("unix:///a%20b%3Fc").unwrap().path(), Some(Path::new("/a b?c")));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_name_after_slash_at_is_abstract() {
        let endpoint = parse("unix:///@kms").unwrap();
        assert_eq!(endpoint.path(), None);
        assert_eq!(endpoint.to_system(), PathBuf::from("\0kms"));
        assert_eq!(endpoint.to_string(), "unix:///@kms");
    }

    #[test]
    fn display_parses_back() {
        for path in ["/a", "/a b?c#d", "/100%/é", "/%2F"] {
            let endpoint = Endpoint::of_path(path).unwrap();
            assert_eq!(parse(&endpoint.to_string()).unwrap(), endpoint);
        }
    }

    #[test]
    fn what_is_no_endpoint_is_named() {
        let shown: Vec<String> = [
            "",
            "/run/kms.sock",
            "tcp://localhost:1",
            "unix://",
            "unix://@kms",
            "unix://run/kms.sock",
            "unix:///",
            "unix:///run/",
            "unix:///@",
            "unix:///a?b",
            "unix:///a#b",
            "unix:///a%2",
            "unix:///a%00b",
            "unix:///%ff",
        ]
        .into_iter()
        .map(|text| parse(text).unwrap_err().to_string())
        .collect();
        assert_eq!(
            shown,
            [
                r#"invalid endpoint "" for KMS provider: expected unix:///path/of/socket"#,
                r#"invalid endpoint "/run/kms.sock" for KMS provider: expected unix:///path/of/socket"#,
                r#"unsupported scheme "tcp" for KMS provider, only unix is supported"#,
                r#"invalid endpoint "unix://" for KMS provider: three slashes are needed, unix:///path/of/socket or unix:///@abstract-name"#,
                r#"invalid endpoint "unix://@kms" for KMS provider: three slashes are needed, unix:///path/of/socket or unix:///@abstract-name"#,
                r#"invalid endpoint "unix://run/kms.sock" for KMS provider: three slashes are needed, unix:///path/of/socket or unix:///@abstract-name"#,
                r#"invalid endpoint "unix:///" for KMS provider: it names no socket"#,
                r#"invalid endpoint "unix:///run/" for KMS provider: it names no socket"#,
                r#"invalid endpoint "unix:///@" for KMS provider: it names no socket"#,
                r#"invalid endpoint "unix:///a?b" for KMS provider: it has a query or a fragment, write %3F for ? and %23 for #"#,
                r#"invalid endpoint "unix:///a#b" for KMS provider: it has a query or a fragment, write %3F for ? and %23 for #"#,
                r#"invalid endpoint "unix:///a%2" for KMS provider: a % escape in it stands for no character of a path"#,
                r#"invalid endpoint "unix:///a%00b" for KMS provider: a % escape in it stands for no character of a path"#,
                r#"invalid endpoint "unix:///%ff" for KMS provider: a % escape in it stands for no character of a path"#,
            ]
        );
    }

    #[test]
    fn the_longest_path_is_the_systems() {
        let longest = format!("/{}", "x".repeat(MAX_PATH_BYTES - 1));
        assert!(Endpoint::of_path(&longest).is_ok());
        assert_eq!(
            Endpoint::of_path(format!("{longest}y")),
            Err(EndpointError::TooLong { name: format!("{longest}y"), bytes: MAX_PATH_BYTES + 1 })
        );
        assert!(matches!(parse(&format!("unix:///@{}", "x".repeat(200))), Err(EndpointError::TooLong { .. })));
    }

    #[test]
    fn a_relative_path_is_refused() {
        assert_eq!(Endpoint::of_path("a"), Err(EndpointError::Relative { path: "a".into() }));
    }
}
