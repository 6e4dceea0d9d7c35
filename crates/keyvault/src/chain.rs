//! An error with all its causes, for the log: messages of this project never contain their source.

use std::error::Error;
use std::fmt;

/// Shows `error` and its sources, outermost first, joined by `: `.
pub(crate) fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl fmt::Display + 'a {
    fmt::from_fn(move |f| {
        write!(f, "{error}")?;
        let mut source = error.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::StoreError;
    use crate::vault::CryptoError;

    #[test]
    fn every_cause_is_shown_once() {
        let error = StoreError::Key { source: CryptoError::Decode };
        assert_eq!(chain(&error).to_string(), "convert a key for the state file: read a key");
    }
}
