//! Which key version a key id names.
//!
//! A stored key id is a hash, so it can only be recognised by those who know the versions it may come from.
//! `Azure/kubernetes-kms` v0.11.0: lower-case hex SHA-256 of the key version's full URL. kube-apiserver shows, in its
//! metrics and error texts, `sha256:` and the hex SHA-256 of that.

use aws_lc_rs::digest::{SHA256, digest};

/// Key versions by their URLs, with the key ids they have.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct KeyIds {
    /// URL of a key version with its key id.
    versions: Vec<(String, String)>,
}

impl KeyIds {
    /// The key ids of the versions at these URLs.
    pub(crate) fn new<'u>(urls: impl IntoIterator<Item = &'u str>) -> Self {
        Self { versions: urls.into_iter().map(|url| (url.to_owned(), key_id(url))).collect() }
    }

    /// The URL of the version that `key_id` names.
    pub(crate) fn url(&self, key_id: &str) -> Option<&str> {
        self.versions.iter().find(|(_, known)| known == key_id).map(|(url, _)| url.as_str())
    }
}

/// The key id of a key version.
pub(crate) fn key_id(url: &str) -> String {
    hex::encode(digest(&SHA256, url.as_bytes()))
}

/// A key id as kube-apiserver's metrics and messages show it.
pub(crate) fn key_id_hash(key_id: &str) -> String {
    format!("sha256:{}", hex::encode(digest(&SHA256, key_id.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_id_is_the_hash_that_azures_plugin_makes() {
        // Vector of `Azure/kubernetes-kms`, recomputed with another implementation.
        assert_eq!(
            key_id("https://example.vault.azure.net/keys/mykey/ABCD"),
            "567d783db3043fe298fe0d9eeedb0029a3815cdd4fe4b059d018c91e6acffe3b"
        );
        assert_eq!(key_id_hash("1"), "sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b");
    }

    #[test]
    fn a_version_is_recognised_by_its_key_id_and_a_stranger_is_not() {
        let ids = KeyIds::new([
            "https://example.vault.azure.net/keys/mykey/ABCD",
            "https://example.vault.azure.net/keys/mykey/EF01",
        ]);
        let known = "567d783db3043fe298fe0d9eeedb0029a3815cdd4fe4b059d018c91e6acffe3b";
        assert_eq!(ids.url(known), Some("https://example.vault.azure.net/keys/mykey/ABCD"));
        assert_eq!(ids.url("567d"), None);
    }
}
