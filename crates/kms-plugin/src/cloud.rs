//! Azure's clouds: the names that vaults and token endpoints have in them.
//!
//! Imitates go-autorest's `azure.Environment`, which Azure's plugin uses. `AzureStackCloud` is whatever a file says.

use serde::Deserialize;

/// A cloud of Azure.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Cloud {
    /// `AzureChinaCloud`.
    China,
    /// `AzureGermanCloud`, closed in 2021; kept because configuration files still name it.
    German,
    /// `AzurePublicCloud`.
    #[default]
    Public,
    /// `AzureStackCloud`: one's own, or any other.
    Stack(StackCloud),
    /// `AzureUSGovernmentCloud`.
    UsGovernment,
}

impl Cloud {
    /// The cloud of a name, except `AzureStackCloud`; the empty name is the public cloud and case does not matter.
    pub fn by_name(name: &str) -> Option<Self> {
        match name.to_ascii_uppercase().as_str() {
            "" | "AZUREPUBLICCLOUD" => Some(Self::Public),
            "AZURECHINACLOUD" => Some(Self::China),
            "AZUREGERMANCLOUD" => Some(Self::German),
            "AZUREUSGOVERNMENTCLOUD" => Some(Self::UsGovernment),
            _ => None,
        }
    }

    /// What follows a vault's name in its host name.
    pub fn vault_dns_suffix(&self) -> &str {
        match self {
            Self::China => "vault.azure.cn",
            Self::German => "vault.microsoftazure.de",
            Self::Public => "vault.azure.net",
            Self::Stack(stack) => &stack.vault_dns_suffix,
            Self::UsGovernment => "vault.usgovcloudapi.net",
        }
    }

    /// What follows a managed HSM's name in its host name; `None` if the cloud has none.
    pub fn managed_hsm_dns_suffix(&self) -> Option<&str> {
        match self {
            Self::Public => Some("managedhsm.azure.net"),
            Self::Stack(stack) => stack.managed_hsm_dns_suffix.as_deref(),
            Self::China | Self::German | Self::UsGovernment => None,
        }
    }

    /// The name in texts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::China => "AzureChinaCloud",
            Self::German => "AzureGermanCloud",
            Self::Public => "AzurePublicCloud",
            Self::Stack(_) => "AzureStackCloud",
            Self::UsGovernment => "AzureUSGovernmentCloud",
        }
    }

    /// The token endpoint's origin.
    pub(crate) fn authority(&self) -> &str {
        match self {
            Self::China => "https://login.chinacloudapi.cn",
            Self::German => "https://login.microsoftonline.de",
            Self::Public => "https://login.microsoftonline.com",
            Self::Stack(stack) => &stack.authority,
            Self::UsGovernment => "https://login.microsoftonline.us",
        }
    }
}

/// The name of the cloud that a file describes.
pub(crate) fn is_stack(name: &str) -> bool {
    name.eq_ignore_ascii_case("AZURESTACKCLOUD")
}

/// A cloud as the file at `AZURE_ENVIRONMENT_FILEPATH` describes it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StackCloud {
    authority: String,
    managed_hsm_dns_suffix: Option<String>,
    vault_dns_suffix: String,
}

impl StackCloud {
    /// Reads the file's content: the JSON of go-autorest's `azure.Environment`, of which four members matter here. Which
    /// audience a token is for, the vault's own challenge says.
    ///
    /// # Errors
    ///
    /// [`StackCloudError`] if it is not JSON or lacks what a vault cannot be reached without.
    pub fn parse(content: &[u8]) -> Result<Self, StackCloudError> {
        let read: Environment = serde_json::from_slice(content).map_err(|source| StackCloudError::Json { source })?;
        let present = |text: String| Some(text).filter(|text| !text.is_empty() && text != NOT_AVAILABLE);
        let required = |text: String, member| present(text).ok_or(StackCloudError::Missing { member });
        Ok(Self {
            authority: required(read.active_directory_endpoint, "activeDirectoryEndpoint")?,
            vault_dns_suffix: required(read.key_vault_dns_suffix, "keyVaultDNSSuffix")?,
            managed_hsm_dns_suffix: present(read.managed_hsm_dns_suffix),
        })
    }
}

/// Why a file describes no cloud.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StackCloudError {
    /// It is not JSON, or a member is not a text.
    #[error("it is not the JSON of a cloud environment ({source})")]
    Json {
        /// Where it is damaged.
        source: serde_json::Error,
    },
    /// Something is missing, empty or `N/A`.
    #[error("it has no {member}")]
    Missing {
        /// The member.
        member: &'static str,
    },
}

#[derive(Deserialize)]
struct Environment {
    #[serde(default, rename = "activeDirectoryEndpoint")]
    active_directory_endpoint: String,
    #[serde(default, rename = "keyVaultDNSSuffix")]
    key_vault_dns_suffix: String,
    #[serde(default, rename = "managedHSMDNSSuffix")]
    managed_hsm_dns_suffix: String,
}

/// What go-autorest writes where a cloud has nothing of the kind.
const NOT_AVAILABLE: &str = "N/A";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn clouds_have_azures_names_and_suffixes() {
        let suffixes = |name: &str| {
            let cloud = Cloud::by_name(name)?;
            let hsm = cloud.managed_hsm_dns_suffix().map(str::to_owned);
            Some((cloud.vault_dns_suffix().to_owned(), hsm))
        };
        let hsm = Some("managedhsm.azure.net".to_owned());
        assert_eq!(suffixes(""), Some(("vault.azure.net".to_owned(), hsm.clone())));
        assert_eq!(suffixes("AzurePublicCloud"), Some(("vault.azure.net".to_owned(), hsm)));
        assert_eq!(suffixes("AZURECHINACLOUD"), Some(("vault.azure.cn".to_owned(), None)));
        assert_eq!(suffixes("azureusgovernmentcloud"), Some(("vault.usgovcloudapi.net".to_owned(), None)));
        assert_eq!(suffixes("AzureGermanCloud"), Some(("vault.microsoftazure.de".to_owned(), None)));
        assert_eq!(suffixes("AzureMoonCloud"), None);
    }

    #[test]
    fn a_stack_is_what_its_file_says() {
        let file = r#"{"name": "AzureStackCloud", "activeDirectoryEndpoint": "https://login.local:8443/",
            "keyVaultDNSSuffix": "vault.local:8443", "managedHSMDNSSuffix": "N/A", "resourceIdentifiers": {"keyVault": "https://vault.local"}}"#;
        let stack = Cloud::Stack(StackCloud::parse(file.as_bytes()).unwrap());
        assert_eq!((stack.vault_dns_suffix(), stack.authority()), ("vault.local:8443", "https://login.local:8443/"));
        assert_eq!(stack.managed_hsm_dns_suffix(), None);
        let problem = |text: &str| StackCloud::parse(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(problem("{}"), "it has no activeDirectoryEndpoint");
        assert_eq!(
            problem(r#"{"activeDirectoryEndpoint": "https://x", "keyVaultDNSSuffix": "N/A"}"#),
            "it has no keyVaultDNSSuffix"
        );
        assert!(problem("<html>").starts_with("it is not the JSON of a cloud environment (expected value"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = StackCloud::parse(&bytes);
        }
    }
}
