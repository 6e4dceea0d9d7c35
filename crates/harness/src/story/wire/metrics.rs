//! Samples of a Prometheus text page (format 0.0.4).

use std::collections::BTreeMap;

/// One sample: its name, labels and value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// The samples of a page. Comments and lines that are no samples are passed over.
pub(crate) fn samples(page: &str) -> Vec<Sample> {
    page.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect()
}

/// The sum of the samples of this name that carry all these labels. 0 if there is none, as for Prometheus a counter that
/// has not been touched does not exist.
pub(crate) fn sum(samples: &[Sample], name: &str, labels: &BTreeMap<String, String>) -> f64 {
    samples
        .iter()
        .filter(|sample| sample.name == name)
        .filter(|sample| labels.iter().all(|(key, value)| sample.labels.get(key) == Some(value)))
        // Not `sum`: that of no floats is -0.
        .fold(0.0, |sum, sample| sum + sample.value)
}

fn sample(line: &str) -> Option<Sample> {
    let name_end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at_checked(name_end)?;
    let (labels, rest) = match rest.strip_prefix('{') {
        None => (BTreeMap::new(), rest),
        Some(rest) => labels(rest)?,
    };
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// `a="1",b="2"} rest`: the labels, and what follows them.
fn labels(mut text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        text = text.trim_start_matches([',', ' ']);
        if let Some(rest) = text.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (key, rest) = text.split_once("=\"")?;
        let (value, rest) = quoted(rest)?;
        labels.insert(key.trim().to_owned(), value);
        text = rest;
    }
}

/// A label's value up to its closing quote, with its escapes undone, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAGE: &str = "\
# HELP a_total Counts.
# TYPE a_total counter
a_total{provider=\"p\",code=\"OK\"} 3
a_total{provider=\"p\",code=\"Unknown\"} 1
b_bucket{le=\"+Inf\",text=\"a \\\"b\\\\ {c},\\n\"} 2.5e3 1700000000
c 7
broken{
";

    fn of(labels: &[(&str, &str)]) -> BTreeMap<String, String> {
        labels.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn samples_are_read_with_their_labels() {
        let samples = samples(PAGE);
        assert_eq!(samples.len(), 4);
        assert_eq!(samples[2].labels, of(&[("le", "+Inf"), ("text", "a \"b\\ {c},\n")]));
        assert!((samples[2].value - 2500.0).abs() < f64::EPSILON);
    }

    #[test]
    fn samples_that_match_are_summed() {
        let samples = samples(PAGE);
        let total = |name, labels: &[(&str, &str)]| sum(&samples, name, &of(labels));
        let sums = [
            total("a_total", &[("provider", "p")]),
            total("a_total", &[("provider", "p"), ("code", "OK")]),
            total("a_total", &[("code", "Aborted")]),
            total("c", &[]),
            total("d", &[]),
        ];
        assert_eq!(sums.map(|sum| sum.to_string()), ["4", "3", "0", "7", "0"]);
    }

    proptest! {
        #[test]
        fn no_page_panics(page in "[a-z{}\"=,\\\\ 0-9\n#é]{0,80}") {
            let _ = samples(&page);
        }
    }
}
