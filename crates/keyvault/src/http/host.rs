//! The name by which a caller reaches us: it decides which service answers, and stands in every id.

use std::fmt;
use std::net::IpAddr;

use http::uri::Authority;

/// A host as a caller names it, in lower case, with the port unless it is 443.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CallerHost {
    name: String,
    port: Option<u16>,
}

impl CallerHost {
    /// Reads `{name}[:{port}]`, as in `Host` and `:authority`.
    pub(super) fn parse(authority: &str) -> Option<Self> {
        let authority: Authority = authority.parse().ok()?;
        // The parser of URIs takes a user and an empty port.
        let has_port = authority.as_str().rsplit_once(']').map_or(authority.as_str(), |(_, rest)| rest).contains(':');
        if authority.as_str().contains('@') || authority.host().is_empty() || has_port != authority.port_u16().is_some()
        {
            return None;
        }
        let port = authority.port_u16().filter(|port| *port != HTTPS_PORT);
        Some(Self { name: authority.host().trim_end_matches('.').to_ascii_lowercase(), port })
    }

    /// The name without the port.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The port, if it is not 443.
    pub(super) fn port(&self) -> Option<u16> {
        self.port
    }

    /// The first label and what follows it, if the host is `{label}.vault.azure.net`.
    pub(super) fn vault_label(&self) -> Option<&str> {
        let label = self.name.strip_suffix(VAULT_SUFFIX)?.strip_suffix('.')?;
        (!label.is_empty()).then_some(label)
    }

    /// Whether it is this machine, under a name that says nothing of a vault.
    pub(super) fn is_this_machine(&self) -> bool {
        let literal = self.name.trim_start_matches('[').trim_end_matches(']');
        self.name == "localhost" || literal.parse::<IpAddr>().is_ok()
    }
}

impl fmt::Display for CallerHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            None => f.write_str(&self.name),
            Some(port) => write!(f, "{}:{port}", self.name),
        }
    }
}

const HTTPS_PORT: u16 = 443;
/// The DNS suffix of vaults in the public cloud.
const VAULT_SUFFIX: &str = "vault.azure.net";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hosts_are_shown_as_azure_would() {
        let shown = |text| CallerHost::parse(text).map(|host| host.to_string());
        assert_eq!(shown("Kyanite.Vault.Azure.NET:443").as_deref(), Some("kyanite.vault.azure.net"));
        assert_eq!(shown("kyanite.vault.azure.net.").as_deref(), Some("kyanite.vault.azure.net"));
        assert_eq!(shown("localhost:8443").as_deref(), Some("localhost:8443"));
        assert_eq!(shown("[::1]:8443").as_deref(), Some("[::1]:8443"));
        for bad in ["", "user@host", "host:", "host:port", "host:99999", "a b", "/"] {
            assert_eq!(shown(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn hosts_tell_the_service() {
        let host = |text| CallerHost::parse(text).unwrap();
        assert_eq!(host("kyanite.vault.azure.net:8443").vault_label(), Some("kyanite"));
        assert_eq!(host("vault.azure.net").vault_label(), None);
        assert_eq!(host("kyanitevault.azure.net").vault_label(), None);
        assert!(host("127.0.0.1:1").is_this_machine() && host("[::1]").is_this_machine());
        assert!(host("LOCALHOST").is_this_machine() && !host("localhost.example").is_this_machine());
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in ".*") {
            let _ = CallerHost::parse(&text).map(|host| (host.vault_label().map(str::to_owned), host.is_this_machine()));
        }
    }
}
