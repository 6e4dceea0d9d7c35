//! Whether what a step saw is what its story expects. Pure: no wire, no clock.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::story::event::Mismatch;
use crate::story::scenario::{Expect, Failure, LookName, VersionName};
use crate::story::wire::Refusal;

use super::sight::{Looks, Outcome, Seen, StoredSight};

/// Everything about `outcome` that is not as `expect` has it; empty if the step passes.
pub(super) fn mismatches(expect: &Expect, outcome: &Outcome, looks: &Looks) -> Vec<Mismatch> {
    match (&expect.failure, outcome) {
        (None, Ok(sight)) => seen(expect, &sight.seen, looks),
        (None, Err(refusal)) => vec![Mismatch::new("outcome", "success", refusal.to_string())],
        (Some(failure), Ok(_)) => vec![Mismatch::new("outcome", described(failure), "success")],
        (Some(failure), Err(refusal)) => refused(failure, refusal),
    }
}

fn refused(failure: &Failure, refusal: &Refusal) -> Vec<Mismatch> {
    let mut found = Vec::new();
    if failure.class != refusal.class {
        found.push(Mismatch::new("failure.class", failure.class.to_string(), refusal.to_string()));
    }
    if let Some(code) = &failure.code
        && refusal.code.as_ref() != Some(code)
    {
        found.push(Mismatch::new("failure.code", code, refusal.code.as_deref().unwrap_or("no code")));
    }
    if let Some(missing) = first_missing(&failure.message, &refusal.message) {
        found.push(Mismatch::new("failure.message", format!("... {missing} ..."), &refusal.message));
    }
    found
}

fn seen(expect: &Expect, seen: &Seen, looks: &Looks) -> Vec<Mismatch> {
    match seen {
        Seen::Ciphertext(_) | Seen::Nothing => Vec::new(),
        Seen::Health { status, body } => health(expect, *status, body),
        Seen::KeyVersion(version) => {
            let expected = expect.key_version.as_ref().map(VersionName::as_str);
            differ("key-version", expected, version.as_str()).into_iter().collect()
        }
        Seen::Names(names) => {
            let Some(expected) = &expect.names else { return Vec::new() };
            let mut expected = expected.clone();
            expected.sort();
            differ("names", Some(list(&expected)), list(names)).into_iter().collect()
        }
        Seen::Metric(value) => metric(expect, *value, looks),
        Seen::Plaintext(bytes) => {
            let plaintext = String::from_utf8_lossy(bytes);
            differ("plaintext", expect.plaintext.as_deref(), plaintext.as_ref()).into_iter().collect()
        }
        Seen::Rewrite { rewritten, untouched } => [
            differ("rewritten", expect.rewritten.map(|count| count.to_string()), rewritten.to_string()),
            differ("untouched", expect.untouched.map(|count| count.to_string()), untouched.to_string()),
        ]
        .into_iter()
        .flatten()
        .collect(),
        Seen::Stored(sight) => stored(expect, sight, looks),
        Seen::Text(data) => {
            let Some(expected) = &expect.text else { return Vec::new() };
            let expected: Vec<_> = expected.iter().map(|(key, text)| pair(key, text.as_bytes())).collect();
            let found: Vec<_> = data.iter().map(|(key, bytes)| pair(key, bytes)).collect();
            differ("text", Some(list(&expected)), list(&found)).into_iter().collect()
        }
    }
}

fn health(expect: &Expect, status: u16, body: &str) -> Vec<Mismatch> {
    let mut found = Vec::new();
    let expected = expect.status.unwrap_or(OK);
    if status != expected {
        found.push(Mismatch::new("status", expected.to_string(), format!("{status}: {}", body.trim_end())));
    }
    if let Some(missing) = first_missing(&expect.body, body) {
        found.push(Mismatch::new("body", format!("... {missing} ..."), body.trim_end()));
    }
    found
}

#[expect(clippy::float_cmp, reason = "counters are whole numbers, and a look is compared with the very same value")]
fn metric(expect: &Expect, value: f64, looks: &Looks) -> Vec<Mismatch> {
    let mut found = Vec::new();
    if let Some(expected) = expect.value
        && value != expected
    {
        found.push(Mismatch::new("value", expected.to_string(), value.to_string()));
    }
    let earlier = |name: &Option<LookName>| match name.as_ref().and_then(|name| looks.get(name)) {
        Some(Seen::Metric(earlier)) => Some(*earlier),
        _ => None,
    };
    if let Some(earlier) = earlier(&expect.same_as)
        && value != earlier
    {
        found.push(Mismatch::new("same-as", earlier.to_string(), value.to_string()));
    }
    if let Some(earlier) = earlier(&expect.differs_from)
        && value == earlier
    {
        found.push(Mismatch::new("differs-from", format!("something else than {earlier}"), value.to_string()));
    }
    found
}

