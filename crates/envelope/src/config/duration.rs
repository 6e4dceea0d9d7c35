//! `metav1.Duration` in a file: text such as `3s` or `1m30s`.

use jiff::SignedDuration;
use jiff::fmt::friendly::SpanParser;

/// Parses what Go's `time.ParseDuration` takes: `0`, or numbers with the units h, m, s, ms, us, ns, one sign in front.
///
/// Differs: Go also takes units in any order (`1s2m`).
pub(super) fn parse(text: &str) -> Option<SignedDuration> {
    if matches!(text, "0" | "+0" | "-0") {
        return Some(SignedDuration::ZERO);
    }
    // jiff reads more than Go: longer names of units, spaces, commas, "ago".
    let is_gos = |c: char| c.is_ascii_digit() || "+-.hmsunµμ".contains(c);
    if !text.chars().all(is_gos) {
        return None;
    }
    // Go counts nanoseconds in 64 bits: 292 years.
    SpanParser::new().parse_duration(text).ok().filter(|length| i64::try_from(length.as_nanos()).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, millis) in [
            ("3s", 3000),
            ("1m30s", 90_000),
            ("1.5s", 1500),
            ("100ms", 100),
            ("0", 0),
            ("0s", 0),
            ("-1s", -1000),
            ("1h", 3_600_000),
            ("2000us", 2),
            ("2562047h", 2_562_047 * 3_600_000),
        ] {
            assert_eq!(parse(text), Some(SignedDuration::from_millis(millis)), "{text}");
        }
        for text in ["", "3", "s", "3 s", "3sec", "1d", "3s ago", "three", "1e3s", "PT3S", "2562048h"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
