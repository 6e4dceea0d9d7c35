//! A place in the network.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Where the callers of one listener stand, as the vault sees it.
///
/// As JSON: `{"internet": {"address": "20.1.2.3"}}`, `{"subnet": {"id": "/subscriptions/…/subnets/nodes", "address":
/// "10.0.0.4"}}`, `"trusted_service"`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Place {
    /// The internet.
    Internet {
        /// The source address that the vault sees; `None`: that of the connection.
        #[serde(default)]
        address: Option<IpAddr>,
    },
    /// A subnet of a virtual network with a service endpoint for Key Vault, and the private DNS zone of whatever private
    /// endpoints the network has.
    Subnet {
        /// The subnet's ARM id.
        id: String,
        /// The caller's address in it; `None`: that of the connection.
        #[serde(default)]
        address: Option<IpAddr>,
    },
    /// A service of Azure that Key Vault trusts. AKS is none of them.
    TrustedService,
}

impl Default for Place {
    fn default() -> Self {
        Self::Internet { address: None }
    }
}

impl Place {
    /// The address that the vault sees of a caller whose connection comes from `peer`.
    pub(crate) fn address(&self, peer: IpAddr) -> IpAddr {
        match self {
            Self::Internet { address } | Self::Subnet { address, .. } => address.unwrap_or(peer).to_canonical(),
            Self::TrustedService => peer.to_canonical(),
        }
    }
}
