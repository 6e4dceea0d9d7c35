//! What an API server is told when it starts.

use std::fmt;
use std::time::Duration;

use clock::Clock;
use envelope::EncryptionConfiguration;
use thiserror::Error;
use zeroize::Zeroize;

use crate::encryption::EncryptionReload;

/// Configuration of an [`crate::ApiServer`].
#[derive(Debug)]
pub struct Config {
    /// Addresses of one etcd cluster: `http://127.0.0.1:2379`.
    pub etcd_endpoints: Vec<String>,
    /// What every etcd key starts with; upstream's `--etcd-prefix`. [`Config::new`] sets `/registry`.
    pub etcd_prefix: String,
    /// How long one etcd call may take. [`Config::new`] sets 5 s.
    pub etcd_timeout: Duration,
    /// How long a request other than a watch may take; upstream's `--request-timeout`. [`Config::new`] sets 60 s.
    pub request_timeout: Duration,
    /// How stored values are encrypted; `None` stores everything as it is.
    pub encryption: Option<EncryptionConfiguration>,
    /// The file of `encryption`, if its changes are to take effect without a restart; upstream's
    /// `--encryption-provider-config-automatic-reload`.
    pub encryption_reload: Option<EncryptionReload>,
    /// Who may ask. Every request but those for health and version needs one of these tokens.
    pub credentials: Vec<Credential>,
    /// The stack's clock.
    pub clock: Clock,
    /// What `/version` calls this server. [`Config::new`] sets `v1.34.0+kyanite`.
    pub git_version: String,
}

impl Config {
    /// A configuration with upstream's defaults, without encryption and without users.
    pub fn new(etcd_endpoints: Vec<String>, clock: Clock) -> Self {
        Self {
            etcd_endpoints,
            etcd_prefix: "/registry".into(),
            etcd_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_mins(1),
            encryption: None,
            encryption_reload: None,
            credentials: Vec::new(),
            clock,
            git_version: "v1.34.0+kyanite".into(),
        }
    }
}

/// A bearer token and whose it is.
#[derive(Debug)]
pub struct Credential {
    /// What the client sends.
    pub token: BearerToken,
    /// Who the client then is.
    pub user: User,
}

impl Credential {
    /// Reads a static token file: lines of `token,user,uid` with an optional fourth column of groups in double quotes,
    /// as `--token-auth-file` of kube-apiserver takes them. Empty lines are skipped.
    ///
    /// # Errors
    ///
    /// [`TokenFileError`] names the first line that is not of that form. No token appears in it.
    ///
    /// ```
    /// let users = apiserver::Credential::parse_token_file("s3cr3t,admin,1,\"system:masters,dev\"\n").unwrap();
    /// assert_eq!(users[0].user.groups, ["system:masters", "dev"]);
    /// ```
    pub fn parse_token_file(text: &str) -> Result<Vec<Self>, TokenFileError> {
        let mut credentials = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line_number = index.saturating_add(1);
            if line.trim().is_empty() {
                continue;
            }
            let mut columns = columns(line).ok_or(TokenFileError::Quote { line: line_number })?.into_iter();
            let (Some(token), Some(name), Some(uid)) = (columns.next(), columns.next(), columns.next()) else {
                return Err(TokenFileError::Columns { line: line_number });
            };
            if token.is_empty() {
                return Err(TokenFileError::EmptyToken { line: line_number });
            }
            let groups = columns.next().unwrap_or_default();
            let groups = groups.split(',').filter(|group| !group.is_empty()).map(str::to_owned).collect();
            credentials.push(Self { token: BearerToken::new(token), user: User { name, uid, groups } });
        }
        Ok(credentials)
    }
}

/// Who asks.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct User {
    /// `kubernetes-admin`.
    pub name: String,
    /// An id that is never used again.
    pub uid: String,
    /// `system:masters`.
    pub groups: Vec<String>,
}

/// A bearer token. It is wiped when it is dropped and never shown.
pub struct BearerToken(String);

impl BearerToken {
    /// Takes a token as a client would send it.
    pub const fn new(token: String) -> Self {
        Self(token)
    }

    /// The token itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for BearerToken {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(..)")
    }
}

/// A static token file that cannot be read.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum TokenFileError {
    /// Fewer columns than needed.
    #[error("read line {line} of the token file: it has fewer than the three columns token,user,uid")]
    Columns {
        /// Counted from 1.
        line: usize,
    },
    /// A line without a token.
    #[error("read line {line} of the token file: its token is empty")]
    EmptyToken {
        /// Counted from 1.
        line: usize,
    },
    /// A column that begins with a quote and does not end with one.
    #[error("read line {line} of the token file: a double quote is not closed")]
    Quote {
        /// Counted from 1.
        line: usize,
    },
}

/// The columns of a line, which may be quoted. `None` if a quote stays open.
fn columns(line: &str) -> Option<Vec<String>> {
    let mut columns = Vec::new();
    let mut rest = line;
    loop {
        let trimmed = rest.trim_start();
        let (column, after) = if let Some(quoted) = trimmed.strip_prefix('"') {
            let (column, after) = quoted.split_once('"')?;
            (column.to_owned(), after.split_once(',').map(|(_, after)| after))
        } else {
            match rest.split_once(',') {
                Some((column, after)) => (column.trim().to_owned(), Some(after)),
                None => (rest.trim().to_owned(), None),
            }
        };
        columns.push(column);
        match after {
            Some(after) => rest = after,
            None => return Some(columns),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_file_is_read_and_its_tokens_stay_hidden() {
        let read = Credential::parse_token_file("one,admin,1,\"a,b\"\n\ntwo, viewer ,2\n").unwrap();
        let seen: Vec<_> = read.iter().map(|entry| (entry.token.expose(), entry.user.clone())).collect();
        let user = |name: &str, uid: &str, groups: &[&str]| User {
            name: name.into(),
            uid: uid.into(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        };
        assert_eq!(seen, [("one", user("admin", "1", &["a", "b"])), ("two", user("viewer", "2", &[]))]);
        assert!(!format!("{read:?}").contains("one"));
    }

    #[test]
    fn a_bad_line_is_named() {
        for (text, error) in [
            ("a,b", TokenFileError::Columns { line: 1 }),
            ("a,b,c\n,b,c", TokenFileError::EmptyToken { line: 2 }),
            ("a,b,c,\"d", TokenFileError::Quote { line: 1 }),
        ] {
            assert_eq!(Credential::parse_token_file(text).unwrap_err(), error);
        }
    }
}
