//! The annotations a KMS plugin attaches to what it encrypts: named by domain names, at most 32 kB together.
//!
//! Rules and texts: `validateAnnotations` of kube-apiserver's `kmsv2/envelope.go` and `IsFullyQualifiedDomainName` of
//! apimachinery's `util/validation`.

use std::collections::BTreeMap;
use std::fmt;

use crate::upstream::{aggregate, quote};

/// Annotations within their limits, sorted by name.
///
/// Differs: upstream writes them in the random order of a Go map; sorted, one state always gives the same bytes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Annotations(BTreeMap<String, Vec<u8>>);

impl Annotations {
    /// Most bytes that all names and values may have together.
    pub const MAX_BYTES: usize = 32 * 1024;

    /// Checks annotations as they came from a plugin or from storage.
    ///
    /// # Errors
    ///
    /// [`AnnotationsError`] with every name that is no fully qualified domain name, and the total if it is above
    /// [`Self::MAX_BYTES`].
    pub fn new(annotations: BTreeMap<String, Vec<u8>>) -> Result<Self, AnnotationsError> {
        let mut problems: Vec<_> = annotations.keys().filter_map(|name| check_name(name).err()).collect();
        let total_bytes = annotations.iter().map(|(name, value)| name.len() + value.len()).sum();
        if total_bytes > Self::MAX_BYTES {
            problems.push(AnnotationProblem::TotalSize { total_bytes });
        }
        if problems.is_empty() { Ok(Self(annotations)) } else { Err(AnnotationsError { problems }) }
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// The value under `name`.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none, which is legal.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Everything that is wrong with a set of annotations.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AnnotationsError {
    problems: Vec<AnnotationProblem>,
}

impl fmt::Display for AnnotationsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&aggregate(&self.problems))
    }
}

impl std::error::Error for AnnotationsError {}

#[derive(Clone, Debug, Eq, PartialEq)]
enum AnnotationProblem {
    NameEmpty,
    NameInvalid { shown: String, why: String },
    TotalSize { total_bytes: usize },
}

impl fmt::Display for AnnotationProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameEmpty => f.write_str("annotations: Required value"),
            Self::NameInvalid { shown, why } => write!(f, "annotations: Invalid value: {}: {why}", quote(shown)),
            Self::TotalSize { total_bytes } => {
                let max = Annotations::MAX_BYTES;
                write!(f, "total size of annotations is {total_bytes}, which exceeds the max size of {max}")
            }
        }
    }
}

fn check_name(name: &str) -> Result<(), AnnotationProblem> {
    if name.is_empty() {
        return Err(AnnotationProblem::NameEmpty);
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let invalid =
        |shown: &str, why: &str| AnnotationProblem::NameInvalid { shown: shown.to_owned(), why: why.to_owned() };
    let too_long = (name.len() > SUBDOMAIN_MAX_BYTES).then_some(SUBDOMAIN_TOO_LONG);
    let ill_formed = (!name.split('.').all(is_dns_label_of_any_length)).then_some(SUBDOMAIN_RULE);
    match (too_long, ill_formed) {
        (Some(one), Some(other)) => return Err(invalid(name, &format!("{one},{other}"))),
        (Some(why), None) | (None, Some(why)) => return Err(invalid(name, why)),
        (None, None) => {}
    }
    if !name.contains('.') {
        return Err(invalid(name, TWO_SEGMENTS));
    }
    match name.split('.').find(|label| label.len() > LABEL_MAX_BYTES) {
        Some(label) => Err(invalid(label, LABEL_TOO_LONG)),
        None => Ok(()),
    }
}

/// RFC 1123: lower-case letters, digits and inner hyphens.
fn is_dns_label_of_any_length(label: &str) -> bool {
    let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    label.starts_with(is_alphanumeric)
        && label.ends_with(is_alphanumeric)
        && label.chars().all(|c| is_alphanumeric(c) || c == '-')
}

const SUBDOMAIN_MAX_BYTES: usize = 253;
const LABEL_MAX_BYTES: usize = 63;
const SUBDOMAIN_TOO_LONG: &str = "must be no more than 253 characters";
const LABEL_TOO_LONG: &str = "must be no more than 63 characters";
const TWO_SEGMENTS: &str = "should be a domain with at least two segments separated by dots";
const SUBDOMAIN_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
     '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str) -> Result<(), String> {
        Annotations::new(BTreeMap::from([(name.to_owned(), Vec::new())])).map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn names_are_fully_qualified_domain_names() {
        for name in ["version.azure.akv.io", "10.0.0.1", "a.b.", "a-b.c", &format!("{}.io", "a".repeat(63))] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for name in ["", "com", "Dev.k8s.io", "*.x.y", "a_b.c", "-a.b", "a-.b", "a..b", ".a.b", "a.b..", "é.io"] {
            assert!(check(name).is_err(), "{name}");
        }
        assert_eq!(check("").unwrap_err(), "annotations: Required value");
        assert_eq!(
            check("date").unwrap_err(),
            "annotations: Invalid value: \"date\": should be a domain with at least two segments separated by dots"
        );
        let label = "a".repeat(64);
        assert_eq!(
            check(&format!("{label}.io")).unwrap_err(),
            format!("annotations: Invalid value: \"{label}\": must be no more than 63 characters")
        );
        assert!(check(&format!("{}.io", vec!["a"; 130].join("."))).unwrap_err().ends_with("253 characters"));
    }

    #[test]
    fn the_limit_of_all_together_is_allowed() {
        let of = |value_bytes| Annotations::new(BTreeMap::from([("a.io".to_owned(), vec![0; value_bytes])]));
        assert!(of(32 * 1024 - 4).is_ok());
        assert_eq!(
            of(32 * 1024 - 3).unwrap_err().to_string(),
            "total size of annotations is 32769, which exceeds the max size of 32768"
        );
    }

    #[test]
    fn every_problem_is_told() {
        let error = Annotations::new(BTreeMap::from([("a".to_owned(), vec![]), ("b".to_owned(), vec![])])).unwrap_err();
        let why = "should be a domain with at least two segments separated by dots";
        assert_eq!(
            error.to_string(),
            format!("[annotations: Invalid value: \"a\": {why}, annotations: Invalid value: \"b\": {why}]")
        );
    }
}
