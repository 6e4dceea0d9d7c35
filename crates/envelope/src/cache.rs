//! Decrypted DEK sources, kept so that a read need not ask the KMS plugin.
//!
//! Imitates kube-apiserver's `kmsv2/cache.go`: an entry lives 24 hours from its last write or decryption, reads do not
//! prolong it, and an expired entry is still served until some write sweeps it out. A server that only reads therefore
//! keeps its seeds for ever.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::digest;
use jiff::{SignedDuration, Timestamp};

use crate::annotations::Annotations;
use crate::dek_source::{DekSource, EncryptedDekSource, SourceType};
use crate::key_id::KeyId;

/// How long an entry lives before a write may sweep it out (`cacheTTL`).
pub const CACHE_TTL: SignedDuration = SignedDuration::from_hours(24);

/// The digest under which a DEK source is cached: everything the plugin would be asked with.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct CacheKey([u8; 32]);

impl CacheKey {
    /// SHA-256 over type, encrypted DEK source, key id and annotations, each with its length, annotations by name.
    /// Without the lengths and the order, two different questions to the plugin could share one answer.
    pub fn new(
        source_type: SourceType,
        encrypted_dek_source: &EncryptedDekSource,
        key_id: &KeyId,
        annotations: &Annotations,
    ) -> Self {
        let mut digest = digest::Context::new(&digest::SHA256);
        digest.update(&u32::from(source_type.number()).to_be_bytes());
        update_prefixed(&mut digest, encrypted_dek_source.as_bytes());
        update_prefixed(&mut digest, key_id.as_str().as_bytes());
        if !annotations.is_empty() {
            // The limits keep every length below 2^16: 1 kB, 1 kB, 32 kB.
            digest.update(&u32::try_from(annotations.len()).unwrap_or(u32::MAX).to_be_bytes());
            for (name, value) in annotations.iter() {
                update_prefixed(&mut digest, name.as_bytes());
                update_prefixed(&mut digest, value);
            }
        }
        let mut key = [0; 32];
        key.copy_from_slice(digest.finish().as_ref());
        Self(key)
    }

    /// The digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

fn update_prefixed(digest: &mut digest::Context, bytes: &[u8]) {
    digest.update(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
    digest.update(bytes);
}

/// Decrypted DEK sources by digest.
#[derive(Debug, Default)]
pub(crate) struct DekCache {
    entries: HashMap<CacheKey, Entry>,
}

#[derive(Debug)]
struct Entry {
    source: Arc<DekSource>,
    expires: Timestamp,
}

impl DekCache {
    /// The source under `key`, expired or not: for one key it is always the same.
    pub(crate) fn get(&self, key: &CacheKey) -> Option<Arc<DekSource>> {
        self.entries.get(key).map(|entry| Arc::clone(&entry.source))
    }

    /// Keeps `source` for another 24 hours, and sweeps out what has expired.
    pub(crate) fn set(&mut self, key: CacheKey, source: Arc<DekSource>, now: Timestamp) {
        self.entries.retain(|_, entry| now < entry.expires);
        let expires = now.checked_add(CACHE_TTL).unwrap_or(Timestamp::MAX);
        self.entries.insert(key, Entry { source, expires });
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::material::KeyMaterial;

    fn source() -> Arc<DekSource> {
        let seed = KeyMaterial::new(vec![1; 32]);
        Arc::new(DekSource::new(SourceType::HkdfSha256XnonceAesGcmSeed, seed).unwrap())
    }

    #[test]
    fn expired_entries_are_served_until_a_write_sweeps_them_out() {
        let (one, two) = (CacheKey([1; 32]), CacheKey([2; 32]));
        let start = Timestamp::UNIX_EPOCH;
        let day_later = start + CACHE_TTL;
        let mut cache = DekCache::default();
        cache.set(one, source(), start);
        assert!(cache.get(&one).is_some());
        cache.set(two, source(), day_later - SignedDuration::from_nanos(1));
        assert!(cache.get(&one).is_some(), "one nanosecond left");
        cache.set(two, source(), day_later);
        assert!(cache.get(&one).is_none(), "swept");
        assert_eq!(cache.len(), 1);
    }

    #[test]
    fn a_write_prolongs_its_own_entry() {
        let key = CacheKey([1; 32]);
        let mut cache = DekCache::default();
        cache.set(key, source(), Timestamp::UNIX_EPOCH);
        cache.set(key, source(), Timestamp::UNIX_EPOCH + 5 * CACHE_TTL);
        assert!(cache.get(&key).is_some());
    }

    /// As upstream's `TestGenerateCacheKey`: all combinations differ, so that no part can pass for another.
    #[test]
    fn different_questions_have_different_keys() {
        let annotations = |pairs: &[(&str, &str)]| {
            let pairs: BTreeMap<_, _> =
                pairs.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
            Annotations::new(pairs).unwrap()
        };
        let mut keys = Vec::new();
        for source_type in [SourceType::AesGcmKey, SourceType::HkdfSha256XnonceAesGcmSeed] {
            for source in ["e", "ek"] {
                for id in ["k", "ki"] {
                    for annotations in [
                        annotations(&[]),
                        annotations(&[("a.b", "")]),
                        annotations(&[("a.b", "c")]),
                        annotations(&[("a.bc", "")]),
                        annotations(&[("a.b", ""), ("c.d", "")]),
                    ] {
                        let source = EncryptedDekSource::new(source.into()).unwrap();
                        keys.push(CacheKey::new(source_type, &source, &KeyId::new(id).unwrap(), &annotations));
                    }
                }
            }
        }
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }
}
