//! The name by which a caller reaches us: it decides which service answers, and stands in every id.

use std::fmt;
use std::net::IpAddr;

use http::uri::Authority;

use crate::config::VaultKind;

/// A host as a caller names it, in lower case, with the port unless it is 443.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CallerHost {
    name: String,
    port: Option<u16>,
    /// The server that the caller asks for this host, if it names the host in the path.
    proxy: Option<String>,
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
        Some(Self { name: authority.host().trim_end_matches('.').to_ascii_lowercase(), port, proxy: None })
    }

    /// The name without the port.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The port, if it is not 443.
    pub(super) fn port(&self) -> Option<u16> {
        self.port
    }

    /// Reads the first segment of a path as the host of a vault, `{name}.vault.azure.net`: the form that Azure's KMS plugin
    /// uses in its proxy mode, `http://{proxy}/{name}.vault.azure.net/keys/...`. `self` is the proxy as the caller names it.
    pub(super) fn in_path(&self, segment: &str) -> Option<Self> {
        let host = Self::parse(segment).filter(|host| host.port.is_none() && host.vault_label().is_some())?;
        Some(Self { proxy: Some(format!("http://{self}/{}", host.name)), ..host })
    }

    /// What a link begins with that the caller can follow, up to the path.
    pub(super) fn link_base(&self) -> String {
        self.proxy.clone().unwrap_or_else(|| format!("https://{self}"))
    }

    /// The first label and the zone that it stands in, if the host is one of a vault.
    pub(super) fn vault_label(&self) -> Option<(VaultKind, &str)> {
        VaultKind::ALL.into_iter().find_map(|kind| {
            let label = self.name.strip_suffix(kind.dns_suffix())?.strip_suffix('.')?;
            (!label.is_empty()).then_some((kind, label))
        })
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
        assert_eq!(host("kyanite.vault.azure.net:8443").vault_label(), Some((VaultKind::Vault, "kyanite")));
        assert_eq!(host("pool.managedhsm.azure.net").vault_label(), Some((VaultKind::ManagedHsm, "pool")));
        assert_eq!(host("vault.azure.net").vault_label(), None);
        assert_eq!(host("kyanitevault.azure.net").vault_label(), None);
        assert!(host("127.0.0.1:1").is_this_machine() && host("[::1]").is_this_machine());
        assert!(host("LOCALHOST").is_this_machine() && !host("localhost.example").is_this_machine());
    }

    #[test]
    fn a_host_in_the_path_is_followed_through_the_proxy() {
        let proxy = CallerHost::parse("127.0.0.1:7788").unwrap();
        let host = proxy.in_path("Kyanite.vault.azure.net").unwrap();
        assert_eq!(host.to_string(), "kyanite.vault.azure.net");
        assert_eq!(host.link_base(), "http://127.0.0.1:7788/kyanite.vault.azure.net");
        for other in ["keys", "metadata", "vault.azure.net", "kyanite.vault.azure.net:8443", "example.com"] {
            assert_eq!(proxy.in_path(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in ".*") {
            let _ = CallerHost::parse(&text).map(|host| (host.vault_label().is_some(), host.in_path(&text), host.is_this_machine()));
        }
    }
}
