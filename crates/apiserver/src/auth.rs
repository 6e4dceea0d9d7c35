//! Who asks: bearer tokens, and the paths that need none.
//!
//! Imitates the static token file of kube-apiserver. Differs: every user that is known may do everything; there is no
//! RBAC yet, and no client certificate.

use aws_lc_rs::digest::{Digest, SHA256, digest};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use subtle::ConstantTimeEq;

use crate::config::{Credential, User};

/// The known tokens, as digests.
#[derive(Debug)]
pub(crate) struct Authenticator {
    known: Vec<(Digest, User)>,
}

impl Authenticator {
    pub(crate) fn new(credentials: &[Credential]) -> Self {
        let known = credentials
            .iter()
            .map(|credential| (digest(&SHA256, credential.token.expose().as_bytes()), credential.user.clone()));
        Self { known: known.collect() }
    }

    /// The user whose token the request carries.
    pub(crate) fn user(&self, headers: &HeaderMap) -> Option<&User> {
        let header = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = header.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let given = digest(&SHA256, token.trim().as_bytes());
        // Digests of equal length, compared without an early end: time tells nothing about how much of a token is right.
        let mut found = None;
        for (known, user) in &self.known {
            if bool::from(known.as_ref().ct_eq(given.as_ref())) {
                found = Some(user);
            }
        }
        found
    }
}

/// Whether a path answers without a token, as `system:public-info-viewer` may read it upstream.
pub(crate) fn is_public(path: &str) -> bool {
    ["/healthz", "/livez", "/readyz", "/version"]
        .iter()
        .any(|public| path.strip_prefix(public).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::config::BearerToken;

    #[test]
    fn only_the_whole_token_is_good() {
        let user = User { name: "admin".into(), ..User::default() };
        let known = Authenticator::new(&[Credential { token: BearerToken::new("right".into()), user: user.clone() }]);
        let asked = |header: &'static str| {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(header))]);
            known.user(&headers).cloned()
        };
        assert_eq!(asked("Bearer right"), Some(user.clone()));
        assert_eq!(asked("bearer  right"), Some(user));
        for wrong in ["Bearer righ", "Bearer rights", "Bearer", "right", "Basic right", ""] {
            assert_eq!(asked(wrong), None, "{wrong}");
        }
        assert_eq!(known.user(&HeaderMap::new()), None);
    }

    #[test]
    fn health_and_version_are_public_and_their_neighbours_are_not() {
        assert!(["/healthz", "/readyz/etcd", "/livez", "/version"].into_iter().all(is_public));
        assert!(["/api", "/metrics", "/healthzz", "/versions", "/"].into_iter().all(|path| !is_public(path)));
    }
}
