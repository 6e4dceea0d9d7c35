//! The key's names: vault, key and version as people write them, the vault's URLs made of them, and the key id that
//! Kubernetes stores, which is a hash of the URL.
//!
//! Imitates `pkg/plugin/keyvault.go` of Azure/kubernetes-kms: `validation of names`, `getVaultURL`, `getKeyIDHash`.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};

/// A vault's name, 3 to 24 letters, digits and dashes. Its case is kept, because it goes into the key id.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VaultName(String);

impl VaultName {
    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Spaces and double quotes around the name are dropped, as by Azure's plugin.
impl FromStr for VaultName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let name = trimmed(text);
        if !(3..=24).contains(&name.len()) {
            return Err(NameError::VaultLength { name: name.to_owned() });
        }
        if !is_object_name(name) {
            return Err(NameError::VaultCharacters { name: name.to_owned() });
        }
        Ok(Self(name.to_owned()))
    }
}

/// A key's name, 1 to 127 letters, digits and dashes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyName(String);

impl KeyName {
    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Spaces and double quotes around the name are dropped, as by Azure's plugin.
impl FromStr for KeyName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let name = trimmed(text);
        if is_object_name(name) { Ok(Self(name.to_owned())) } else { Err(NameError::Key { name: name.to_owned() }) }
    }
}

/// A key version, as the vault names it: 32 hexadecimal digits on Azure, opaque here.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyVersion(String);

impl KeyVersion {
    /// The version as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Spaces and double quotes around the version are dropped, as by Azure's plugin.
impl FromStr for KeyVersion {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let version = trimmed(text);
        if is_object_name(version) {
            Ok(Self(version.to_owned()))
        } else {
            Err(NameError::Version { version: version.to_owned() })
        }
    }
}

/// Why a text is not the name of a vault, a key or a version. The vault's texts are Azure's.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Not a key's name.
    #[error("invalid key name: {name:?}, must match [-a-zA-Z0-9]{{1,127}}")]
    Key {
        /// The text without spaces and quotes around it.
        name: String,
    },
    /// Something else than letters, digits and dashes.
    #[error("invalid vault name: {name:?}, must match [-a-zA-Z0-9]{{3,24}}")]
    VaultCharacters {
        /// The text without spaces and quotes around it.
        name: String,
    },
    /// Too short or too long.
    #[error("invalid vault name: {name:?}, must be between 3 and 24 chars")]
    VaultLength {
        /// The text without spaces and quotes around it.
        name: String,
    },
    /// Not a version.
    #[error("invalid key version: {version:?}, must match [-a-zA-Z0-9]{{1,127}}")]
    Version {
        /// The text without spaces and quotes around it.
        version: String,
    },
}

/// The id by which Kubernetes knows a key version: the lower-case hexadecimal SHA-256 of its URL.
///
/// Differs: a version that becomes current again after another was gets `-2` behind that, then `-3`, because Kubernetes
/// asks that an id is never used twice; Azure's plugin has the hash and nothing else.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyId(String);

impl KeyId {
    pub(crate) fn of_url(url: &str) -> Self {
        Self(hex::encode(digest(&SHA256, url.as_bytes())))
    }

    /// The id of the `time`th time that the version is current.
    pub(crate) fn at_time(self, time: usize) -> Self {
        if time < 2 { self } else { Self(format!("{}-{time}", self.0)) }
    }

    /// The hash in the text of an id, whichever time it is of.
    pub(crate) fn hash_in(text: &str) -> &str {
        match text.split_once('-') {
            Some((hash, time)) if !time.is_empty() && time.bytes().all(|byte| byte.is_ascii_digit()) => hash,
            _ => text,
        }
    }

    /// The 64 hexadecimal digits, and what follows them.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key in its vault, without a version.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Key {
    name: KeyName,
    vault_url: String,
}

impl Key {
    pub(crate) fn new(vault: &VaultName, dns_suffix: &str, name: KeyName) -> Self {
        Self { name, vault_url: format!("https://{}.{dns_suffix}/", vault.as_str()) }
    }

    pub(crate) fn name(&self) -> &KeyName {
        &self.name
    }

    pub(crate) fn vault_url(&self) -> &str {
        &self.vault_url
    }

    /// `https://{vault}.{suffix}/keys/{name}`.
    pub(crate) fn url(&self) -> String {
        format!("{}keys/{}", self.vault_url, self.name.as_str())
    }

    /// The id of a version that is current for the first time.
    pub(crate) fn key_id(&self, version: &KeyVersion) -> KeyId {
        KeyId::of_url(&format!("{}/{version}", self.url()))
    }

