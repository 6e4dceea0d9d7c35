//! Which names a gateway answers for, and where the emulators of those names listen.

use std::fmt;
use std::net::SocketAddr;

use crate::counters::Counters;

/// The names one gateway listener answers for. Routes are tried in the order in which they were added.
///
/// ```
/// # let (vault, imds) = ("127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap());
/// let routes = gateway::Routes::new()
///     .tls("*.vault.azure.net", 443, vault)?
///     .tls("login.microsoftonline.com", 443, vault)?
///     .plain("169.254.169.254", 80, imds)?;
/// assert_eq!(
///     routes.to_string(),
///     "*.vault.azure.net:443, login.microsoftonline.com:443, 169.254.169.254:80"
/// );
/// # Ok::<(), gateway::PatternError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Routes {
    counters: Counters,
    routes: Vec<Route>,
}

impl Routes {
    /// Answers for nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Joins `CONNECT host:port` to `to`, which ends the client's TLS itself.
    ///
    /// `pattern` is a host name or `*.` and a host name; the star stands for exactly one label. Case does not matter.
    ///
    /// # Errors
    ///
    /// [`PatternError`] if `pattern` is neither.
    pub fn tls(self, pattern: &str, port: u16, to: SocketAddr) -> Result<Self, PatternError> {
        self.with(pattern, port, Upstream { address: to, scheme: Scheme::Https })
    }

    /// Passes requests for `http://host:port/…` on to `to`, an HTTP/1.1 server, in origin form; `CONNECT host:port`
    /// is joined to it too, because some clients tunnel everything.
    ///
    /// # Errors
    ///
    /// [`PatternError`] as [`tls`](Self::tls).
    pub fn plain(self, pattern: &str, port: u16, to: SocketAddr) -> Result<Self, PatternError> {
        self.with(pattern, port, Upstream { address: to, scheme: Scheme::Http })
    }

    /// The counters of the server that these routes are given to. Clones of the routes share them.
    pub fn counters(&self) -> Counters {
        self.counters.clone()
    }

    pub(crate) fn find(&self, destination: &Destination) -> Option<Upstream> {
        self.routes
            .iter()
            .find(|route| route.port == destination.port && route.pattern.matches(&destination.host))
            .map(|route| route.upstream)
    }

    fn with(mut self, pattern: &str, port: u16, upstream: Upstream) -> Result<Self, PatternError> {
        self.routes.push(Route { pattern: HostPattern::parse(pattern)?, port, upstream });
        Ok(self)
    }
}

/// What is answered for, as an error message lists it.
impl fmt::Display for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.routes.is_empty() {
            return f.write_str("nothing");
        }
        for (index, route) in self.routes.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{}:{}", route.pattern, route.port)?;
        }
        Ok(())
    }
}

/// A pattern is not `host.name` or `*.host.name`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("route {pattern:?}: expected a host name, or `*.` and a host name")]
pub struct PatternError {
    pattern: String,
}

/// Where a client wants to go.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Destination {
    /// Lower case, without a trailing dot.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Destination {
    pub(crate) fn new(host: &str, port: u16) -> Self {
        Self { host: normal(host), port }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// The emulator behind a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    pub(crate) scheme: Scheme,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

#[derive(Clone, Debug)]
struct Route {
    pattern: HostPattern,
    port: u16,
    upstream: Upstream,
}

#[derive(Clone, Debug)]
enum HostPattern {
    /// This name.
    Exact(String),
    /// One label, a dot and this name.
    OneLabelUnder(String),
}

impl HostPattern {
    fn parse(text: &str) -> Result<Self, PatternError> {
        let (wild, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        let name = normal(name);
        if !name.split('.').all(is_label) {
            return Err(PatternError { pattern: text.to_owned() });
        }
        Ok(if wild { Self::OneLabelUnder(name) } else { Self::Exact(name) })
    }

    /// `host` is lower case and has no trailing dot.
    fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => host == name,
            Self::OneLabelUnder(name) => {
                host.split_once('.').is_some_and(|(label, rest)| rest == name && is_label(label))
            }
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::OneLabelUnder(name) => write!(f, "*.{name}"),
        }
    }
}

fn is_label(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn normal(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vaults() -> Routes {
        let to = "127.0.0.1:1".parse().unwrap();
        Routes::new().tls("*.Vault.Azure.net", 443, to).unwrap().plain("169.254.169.254", 80, to).unwrap()
    }

    fn answers(host: &str, port: u16) -> bool {
        vaults().find(&Destination::new(host, port)).is_some()
    }

    #[test]
    fn a_star_is_exactly_one_label() {
        assert!(answers("kyanite.vault.azure.net", 443));
        assert!(answers("KYANITE.vault.AZURE.net.", 443));
        for host in
            ["vault.azure.net", "a.b.vault.azure.net", ".vault.azure.net", "xvault.azure.net", "*.vault.azure.net"]
        {
            assert!(!answers(host, 443), "{host}");
        }
    }

    #[test]
    fn the_port_counts() {
        assert!(!answers("kyanite.vault.azure.net", 80));
        assert!(answers("169.254.169.254", 80));
        assert!(!answers("169.254.169.254", 443));
    }

    #[test]
    fn a_bad_pattern_is_named() {
        let to = "127.0.0.1:1".parse().unwrap();
        for pattern in ["", "*", "*.", "a..b", "a.*.b", "*.*.b", "**.b", "http://a", "a:1", "a b"] {
            let error = Routes::new().tls(pattern, 443, to).unwrap_err();
            assert_eq!(error.to_string(), format!("route {pattern:?}: expected a host name, or `*.` and a host name"));
        }
    }

    proptest! {
        #[test]
        fn any_pattern_and_any_host_are_taken(pattern in ".{0,40}", host in ".{0,40}", port: u16) {
            let to = "127.0.0.1:1".parse().unwrap();
            if let Ok(routes) = Routes::new().tls(&pattern, port, to) {
                let _ = routes.find(&Destination::new(&host, port));
                prop_assert!(!routes.to_string().is_empty());
            }
        }
    }
}