fn stored(expect: &Expect, sight: &StoredSight, looks: &Looks) -> Vec<Mismatch> {
    let bytes = &sight.value.bytes;
    let mut found = Vec::new();
    if let Some(prefix) = &expect.prefix
        && !bytes.starts_with(prefix.as_bytes())
    {
        let start = bytes.get(..prefix.len()).unwrap_or(bytes);
        found.push(Mismatch::new("prefix", quoted(prefix.as_bytes()), quoted(start)));
    }
    for text in expect.holds.iter().filter(|text| !holds(bytes, text.as_bytes())) {
        found.push(Mismatch::new("holds", quoted(text.as_bytes()), format!("nowhere in {} bytes", bytes.len())));
    }
    for text in &expect.lacks {
        if let Some((at, form)) = trace(bytes, text) {
            found.push(Mismatch::new("lacks", format!("no trace of {text}"), format!("{form} at byte {at}")));
        }
    }
    let version = expect.key_version.as_ref().map(VersionName::as_str);
    found.extend(differ("key-version", version, sight.key_version.as_deref().unwrap_or("no key id: not encrypted")));
    let stale = |stale: bool| if stale { "stale" } else { "not stale" };
    found.extend(differ("stale", expect.stale.map(stale), sight.stale.map_or("no key id to compare", stale)));

    let earlier = |name: &Option<LookName>| match name.as_ref().and_then(|name| looks.get(name)) {
        Some(Seen::Stored(earlier)) => Some(earlier.value.clone()),
        _ => None,
    };
    if let Some(earlier) = earlier(&expect.same_as)
        && *bytes != earlier.bytes
    {
        let expected = format!("the {} bytes of revision {}", earlier.bytes.len(), earlier.mod_revision);
        let other = format!("{} other bytes, of revision {}", bytes.len(), sight.value.mod_revision);
        found.push(Mismatch::new("same-as", expected, other));
    }
    if let Some(earlier) = earlier(&expect.differs_from)
        && *bytes == earlier.bytes
    {
        let same = format!("the same {} bytes", bytes.len());
        found.push(Mismatch::new(
            "differs-from",
            format!("other bytes than at revision {}", earlier.mod_revision),
            same,
        ));
    }
    found
}

fn differ<T: AsRef<str>, U: AsRef<str>>(what: &str, expected: Option<T>, found: U) -> Option<Mismatch> {
    let expected = expected?;
    (expected.as_ref() != found.as_ref()).then(|| Mismatch::new(what, expected.as_ref(), found.as_ref()))
}

/// The first fragment that does not follow its predecessors in `text`.
fn first_missing<'f>(fragments: &'f [String], text: &str) -> Option<&'f str> {
    let mut rest = text;
    for fragment in fragments {
        match rest.find(fragment.as_str()).and_then(|at| rest.get(at + fragment.len()..)) {
            Some(after) => rest = after,
            None => return Some(fragment),
        }
    }
    None
}

/// Where and in which form `text` can be read in `bytes`.
fn trace(bytes: &[u8], text: &str) -> Option<(usize, &'static str)> {
    if let Some(at) = position(bytes, text.as_bytes()) {
        return Some((at, "the text itself"));
    }
    base64_forms(text).iter().find_map(|form| position(bytes, form.as_bytes()).map(|at| (at, "its base64")))
}

/// The base64 of `text` wherever it stands in a longer text: three alignments, without the characters that depend on
/// what is around it. What is too short to be recognised is left out.
fn base64_forms(text: &str) -> Vec<String> {
    let forms = (0..3_usize).filter_map(|before| {
        let mut padded = vec![0_u8; before];
        padded.extend_from_slice(text.as_bytes());
        let encoded = STANDARD_NO_PAD.encode(&padded);
        // The first characters carry bits of what stands before, the last one may carry bits of what follows.
        let start = if before == 0 { 0 } else { before + 1 };
        let end = padded.len() / 3 * 4;
        encoded.get(start..end.max(start)).map(str::to_owned)
    });
    forms.filter(|form| form.len() >= SHORTEST_TRACE).collect()
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    position(bytes, text).is_some()
}

