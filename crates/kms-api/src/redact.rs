//! `Debug` for the messages that carry a seed or a data key: it names lengths and never shows a byte of them, because
//! gRPC stacks like to log whole messages.

use std::fmt;

use crate::{v1beta1, v2};

impl fmt::Debug for v2::EncryptRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plaintext = Redacted { bytes: self.plaintext.len() };
        f.debug_struct("EncryptRequest").field("plaintext", &plaintext).field("uid", &self.uid).finish()
    }
}

impl fmt::Debug for v2::DecryptResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecryptResponse").field("plaintext", &Redacted { bytes: self.plaintext.len() }).finish()
    }
}

impl fmt::Debug for v1beta1::EncryptRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = Redacted { bytes: self.plain.len() };
        f.debug_struct("EncryptRequest").field("version", &self.version).field("plain", &plain).finish()
    }
}

impl fmt::Debug for v1beta1::DecryptResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecryptResponse").field("plain", &Redacted { bytes: self.plain.len() }).finish()
    }
}

struct Redacted {
    bytes: usize,
}

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[redacted, {} bytes]", self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_shows_its_secret() {
        let secret = vec![0xAB; 32];
        let shown = [
            format!("{:?}", v2::EncryptRequest { plaintext: secret.clone(), uid: "u".into() }),
            format!("{:?}", v2::DecryptResponse { plaintext: secret.clone() }),
            format!("{:?}", v1beta1::EncryptRequest { version: "v1beta1".into(), plain: secret.clone() }),
            format!("{:?}", v1beta1::DecryptResponse { plain: secret }),
        ];
        for text in shown {
            assert!(text.contains("[redacted, 32 bytes]"), "{text}");
            assert!(!text.contains("171") && !text.to_lowercase().contains("ab, "), "{text}");
        }
    }
}
