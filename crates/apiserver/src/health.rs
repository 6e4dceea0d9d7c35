//! `/healthz`, `/livez`, `/readyz` and their single checks.
//!
//! Imitates `apiserver/pkg/server/healthz`: a path is a list of checks; `verbose` shows them, `exclude` leaves some out,
//! a failure shows all of them with their reasons withheld, and a check's own path tells its reason.
//! Differs: only the checks that this server has are listed; upstream's post-start hooks belong to parts that are not
//! here, `informer-sync` and `storage-readiness` to its watch cache.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use crate::core::Core;
use crate::encryption::KmsCheck;
use crate::http::Query;

/// The three groups of checks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Endpoint {
    Healthz,
    Livez,
    Readyz,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Check {
    Etcd,
    Kms(KmsCheck),
    Log,
    Ping,
    Shutdown,
}

impl Endpoint {
    /// The endpoint whose path starts like `path`, and what follows it.
    pub(crate) fn parse(path: &str) -> Option<(Self, &str)> {
        [Self::Healthz, Self::Livez, Self::Readyz].into_iter().find_map(|endpoint| {
            let rest = path.strip_prefix('/')?.strip_prefix(endpoint.name())?;
            (rest.is_empty() || rest.starts_with('/')).then(|| (endpoint, rest.trim_start_matches('/')))
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Healthz => "healthz",
            Self::Livez => "livez",
            Self::Readyz => "readyz",
        }
    }

    /// The checks in upstream's order. A KMS that is away must not get a server restarted, so it is no part of `/livez`.
    fn checks(self, core: &Core) -> Vec<Check> {
        let mut checks = vec![Check::Ping, Check::Log, Check::Etcd];
        if self != Self::Livez {
            checks.extend(core.encryption.checks().into_iter().map(Check::Kms));
        }
        if self == Self::Readyz {
            checks.push(Check::Shutdown);
        }
        checks
    }
}

impl Check {
    fn name(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Etcd => "etcd",
            Self::Kms(check) => return check.name(),
            Self::Log => "log",
            Self::Ping => "ping",
            Self::Shutdown => "shutdown",
        })
    }

    /// The reason of a failure.
    async fn run(self, core: &Core) -> Result<(), String> {
        match self {
            Self::Etcd => core.store.revision().await.map(drop).map_err(|error| {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                format!("error getting data from etcd: {}", cause.unwrap_or_default())
            }),
            Self::Kms(check) => core.encryption.check(check).await.map_err(|error| error.to_string()),
            Self::Shutdown if core.shutdown.is_cancelled() => Err("process is shutting down".into()),
            Self::Log | Self::Ping | Self::Shutdown => Ok(()),
        }
    }
}

/// Answers a health request; `name` is that of one check, or empty for all.
pub(crate) async fn answer(core: &Core, endpoint: Endpoint, name: &str, query: &Query) -> Response {
    if name.is_empty() {
        return all(core, endpoint, query).await;
    }
    match endpoint.checks(core).into_iter().find(|check| check.name() == name) {
        None => text(StatusCode::NOT_FOUND, "404 page not found\n"),
        Some(check) => match check.run(core).await {
            Ok(()) => text(StatusCode::OK, "ok"),
            Err(reason) => {
                tracing::info!(check = name, reason, "health check failed");
                text(StatusCode::INTERNAL_SERVER_ERROR, format!("internal server error: {reason}\n"))
            }
        },
    }
}

async fn all(core: &Core, endpoint: Endpoint, query: &Query) -> Response {
    let checks = endpoint.checks(core);
    let excluded: Vec<&str> = query.all("exclude").filter(|name| !name.is_empty()).collect();
    let mut lines = String::new();
    let mut is_healthy = true;
    for check in &checks {
        let name = check.name();
        let line = if excluded.contains(&name.as_ref()) {
            format!("[+]{name} excluded: ok\n")
        } else if let Err(reason) = check.run(core).await {
            tracing::info!(check = %name, reason, "health check failed");
            is_healthy = false;
            format!("[-]{name} failed: reason withheld\n")
        } else {
            format!("[+]{name} ok\n")
        };
        lines.push_str(&line);
    }
    let unknown: Vec<String> = excluded
        .iter()
        .filter(|name| !checks.iter().any(|check| check.name() == **name))
        .map(|name| format!("{name:?}"))
        .collect();
    if !unknown.is_empty() {
        lines.push_str("warn: some health checks cannot be excluded: no matches for ");
        lines.push_str(&unknown.join(", "));
        lines.push('\n');
    }
    let endpoint = endpoint.name();
    if !is_healthy {
        return text(StatusCode::INTERNAL_SERVER_ERROR, format!("{lines}{endpoint} check failed\n"));
    }
    if query.text("verbose").is_some() {
        return text(StatusCode::OK, format!("{lines}{endpoint} check passed\n"));
    }
    text(StatusCode::OK, "ok")
}

fn text(code: StatusCode, body: impl Into<String>) -> Response {
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-cache, private")];
    (code, headers, body.into()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_an_endpoint_and_a_check() {
        assert_eq!(Endpoint::parse("/healthz"), Some((Endpoint::Healthz, "")));
        assert_eq!(Endpoint::parse("/livez/"), Some((Endpoint::Livez, "")));
        assert_eq!(Endpoint::parse("/readyz/kms-providers"), Some((Endpoint::Readyz, "kms-providers")));
        assert_eq!(Endpoint::parse("/readyzz"), None);
    }
}