fn position(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes.windows(text.len().max(1)).position(|window| window == text)
}

fn described(failure: &Failure) -> String {
    let code = failure.code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
    let message = match failure.message.as_slice() {
        [] => String::new(),
        fragments => format!(": ... {} ...", fragments.join(" ... ")),
    };
    format!("a failure of class {}{code}{message}", failure.class)
}

fn pair(key: &str, value: &[u8]) -> String {
    format!("{key} = {}", quoted(value))
}

fn list(items: &[String]) -> String {
    if items.is_empty() { "nothing".to_owned() } else { items.join(", ") }
}

/// Bytes as text in quotes, with what cannot be printed escaped.
fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}

const OK: u16 = 200;

/// Shorter pieces of base64 occur by chance.
const SHORTEST_TRACE: usize = 6;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::story::runner::sight::Sight;
    use crate::story::scenario::FailureClass;
    use crate::story::wire::StoredValue;

    fn expect(yaml: &str) -> Expect {
        serde_json::from_value(serde_json::from_str(yaml).unwrap()).unwrap()
    }

    fn stored(bytes: &[u8], key_version: Option<&str>, stale: Option<bool>) -> Seen {
        let value = StoredValue { key: "k".to_owned(), bytes: bytes.to_vec(), mod_revision: 7 };
        Seen::Stored(StoredSight { value, key_version: key_version.map(str::to_owned), stale })
    }

    fn refusal(class: FailureClass, code: &str, message: &str) -> Refusal {
        Refusal { class, code: Some(code.to_owned()), message: message.to_owned() }
    }

    fn judged(yaml: &str, seen: &Seen, looks: &Looks) -> Vec<String> {
        judged_outcome(yaml, &Ok(Sight::new(Vec::new(), seen.clone())), looks)
    }

    /// What does not match, by name.
    fn judged_outcome(yaml: &str, outcome: &Outcome, looks: &Looks) -> Vec<String> {
        mismatches(&expect(yaml), outcome, looks).into_iter().map(|mismatch| mismatch.what).collect()
    }

    #[test]
    fn without_expectation_only_success_passes() {
        let none = Looks::new();
        assert!(judged("{}", &Seen::Nothing, &none).is_empty());
        let refused = Err(refusal(FailureClass::Internal, "InternalError", "no"));
        assert_eq!(judged_outcome("{}", &refused, &none), ["outcome"]);
    }

    #[test]
    fn a_refusal_is_matched_by_class_code_and_fragments_in_order() {
        let text = "encryptedDEKSource with keyID hash \"sha256:ab\" expired at T1 (current time is T2)";
        let outcome = Err(refusal(FailureClass::Internal, "InternalError", text));
        let none = Looks::new();
        let cases = [
            (r#"{"failure": {"class": "internal"}}"#, vec![]),
            (
                r#"{"failure": {"class": "internal", "code": "InternalError", "message": ["keyID hash", "expired at"]}}"#,
                vec![],
            ),
            (r#"{"failure": {"class": "internal", "message": ["expired at", "keyID hash"]}}"#, vec!["failure.message"]),
            (r#"{"failure": {"class": "denied", "code": "Forbidden"}}"#, vec!["failure.class", "failure.code"]),
            (r#"{"text": {}}"#, vec!["outcome"]),
        ];
        for (expectation, wrong) in cases {
            assert_eq!(judged_outcome(expectation, &outcome, &none), wrong, "{expectation}");
        }
        assert_eq!(judged(r#"{"failure": {"class": "internal"}}"#, &Seen::Nothing, &none), ["outcome"]);
    }

    #[test]
    fn stored_bytes_are_searched_as_text_and_as_base64() {
        let none = Looks::new();
        let encoded = STANDARD_NO_PAD.encode("{\"password\": \"correct-horse\", \"a\": 1}");
        for bytes in [b"xx correct-horse yy".as_slice(), encoded.as_bytes()] {
            assert_eq!(judged(r#"{"lacks": ["correct-horse"]}"#, &stored(bytes, None, None), &none), ["lacks"]);
        }
        let sealed = stored(b"k8s:enc:kms:v2:p:\x00\xff", Some("first"), Some(false));
        assert!(
            judged(r#"{"lacks": ["correct-horse"], "prefix": "k8s:enc:", "holds": ["kms"]}"#, &sealed, &none)
                .is_empty()
        );
        assert_eq!(
            judged(
                r#"{"prefix": "k8s\u0000", "holds": ["horse"], "key-version": "second", "stale": true}"#,
                &sealed,
                &none
            ),
            ["prefix", "holds", "key-version", "stale"]
        );
        let plain = stored(b"k8s\0", None, None);
        assert_eq!(judged(r#"{"key-version": "first", "stale": false}"#, &plain, &none), ["key-version", "stale"]);
    }

    #[test]
    fn looks_are_compared_with_their_like() {
        let outcome = stored(b"one", None, None);
        let other = stored(b"two", None, None);
        let looks = Looks::from([
            (serde_json::from_str("\"stored\"").unwrap(), outcome.clone()),
            (serde_json::from_str("\"count\"").unwrap(), Seen::Metric(3.0)),
        ]);
        assert!(judged(r#"{"same-as": "stored"}"#, &outcome, &looks).is_empty());
        assert!(judged(r#"{"differs-from": "stored"}"#, &other, &looks).is_empty());
        assert_eq!(judged(r#"{"same-as": "stored"}"#, &other, &looks), ["same-as"]);
        assert_eq!(judged(r#"{"differs-from": "stored"}"#, &outcome, &looks), ["differs-from"]);
        assert!(judged(r#"{"same-as": "count", "value": 3}"#, &Seen::Metric(3.0), &looks).is_empty());
        assert_eq!(judged(r#"{"same-as": "count", "value": 3}"#, &Seen::Metric(4.0), &looks), ["value", "same-as"]);
        assert_eq!(judged(r#"{"differs-from": "count"}"#, &Seen::Metric(3.0), &looks), ["differs-from"]);
    }

    #[test]
    fn every_other_kind_of_sight_can_fail() {
        let none = Looks::new();
        let text = Seen::Text(BTreeMap::from([("k".to_owned(), b"v".to_vec())]));
        let names = Seen::Names(vec!["a/b".to_owned(), "c/d".to_owned()]);
        let health = Seen::Health { status: 500, body: "[-]kms-providers failed\n".to_owned() };
        let cases = [
            (r#"{"text": {"k": "v"}}"#, &text, vec![]),
            (r#"{"text": {"k": "v", "l": ""}}"#, &text, vec!["text"]),
            (r#"{"text": {}}"#, &text, vec!["text"]),
            (r#"{"names": ["c/d", "a/b"]}"#, &names, vec![]),
            (r#"{"names": ["a/b"]}"#, &names, vec!["names"]),
            (r#"{"status": 500, "body": ["[-]", "failed"]}"#, &health, vec![]),
            (r#"{"body": ["ok"]}"#, &health, vec!["status", "body"]),
            (r#"{"rewritten": 2, "untouched": 0}"#, &Seen::Rewrite { rewritten: 2, untouched: 0 }, vec![]),
            (
                r#"{"rewritten": 1, "untouched": 1}"#,
                &Seen::Rewrite { rewritten: 2, untouched: 0 },
                vec!["rewritten", "untouched"],
            ),
            (r#"{"key-version": "second"}"#, &Seen::KeyVersion("second".to_owned()), vec![]),
            (r#"{"key-version": "second"}"#, &Seen::KeyVersion("first".to_owned()), vec!["key-version"]),
            (r#"{"plaintext": "t"}"#, &Seen::Plaintext(b"t".to_vec()), vec![]),
            (r#"{"plaintext": "t"}"#, &Seen::Plaintext(b"u".to_vec()), vec!["plaintext"]),
        ];
        for (expectation, outcome, wrong) in cases {
            assert_eq!(judged(expectation, outcome, &none), wrong, "{expectation}");
        }
    }

    proptest! {
        /// Whatever surrounds a text, its base64 gives it away.
        #[test]
        fn base64_is_recognised_at_every_place(before in "[ -~]{0,9}", text in "[a-z-]{8,20}", after in "[ -~]{0,9}") {
            let encoded = STANDARD_NO_PAD.encode(format!("{before}{text}{after}"));
            prop_assert!(trace(encoded.as_bytes(), &text).is_some());
        }
    }
}
