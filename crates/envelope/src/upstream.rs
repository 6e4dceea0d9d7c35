//! How Go prints what upstream's texts are made of: quoted strings, times, several errors as one.
//!
//! Clients match on these texts, so they are imitated to the letter
//! (`strconv.Quote`, `time.RFC3339`, `k8s.io/apimachinery/pkg/util/errors`).

use std::fmt::Write as _;

use aws_lc_rs::digest;
use jiff::Timestamp;

/// A string as Go's `%q` prints it.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            c => push_escaped(&mut quoted, c),
        }
    }
    quoted.push('"');
    quoted
}

fn push_escaped(quoted: &mut String, c: char) {
    let code = u32::from(c);
    // `escape_debug` knows which characters have no picture; the writing of their code is Go's.
    let pictured = c == '\'' || c.escape_debug().len() == 1;
    // Writing to a string cannot fail.
    let _ = match code {
        _ if pictured => quoted.write_char(c),
        0..=0x7f => write!(quoted, "\\x{code:02x}"),
        0x80..=0xffff => write!(quoted, "\\u{code:04x}"),
        _ => write!(quoted, "\\U{code:08x}"),
    };
}

/// A moment as Go's `time.RFC3339` prints it in UTC: whole seconds, cut, not rounded.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Go's zero time, which stands where there is no expiry.
pub(crate) const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// Several error texts as one: alone as it is, several in brackets, equal ones once.
pub(crate) fn aggregate<I>(texts: I) -> String
where
    I: IntoIterator,
    I::Item: ToString,
{
    let mut distinct: Vec<String> = Vec::new();
    for text in texts {
        let text = text.to_string();
        if !distinct.contains(&text) {
            distinct.push(text);
        }
    }
    match distinct.as_slice() {
        [only] => only.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

/// `sha256:` and the lower-case hex digest, as labels and texts show a key id or a file.
pub(crate) fn sha256_label(data: &[u8]) -> String {
    format!("sha256:{}", hex::encode(digest::digest(&digest::SHA256, data)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_as_go_quotes_them() {
        assert_eq!(quote(r#"a"b\c"#), r#""a\"b\\c""#);
        assert_eq!(quote("a\n\u{0}\u{7f}'é\u{200b}"), "\"a\\n\\x00\\x7f'é\\u200b\"");
    }

    #[test]
    fn a_moment_is_cut_to_whole_seconds() {
        assert_eq!(rfc3339("2026-11-24T20:56:30.999Z".parse().unwrap()), "2026-11-24T20:56:30Z");
    }

    #[test]
    fn equal_errors_are_told_once() {
        assert_eq!(aggregate(["a"]), "a");
        assert_eq!(aggregate(["a", "a"]), "a");
        assert_eq!(aggregate(["a", "b", "a"]), "[a, b]");
    }
}
