//! The label sets that were used last, so that a plugin with ever new key ids cannot fill the memory with series.

use std::collections::VecDeque;

/// Up to [`CAPACITY`] label sets, the one used last at the end.
#[derive(Debug, Default)]
pub(super) struct RecentLabels {
    used: VecDeque<Vec<String>>,
}

impl RecentLabels {
    /// Marks `labels` as used now, and gives back the set whose series must go, if there is now one too many.
    pub(super) fn touch(&mut self, labels: &[&str]) -> Option<Vec<String>> {
        if self.used.back().is_some_and(|last| last == labels) {
            return None;
        }
        let position = self.used.iter().position(|known| known == labels);
        let known = position.and_then(|position| self.used.remove(position));
        self.used.push_back(known.unwrap_or_else(|| labels.iter().map(|label| (*label).to_owned()).collect()));
        if self.used.len() > CAPACITY { self.used.pop_front() } else { None }
    }
}

/// As many as kube-apiserver keeps (`cacheSize` in `envelope/metrics/metrics.go`).
const CAPACITY: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_that_was_not_used_for_longest_goes() {
        let mut recent = RecentLabels::default();
        for number in 0..CAPACITY {
            assert_eq!(recent.touch(&[&number.to_string()]), None);
        }
        assert_eq!(recent.touch(&["0"]), None, "known, and now the last used");
        assert_eq!(recent.touch(&["new"]), Some(vec!["1".to_owned()]));
        assert_eq!(recent.touch(&["0"]), None);
    }
}
