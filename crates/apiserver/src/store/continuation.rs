//! Continue tokens of chunked lists.
//!
//! The form is upstream's (`apiserver/pkg/storage/continue.go`): base64url of
//! `{"v":"meta.k8s.io/v1","rv":5,"start":"a\u0000"}`, so that a list begun at one server goes on at another.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Where a list goes on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Continuation {
    /// The revision that the list reads at; -1 for the newest (a token of an expired list).
    pub(crate) revision: i64,
    /// The first key to read, without the prefix of the listed range.
    pub(crate) start: String,
}

#[derive(Deserialize, Serialize)]
struct Wire {
    v: String,
    #[serde(default)]
    rv: i64,
    #[serde(default)]
    start: String,
}

impl Continuation {
    /// The token for a client.
    pub(crate) fn encode(&self) -> String {
        let wire = Wire { v: VERSION.into(), rv: self.revision, start: self.start.clone() };
        // A struct of a number and two strings has a JSON form.
        let json = serde_json::to_vec(&wire).unwrap_or_default();
        URL_SAFE_NO_PAD.encode(json)
    }

    /// Reads a token that a client sends back.
    ///
    /// # Errors
    ///
    /// [`ContinueError`] if it was not made by [`Continuation::encode`] or its upstream.
    pub(crate) fn decode(token: &str) -> Result<Self, ContinueError> {
        let bytes = URL_SAFE_NO_PAD.decode(token.trim_end_matches('=')).map_err(|_| ContinueError::Form)?;
        let wire: Wire = serde_json::from_slice(&bytes).map_err(|_| ContinueError::Form)?;
        if wire.v != VERSION {
            return Err(ContinueError::Version { version: wire.v });
        }
        if wire.rv == 0 {
            return Err(ContinueError::Revision);
        }
        if wire.start.is_empty() {
            return Err(ContinueError::Start);
        }
        // A start that climbs out of the listed range would read other objects.
        let escapes = wire.start.split('/').any(|part| part == ".." || part == ".") || wire.start.starts_with('/');
        if escapes {
            return Err(ContinueError::Escapes { start: wire.start });
        }
        Ok(Self { revision: wire.rv, start: wire.start })
    }
}

const VERSION: &str = "meta.k8s.io/v1";

/// A continue token that no list gave out. The text follows upstream's `invalid continue token: `.
#[derive(Debug, Eq, Error, PartialEq)]
pub(crate) enum ContinueError {
    #[error("continue key is not valid: {start}")]
    Escapes { start: String },
    #[error("continue key is not valid: it is no token that this server gives out")]
    Form,
    #[error("continue key is not valid: incorrect encoded start resourceVersion (version {VERSION})")]
    Revision,
    #[error("continue key is not valid: encoded start key empty (version {VERSION})")]
    Start,
    #[error("continue key is not valid: server does not recognize this encoded version {version:?}")]
    Version { version: String },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_of_a_real_server_is_read() {
        // Made by kube-apiserver for a list of Secrets in chunks of two.
        let token = "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MjMwLCJzdGFydCI6ImRvY2tlclx1MDAwMCJ9";
        let read = Continuation::decode(token).unwrap();
        assert_eq!(read, Continuation { revision: 230, start: "docker\0".into() });
        assert_eq!(read.encode(), token);
    }

    #[test]
    fn a_start_outside_of_the_range_is_refused() {
        for start in ["../configmaps/a", "/a", "a/../../b", "."] {
            let token = Continuation { revision: 1, start: start.into() }.encode();
            assert_eq!(Continuation::decode(&token), Err(ContinueError::Escapes { start: start.into() }));
        }
        assert_eq!(Continuation::decode("%%"), Err(ContinueError::Form));
    }

    proptest! {
        #[test]
        fn never_panics(token in ".{0,40}") {
            let _ = Continuation::decode(&token);
        }

        #[test]
        fn round_trips(revision in 1_i64.., start in "[a-z]{1,5}(/[a-z]{1,5})?\0") {
            let here = Continuation { revision, start };
            prop_assert_eq!(Continuation::decode(&here.encode()), Ok(here));
        }
    }
}
