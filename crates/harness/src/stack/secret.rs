//! Secrets that a stack makes for itself: the client secret, the API server's token, the control door's token.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::runtime::write_private;

/// Random text that proves who somebody is. Wiped when dropped, never shown.
pub(crate) struct Token(Zeroizing<String>);

impl Token {
    /// A new one of 256 bits.
    ///
    /// # Errors
    ///
    /// If the system gives no random bytes.
    pub(crate) fn generate() -> io::Result<Self> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        rand::fill(bytes.as_mut_slice()).map_err(|_| io::Error::other("the system gives no random bytes"))?;
        Ok(Self(Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(bytes.as_slice()))))
    }

    /// The one that the file at `path` holds, or a new one that is stored there with mode 0600.
    ///
    /// # Errors
    ///
    /// What the file system says; [`io::ErrorKind::InvalidData`] for an empty file.
    pub(crate) fn load_or_generate(path: &Path) -> io::Result<Self> {
        match fs::read_to_string(path).map(Zeroizing::new) {
            Ok(text) if text.trim().is_empty() => Err(io::Error::new(io::ErrorKind::InvalidData, "the file is empty")),
            Ok(text) => Ok(Self(Zeroizing::new(text.trim().to_owned()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let token = Self::generate()?;
                token.store(path)?;
                Ok(token)
            }
            Err(error) => Err(error),
        }
    }

    /// Stores it with mode 0600.
    pub(crate) fn store(&self, path: &Path) -> io::Result<()> {
        write_private(path, self.0.as_bytes())
    }

    /// The text itself.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `offered` is this token, in a time that does not tell how much of it is.
    pub(crate) fn matches(&self, offered: &str) -> bool {
        self.0.as_bytes().ct_eq(offered.as_bytes()).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_kept_and_never_shown() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("token");
        let token = Token::load_or_generate(&path).unwrap();
        let again = Token::load_or_generate(&path).unwrap();
        assert!(token.matches(again.expose()));
        assert!(!token.matches(&again.expose()[1..]));
        assert!(!token.matches(Token::generate().unwrap().expose()));
        assert!(!format!("{token:?}").contains(token.expose()));
        fs::write(&path, "\n").unwrap();
        assert_eq!(Token::load_or_generate(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
