//! A vault's network rules and their decision.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::network::Place;

/// A vault's network rules, by ARM's `networkAcls`, `publicNetworkAccess` and its private endpoints. By default everybody
/// may reach it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkRules {
    /// Whether the public endpoint serves anybody.
    pub public_access: PublicAccess,
    /// Whether trusted services are exempt.
    pub bypass: Bypass,
    /// What happens to callers whom no rule names.
    pub default_action: DefaultAction,
    /// Addresses of the internet that may call.
    pub ip_rules: Vec<IpRule>,
    /// ARM ids of subnets that may call.
    pub virtual_network_rules: Vec<String>,
    /// ARM ids of virtual networks, or of subnets in them, in which the vault has an approved private endpoint.
    pub private_endpoints: Vec<String>,
    /// Addresses that the inbound rules of the vault's network security perimeter admit; they count only with
    /// [`PublicAccess::SecuredByPerimeter`].
    pub perimeter_ip_rules: Vec<IpRule>,
}

/// ARM's `publicNetworkAccess`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PublicAccess {
    /// Nobody comes in by the public endpoint but trusted services.
    Disabled,
    /// The rules decide.
    #[default]
    Enabled,
    /// A network security perimeter in enforced mode decides; not even trusted services are exempt.
    SecuredByPerimeter,
}

/// ARM's `networkAcls.bypass`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bypass {
    /// Trusted services are exempt.
    #[default]
    AzureServices,
    /// Nobody is.
    None,
}

/// ARM's `networkAcls.defaultAction`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DefaultAction {
    /// May call.
    #[default]
    Allow,
    /// May not.
    Deny,
}

/// How an admitted caller came in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Path {
    PrivateLink,
    Public,
    Subnet,
}

/// Why a caller is not admitted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// No rule names its address or subnet.
    Firewall { bypass: Bypass },
    /// The perimeter's rules do not.
    Perimeter,
    /// The public endpoint is closed.
    PublicAccessDisabled { bypass: Bypass },
}

impl NetworkRules {
    /// Whether a caller at `place` whom the vault sees under `address` may come in, and by which path.
    ///
    /// # Errors
    ///
    /// [`Refusal`] by cause.
    pub(crate) fn admit(&self, place: &Place, address: IpAddr) -> Result<Path, Refusal> {
        let path = self.path(place);
        let is_trusted = *place == Place::TrustedService && self.bypass == Bypass::AzureServices;
        let listed = |rules: &[IpRule]| rules.iter().any(|rule| rule.contains(address));
        // All rules are for the public endpoint.
        if path == Path::PrivateLink {
            return Ok(path);
        }
        match self.public_access {
            PublicAccess::SecuredByPerimeter if listed(&self.perimeter_ip_rules) => Ok(path),
            PublicAccess::SecuredByPerimeter => Err(Refusal::Perimeter),
            _ if is_trusted => Ok(path),
            PublicAccess::Disabled => Err(Refusal::PublicAccessDisabled { bypass: self.bypass }),
            PublicAccess::Enabled if self.default_action == DefaultAction::Allow => Ok(path),
            PublicAccess::Enabled => {
                let admitted = match place {
                    Place::Internet { .. } => listed(&self.ip_rules),
                    Place::Subnet { id, .. } => {
                        self.virtual_network_rules.iter().any(|rule| rule.eq_ignore_ascii_case(id))
                    }
                    Place::TrustedService => false,
                };
                if admitted { Ok(path) } else { Err(Refusal::Firewall { bypass: self.bypass }) }
            }
        }
    }

    /// The way from `place` to the vault. A network with a private endpoint resolves the vault's name to it.
    pub(crate) fn path(&self, place: &Place) -> Path {
        match place {
            Place::Subnet { id, .. } => {
                let network = virtual_network(id);
                let has_endpoint = |endpoint: &String| virtual_network(endpoint).eq_ignore_ascii_case(network);
                if self.private_endpoints.iter().any(has_endpoint) { Path::PrivateLink } else { Path::Subnet }
            }
            Place::Internet { .. } | Place::TrustedService => Path::Public,
        }
    }
}

/// The virtual network of a subnet's ARM id, or the id itself if it is one of a network.
fn virtual_network(id: &str) -> &str {
    let lower = id.to_ascii_lowercase();
    lower.find("/subnets/").and_then(|end| id.get(..end)).unwrap_or(id)
}

/// Public IPv4 addresses: one, or a range in CIDR notation. As text `20.1.2.3` or `20.1.2.0/24`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct IpRule {
    address: Ipv4Addr,
    prefix_bits: u8,
}

impl IpRule {
    fn contains(self, address: IpAddr) -> bool {
        let IpAddr::V4(address) = address else { return false };
        let mask = u32::MAX.checked_shl(32_u32.saturating_sub(self.prefix_bits.into())).unwrap_or(0);
        address.to_bits() & mask == self.address.to_bits() & mask
    }
}

impl FromStr for IpRule {
    type Err = IpRuleError;

    fn from_str(text: &str) -> Result<Self, IpRuleError> {
        let error = || IpRuleError { text: text.to_owned() };
        let (address, prefix) = text.split_once('/').unwrap_or((text, "32"));
        let address: Ipv4Addr = address.parse().map_err(|_| error())?;
        let prefix_bits = prefix.parse().ok().filter(|bits| (1..=32).contains(bits)).ok_or_else(error)?;
        if address.is_private() || address.is_link_local() {
            return Err(error());
        }
        Ok(Self { address, prefix_bits })
    }
}

