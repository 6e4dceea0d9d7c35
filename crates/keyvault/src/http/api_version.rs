//! The `api-version` of a request: mandatory, and decisive for which members an answer has.
//!
//! Accepted by rule rather than from a list, because each SDK asks for another one: `2016-10-01`, `7.0` to `7.6`, previews
//! of those, and every later date with or without `-preview`. Texts: Azure/azure-sdk-for-python#28595.

use std::fmt;

use jiff::civil::Date;

use crate::http::api_error::ApiError;
use crate::http::assumed;

/// A version of the protocol that this vault speaks. Ordered by age.
#[derive(Clone, Debug)]
pub(super) struct ApiVersion {
    text: String,
    age: Age,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Age {
    /// `2016-10-01`, the version of track 1 SDKs and of Azure's own KMS plugin.
    V2016,
    /// `7.{minor}` and its previews.
    V7(u8),
    Dated(Date),
}

impl ApiVersion {
    /// Reads the query parameter.
    ///
    /// # Errors
    ///
    /// 400 `BadParameter` if it is missing or not a version there is.
    pub(super) fn parse(parameter: Option<&str>) -> Result<Self, ApiError> {
        let text = match parameter {
            None | Some("") => return Err(ApiError::bad_parameter(assumed::API_VERSION_MISSING)),
            Some(text) => text,
        };
        let age = parse_age(text).ok_or_else(|| {
            ApiError::bad_parameter(format!(
                "The specified version ({text}) is not recognized. Consider using the latest supported version ({LATEST})."
            ))
        })?;
        Ok(Self { text: text.to_owned(), age })
    }

    /// Whether attributes have `recoverableDays`.
    pub(super) fn has_recoverable_days(&self) -> bool {
        self.age >= Age::V7(1)
    }

    /// Whether keys can be rotated and attributes have `exportable`.
    pub(super) fn has_rotation(&self) -> bool {
        self.age >= Age::V7(3)
    }

    /// Whether attributes have `hsmPlatform`.
    pub(super) fn has_hsm_platform(&self) -> bool {
        self.age >= Age::V7(5)
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse_age(text: &str) -> Option<Age> {
    if text == "2016-10-01" {
        return Some(Age::V2016);
    }
    if let Some(rest) = text.strip_prefix("7.") {
        let (minor, preview) = rest.split_at_checked(1)?;
        let minor = minor.parse().ok().filter(|minor| *minor <= NEWEST_MINOR)?;
        return is_preview_or_none(preview).then_some(Age::V7(minor));
    }
    let (date, preview) = text.split_at_checked(10)?;
    let is_plain = date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let date: Date = date.parse().ok().filter(|_| is_plain)?;
    let known = date > FIRST_DATED && (preview.is_empty() || preview == "-preview");
    known.then_some(Age::Dated(date))
}

/// Nothing, `-preview` or `-preview.{n}`.
fn is_preview_or_none(suffix: &str) -> bool {
    match suffix.strip_prefix("-preview") {
        Some("") => true,
        Some(rest) => rest.strip_prefix('.').is_some_and(|number| number.parse::<u8>().is_ok()),
        None => suffix.is_empty(),
    }
}

const NEWEST_MINOR: u8 = 6;
const FIRST_DATED: Date = Date::constant(2016, 10, 1);
/// What the refusal of a version recommends: the newest stable one of the service contract.
const LATEST: &str = "2026-04-01";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn versions_are_accepted_by_rule() {
        for good in [
            "2016-10-01",
            "7.0",
            "7.6",
            "7.6-preview.2",
            "7.2-preview",
            "2025-06-01-preview",
            "2025-07-01",
            "2026-04-01",
            "2031-01-01",
        ] {
            assert_eq!(ApiVersion::parse(Some(good)).unwrap().to_string(), good);
        }
        for bad in [
            "7",
            "7.",
            "7.7",
            "7.10",
            "7.4-beta",
            "7.6-preview.x",
            "2015-06-01",
            "2016-09-30",
            "2025-13-01",
            "2025-7-1",
            "2025-07-01-beta",
            "+2025-07-1",
            "latest",
            "7.4\n",
            "٧.٤",
        ] {
            assert!(ApiVersion::parse(Some(bad)).is_err(), "{bad:?}");
        }
        assert!(ApiVersion::parse(None).is_err());
        assert!(ApiVersion::parse(Some("")).is_err());
    }

    #[test]
    fn members_come_with_their_version() {
        let of = |text| ApiVersion::parse(Some(text)).unwrap();
        assert!(!of("2016-10-01").has_recoverable_days());
        assert!(!of("7.0").has_recoverable_days());
        assert!(of("7.1").has_recoverable_days() && !of("7.2").has_rotation());
        assert!(of("7.3").has_rotation() && !of("7.4").has_hsm_platform());
        assert!(of("7.5").has_hsm_platform() && of("2025-07-01").has_hsm_platform());
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in ".*") {
            let _ = ApiVersion::parse(Some(&text));
        }
    }
}