    /// The version in a `kid` of this key; `None` if it is another key's.
    pub(crate) fn version_in(&self, kid: &str) -> Option<KeyVersion> {
        kid.strip_prefix(&self.url())?.strip_prefix('/')?.parse().ok()
    }
}

fn trimmed(text: &str) -> &str {
    text.trim_matches(|character: char| character == '"' || character.is_whitespace())
}

fn is_object_name(name: &str) -> bool {
    (1..=127).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_id_is_the_hash_of_the_url() {
        // Computed by a script that is not ours, from the URL that Azure's plugin makes of these names.
        let key = Key::new(&"example".parse().unwrap(), "vault.azure.net", "mykey".parse().unwrap());
        assert_eq!(
            key.key_id(&"ABCD".parse().unwrap()).as_str(),
            "567d783db3043fe298fe0d9eeedb0029a3815cdd4fe4b059d018c91e6acffe3b"
        );
    }

    #[test]
    fn names_are_taken_as_azures_plugin_takes_them() {
        assert_eq!("\" Kyanite-1 \"".parse::<VaultName>().unwrap().as_str(), "Kyanite-1");
        assert_eq!("\"kms\"".parse::<KeyName>().unwrap().as_str(), "kms");
        let shown: Vec<String> = [
            "ab".parse::<VaultName>().unwrap_err(),
            "a".repeat(25).parse::<VaultName>().unwrap_err(),
            "a.b.c".parse::<VaultName>().unwrap_err(),
            "".parse::<KeyName>().unwrap_err(),
            "a/b".parse::<KeyName>().unwrap_err(),
            "../x".parse::<KeyVersion>().unwrap_err(),
        ]
        .iter()
        .map(ToString::to_string)
        .collect();
        assert_eq!(
            shown,
            [
                r#"invalid vault name: "ab", must be between 3 and 24 chars"#,
                r#"invalid vault name: "aaaaaaaaaaaaaaaaaaaaaaaaa", must be between 3 and 24 chars"#,
                r#"invalid vault name: "a.b.c", must match [-a-zA-Z0-9]{3,24}"#,
                r#"invalid key name: "", must match [-a-zA-Z0-9]{1,127}"#,
                r#"invalid key name: "a/b", must match [-a-zA-Z0-9]{1,127}"#,
                r#"invalid key version: "../x", must match [-a-zA-Z0-9]{1,127}"#,
            ]
        );
    }

    #[test]
    fn only_a_kid_of_this_key_has_a_version() {
        let key = Key::new(&"kyanite".parse().unwrap(), "vault.azure.net", "kms".parse().unwrap());
        let version = |kid| key.version_in(kid).map(|version| version.as_str().to_owned());
        assert_eq!(version("https://kyanite.vault.azure.net/keys/kms/v1"), Some("v1".to_owned()));
        for kid in [
            "https://kyanite.vault.azure.net/keys/kms",
            "https://kyanite.vault.azure.net/keys/kms/",
            "https://kyanite.vault.azure.net/keys/kms2/v1",
            "https://kyanite.vault.azure.net/keys/kms/v1/x",
            "https://other.vault.azure.net/keys/kms/v1",
            "http://kyanite.vault.azure.net/keys/kms/v1",
        ] {
            assert_eq!(version(kid), None, "{kid}");
        }
    }

    #[test]
    fn a_key_id_tells_the_time_it_is_of() {
        let id = KeyId::of_url("https://kyanite.vault.azure.net/keys/kms/v1");
        assert_eq!(id.clone().at_time(1), id);
        let again = id.clone().at_time(2);
        assert_eq!(again.as_str(), format!("{id}-2"));
        assert_eq!(KeyId::hash_in(again.as_str()), id.as_str());
        for other in ["", "-", "abc-", "abc-x", "abc--2"] {
            assert_eq!(KeyId::hash_in(other), other);
        }
    }

    proptest! {
        #[test]
        fn the_version_of_a_kid_is_the_one_it_was_made_of(version in "[-0-9a-zA-Z]{1,127}", noise in ".{0,60}") {
            let key = Key::new(&"kyanite".parse().unwrap(), "vault.azure.net", "kms".parse().unwrap());
            let found = key.version_in(&format!("{}/{version}", key.url()));
            prop_assert_eq!(found.as_ref().map(KeyVersion::as_str), Some(version.as_str()));
            // A name that is taken goes into a URL as it is.
            if let Ok(taken) = noise.parse::<KeyVersion>() {
                prop_assert!(!taken.as_str().contains(['/', '?', '#', '%', ' ']));
            }
            let _ = key.version_in(&noise);
        }
    }
}
