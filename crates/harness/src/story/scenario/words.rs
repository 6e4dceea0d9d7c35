//! The small words of a scenario file: spans of time and the names that a story gives to things.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A span of time as a story writes it: a whole number and one unit, `500ms`, `30s`, `3m`, `6h`, `90d`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Span(Duration);

impl Span {
    /// The span as a duration.
    pub fn duration(self) -> Duration {
        self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at_checked(unit_at)?;
        let number: u64 = number.parse().ok()?;
        let millis = UNITS.iter().find(|(name, _)| *name == unit)?.1;
        Some(Self(Duration::from_millis(number.checked_mul(millis)?)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let fits = |&&(_, unit): &&(&str, u64)| millis.is_multiple_of(u128::from(unit));
        let (name, unit) = UNITS.iter().find(fits).copied().unwrap_or(("ms", 1));
        write!(f, "{}{name}", millis / u128::from(unit))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom(format!("`{text}` is not a span of time such as 30s or 3m")))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A span of time: a whole number and one unit (ms, s, m, h, d).",
            "pattern": "^[0-9]{1,9}(ms|s|m|h|d)$",
            "examples": ["500ms", "30s", "3m", "6h", "90d"],
        })
    }
}

/// What a story calls one version of the stack's key. `first` is the version the stack starts with; `rotate-key` names
/// every later one.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct VersionName(#[schemars(regex(pattern = r"^[a-z][a-z0-9-]*$"))] String);

impl VersionName {
    /// The version that the stack starts with.
    pub fn first() -> Self {
        Self(FIRST.to_owned())
    }

    /// The name as the file writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VersionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a story calls something it has seen, to compare it with something it sees later.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct LookName(#[schemars(regex(pattern = r"^[a-z][a-z0-9-]*$"))] String);

impl LookName {
    /// The name as the file writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LookName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const FIRST: &str = "first";

/// Units of a span with their length in milliseconds, longest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spans_are_read_and_written_in_their_longest_unit() {
        for (text, millis, shown) in [
            ("0s", 0, "0d"),
            ("500ms", 500, "500ms"),
            ("90s", 90_000, "90s"),
            ("180s", 180_000, "3m"),
            ("6h", 21_600_000, "6h"),
            ("90d", 7_776_000_000, "90d"),
        ] {
            let span = Span::parse(text).unwrap();
            assert_eq!((span.duration().as_millis(), span.to_string().as_str()), (millis, shown), "{text}");
        }
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in ["", "3", "m", "3 m", "-3m", "3.5h", "3w", "3mm", "99999999999999999999d", "٣m"] {
            assert_eq!(Span::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_span_survives_being_written_and_read(millis in 0_u64..u64::MAX / 2) {
            let span = Span(Duration::from_millis(millis));
            prop_assert_eq!(Span::parse(&span.to_string()), Some(span));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = Span::parse(&text);
        }
    }
}