impl fmt::Display for IpRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix_bits {
            32 => write!(f, "{}", self.address),
            bits => write!(f, "{}/{bits}", self.address),
        }
    }
}

impl TryFrom<String> for IpRule {
    type Error = IpRuleError;

    fn try_from(text: String) -> Result<Self, IpRuleError> {
        text.parse()
    }
}

impl From<IpRule> for String {
    fn from(rule: IpRule) -> Self {
        rule.to_string()
    }
}

/// Text that is no public IPv4 address or range.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "read {text:?} as a public IPv4 address or range, such as 20.1.2.0/24 (private addresses need a virtual network rule)"
)]
pub struct IpRuleError {
    text: String,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SUBNET: &str =
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/net/subnets/nodes";

    fn internet(address: &str) -> (Place, IpAddr) {
        (Place::Internet { address: None }, address.parse().unwrap())
    }

    fn subnet(id: &str) -> (Place, IpAddr) {
        (Place::Subnet { id: id.to_owned(), address: None }, "10.0.0.4".parse().unwrap())
    }

    fn admit(rules: &NetworkRules, (place, address): (Place, IpAddr)) -> Result<Path, Refusal> {
        rules.admit(&place, address)
    }

    fn trusted() -> (Place, IpAddr) {
        (Place::TrustedService, "127.0.0.1".parse().unwrap())
    }

    #[test]
    fn everybody_comes_in_by_default() {
        let rules = NetworkRules::default();
        assert_eq!(admit(&rules, internet("8.8.8.8")), Ok(Path::Public));
        assert_eq!(admit(&rules, subnet(SUBNET)), Ok(Path::Subnet));
    }

    #[test]
    fn rules_admit_addresses_and_subnets() {
        let rules = NetworkRules {
            default_action: DefaultAction::Deny,
            ip_rules: vec!["20.1.2.9/24".parse().unwrap()],
            virtual_network_rules: vec![SUBNET.to_uppercase()],
            ..NetworkRules::default()
        };
        let firewall = Err(Refusal::Firewall { bypass: Bypass::AzureServices });
        assert_eq!(admit(&rules, internet("20.1.2.200")), Ok(Path::Public));
        assert_eq!(admit(&rules, internet("20.1.3.1")), firewall);
        assert_eq!(admit(&rules, subnet(SUBNET)), Ok(Path::Subnet));
        assert_eq!(admit(&rules, subnet(&format!("{SUBNET}2"))), firewall);
        assert_eq!(admit(&rules, trusted()), Ok(Path::Public));
        let strict = NetworkRules { bypass: Bypass::None, ..rules };
        assert_eq!(admit(&strict, trusted()), Err(Refusal::Firewall { bypass: Bypass::None }));
    }

    #[test]
    fn a_closed_vault_admits_private_links_and_trusted_services() {
        let rules = NetworkRules {
            public_access: PublicAccess::Disabled,
            ip_rules: vec!["20.1.2.3".parse().unwrap()],
            private_endpoints: vec![SUBNET.replace("nodes", "endpoints")],
            ..NetworkRules::default()
        };
        let disabled = Err(Refusal::PublicAccessDisabled { bypass: Bypass::AzureServices });
        assert_eq!(admit(&rules, internet("20.1.2.3")), disabled, "it overrides the rules");
        assert_eq!(admit(&rules, subnet(SUBNET)), Ok(Path::PrivateLink));
        assert_eq!(admit(&rules, subnet(&SUBNET.replace("/net/", "/other/"))), disabled);
        assert_eq!(admit(&rules, trusted()), Ok(Path::Public));
        let perimeter = NetworkRules {
            public_access: PublicAccess::SecuredByPerimeter,
            perimeter_ip_rules: vec!["20.1.2.3".parse().unwrap()],
            ..rules
        };
        assert_eq!(admit(&perimeter, trusted()), Err(Refusal::Perimeter), "it overrides the bypass");
        assert_eq!(admit(&perimeter, internet("20.1.2.3")), Ok(Path::Public));
        assert_eq!(admit(&perimeter, subnet(SUBNET)), Ok(Path::PrivateLink));
    }

    #[test]
    fn only_public_addresses_are_rules() {
        for bad in ["", "10.0.0.0/8", "192.168.1.1", "1.2.3.4/0", "1.2.3.4/33", "::1", "1.2.3", "1.2.3.4/x"] {
            assert!(bad.parse::<IpRule>().is_err(), "{bad}");
        }
        assert_eq!("1.2.3.4/32".parse::<IpRule>().unwrap().to_string(), "1.2.3.4");
    }

    proptest! {
        #[test]
        fn a_rule_contains_its_own_range(address: u32, bits in 1_u8..=32, within: u32) {
            let (address, mask) = (Ipv4Addr::from_bits(address), u32::MAX << (32 - u32::from(bits)));
            if let Ok(rule) = format!("{address}/{bits}").parse::<IpRule>() {
                let inside = (address.to_bits() & mask) | (within & !mask);
                prop_assert!(rule.contains(Ipv4Addr::from_bits(inside).into()));
                prop_assert!(!rule.contains(Ipv4Addr::from_bits(inside ^ (1 << (32 - u32::from(bits)))).into()));
            }
        }

        #[test]
        fn parsing_never_panics(text in ".*") {
            let _ = text.parse::<IpRule>();
            let _ = virtual_network(&text);
        }
    }
}
