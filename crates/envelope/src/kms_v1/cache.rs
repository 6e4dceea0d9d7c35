//! The decrypted data keys that were used last, by their encrypted form.
//!
//! Imitates the LRU cache of kube-apiserver's `envelope/envelope.go`: entries have no age.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::dek::Dek;

#[derive(Debug)]
pub(super) struct DekLru {
    capacity: NonZeroUsize,
    entries: HashMap<Arc<[u8]>, (Arc<Dek>, u64)>,
    /// The encrypted data keys by when they were last used.
    by_use: BTreeMap<u64, Arc<[u8]>>,
    uses: u64,
}

impl DekLru {
    pub(super) fn new(capacity: NonZeroUsize) -> Self {
        Self { capacity, entries: HashMap::new(), by_use: BTreeMap::new(), uses: 0 }
    }

    /// The data key, which is then the one used last.
    pub(super) fn get(&mut self, encrypted: &[u8]) -> Option<Arc<Dek>> {
        let (dek, last_use) = self.entries.get_mut(encrypted)?;
        let key = self.by_use.remove(last_use)?;
        self.uses += 1;
        *last_use = self.uses;
        self.by_use.insert(self.uses, key);
        Some(Arc::clone(dek))
    }

    /// Keeps a data key; the one that was not used for longest may have to go.
    pub(super) fn set(&mut self, encrypted: &[u8], dek: Arc<Dek>) {
        let key: Arc<[u8]> = encrypted.into();
        self.uses += 1;
        if let Some((_, last_use)) = self.entries.insert(Arc::clone(&key), (dek, self.uses)) {
            self.by_use.remove(&last_use);
        }
        self.by_use.insert(self.uses, key);
        if self.entries.len() > self.capacity.get()
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.entries.remove(&oldest);
        }
    }

    /// How much of the room is taken, from 0 to 1.
    pub(super) fn fill(&self) -> f64 {
        let count = |number: usize| u32::try_from(number).map_or(f64::INFINITY, f64::from);
        count(self.entries.len()) / count(self.capacity.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyMaterial;

    fn dek() -> Arc<Dek> {
        Arc::new(Dek::new(KeyMaterial::new(vec![1; 32])).unwrap())
    }

    #[test]
    fn the_one_not_used_for_longest_goes() {
        let mut cache = DekLru::new(NonZeroUsize::new(2).unwrap());
        cache.set(b"a", dek());
        cache.set(b"b", dek());
        assert!(cache.get(b"a").is_some());
        cache.set(b"c", dek());
        assert!(cache.get(b"b").is_none(), "the oldest use");
        assert!(cache.get(b"a").is_some() && cache.get(b"c").is_some());
        cache.set(b"c", dek());
        assert!((cache.fill() - 1.0).abs() < f64::EPSILON);
        assert_eq!((cache.entries.len(), cache.by_use.len()), (2, 2));
    }
}
