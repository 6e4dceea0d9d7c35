//! Lists in pages: `maxresults`, `$skiptoken` and `nextLink`.
//!
//! A page ends after `maxresults` items, 25 at most. The token of the next page names the last item of this one, so that
//! items made or deleted in between shift nothing. The link carries the host and port that the caller used.

use crate::http::api_error::ApiError;
use crate::http::api_version::ApiVersion;
use crate::http::host::CallerHost;
use crate::http::inbound::Inbound;
use crate::http::{assumed, base64url};

/// Which page a request asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Page {
    limit: usize,
    after: Option<String>,
}

impl Page {
    /// Reads the query.
    ///
    /// # Errors
    ///
    /// 400 `BadParameter` for a `maxresults` outside of 1 to 25 or a `$skiptoken` that is not ours.
    pub(super) fn read(inbound: &Inbound) -> Result<Self, ApiError> {
        Self::parse(inbound.query("maxresults"), inbound.query("$skiptoken"))
    }

    fn parse(max_results: Option<&str>, skip_token: Option<&str>) -> Result<Self, ApiError> {
        let limit = match max_results {
            None => MAX_RESULTS,
            Some(text) => {
                let limit = text.parse().ok().filter(|limit| (1..=MAX_RESULTS).contains(limit));
                limit.ok_or_else(|| ApiError::bad_parameter(assumed::MAX_RESULTS))?
            }
        };
        let after = match skip_token {
            None => None,
            Some(token) => {
                let text = base64url::decode(token).and_then(|bytes| String::from_utf8(bytes).ok());
                Some(text.ok_or_else(Self::bad_token)?)
            }
        };
        Ok(Self { limit, after })
    }

    /// What the token names, as `T`.
    ///
    /// # Errors
    ///
    /// 400 `BadParameter` if it names something else.
    pub(super) fn after<T: std::str::FromStr>(&self) -> Result<Option<T>, ApiError> {
        self.after.as_deref().map(str::parse).transpose().map_err(|_| Self::bad_token())
    }

    /// The refusal of a token that is not of this list.
    pub(super) fn bad_token() -> ApiError {
        ApiError::bad_parameter(assumed::SKIP_TOKEN)
    }

    /// Takes this page's items, and the link to the next page if there are more. `mark` names an item for the token.
    pub(super) fn take<T>(
        &self,
        mut items: impl Iterator<Item = T>,
        mark: impl Fn(&T) -> String,
        link: &Link<'_>,
    ) -> (Vec<T>, Option<String>) {
        let taken: Vec<T> = items.by_ref().take(self.limit).collect();
        let next = match (taken.last(), items.next()) {
            (Some(last), Some(_)) => Some(link.to(&mark(last), self.limit)),
            _ => None,
        };
        (taken, next)
    }
}

/// Where the next page is.
pub(super) struct Link<'a> {
    pub(super) host: &'a CallerHost,
    /// From the slash on.
    pub(super) path: String,
    pub(super) version: &'a ApiVersion,
}

impl Link<'_> {
    fn to(&self, last: &str, limit: usize) -> String {
        let Self { host, path, version } = self;
        let token = base64url::encode(last.as_bytes());
        let base = host.link_base();
        format!("{base}{path}?api-version={version}&$skiptoken={token}&maxresults={limit}")
    }
}

/// The most items of a page, and the default.
const MAX_RESULTS: usize = 25;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pages_have_1_to_25_items() {
        for bad in ["0", "26", "-1", "", "x", "1.5", "18446744073709551616"] {
            assert!(Page::parse(Some(bad), None).is_err(), "{bad:?}");
        }
        assert_eq!(Page::parse(None, None).unwrap().limit, 25);
        assert!(Page::parse(None, Some("!")).is_err());
    }

    proptest! {
        #[test]
        fn following_the_links_gives_each_item_once(count in 0_usize..70, limit in 1_usize..=25) {
            let host = CallerHost::parse("kyanite.vault.azure.net:8443").unwrap();
            let version = ApiVersion::parse(Some("7.4")).unwrap();
            let (mut seen, mut page) = (Vec::new(), Page { limit, after: None });
            loop {
                let after = page.after::<usize>().unwrap().map_or(0, |last| last + 1);
                let link = Link { host: &host, path: "/keys".to_owned(), version: &version };
                let (items, next) = page.take(after..count, ToString::to_string, &link);
                prop_assert!(items.len() <= limit);
                seen.extend(items);
                let Some(next) = next else { break };
                prop_assert!(next.starts_with("https://kyanite.vault.azure.net:8443/keys?api-version=7.4&$skiptoken="));
                let token = next.split("$skiptoken=").nth(1).unwrap().split('&').next().unwrap();
                page = Page::parse(Some(&limit.to_string()), Some(token)).unwrap();
            }
            prop_assert_eq!(seen, (0..count).collect::<Vec<_>>());
        }

        #[test]
        fn parsing_never_panics(max_results in ".*", token in ".*") {
            let _ = Page::parse(Some(&max_results), Some(&token)).and_then(|page| page.after::<u8>());
        }
    }
}
