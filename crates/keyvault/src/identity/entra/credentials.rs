//! The body of a token request: a form, with the client's credentials in it or in a `Basic` header (RFC 6749 section 2.3.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use zeroize::{Zeroize, Zeroizing};

use crate::http::{BodyError, Inbound};
use crate::identity::aadsts::Refusal;

/// The fields of a token request.
pub(super) struct Credentials {
    fields: Vec<(String, String)>,
    basic: Option<(String, String)>,
}

impl Credentials {
    /// Reads the form and the header.
    ///
    /// # Errors
    ///
    /// [`Refusal::Body`] if the body is broken, too long or too slow.
    pub(super) async fn read(inbound: &mut Inbound) -> Result<Self, Refusal> {
        let basic = inbound.header(&AUTHORIZATION).and_then(parse_basic);
        let body = inbound.body().await.map_err(|error| Refusal::Body {
            reason: match error {
                BodyError::Broken => "it broke off",
                BodyError::TooLong => "it is too long",
                BodyError::TooSlow => "it took too long",
            },
        })?;
        let body = Zeroizing::new(Vec::from(body));
        let content_type = inbound.header(&CONTENT_TYPE).unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        // A body of another kind has no fields, as Entra sees it: it then misses `grant_type`.
        let is_form = media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded");
        let form = if is_form { body.as_slice() } else { &[] };
        let fields = form_urlencoded::parse(form).map(|(name, value)| (name.into_owned(), value.into_owned()));
        Ok(Self { fields: fields.collect(), basic })
    }

    /// A field of the form; an empty one counts as absent.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(given, value)| given == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// Who asks.
    pub(super) fn client_id(&self) -> Option<&str> {
        self.field("client_id").or(self.basic.as_ref().map(|(client_id, _)| client_id.as_str()))
    }

    /// How it proves itself.
    pub(super) fn client_secret(&self) -> Option<&str> {
        self.field("client_secret").or(self.basic.as_ref().map(|(_, secret)| secret.as_str()))
    }
}

impl Drop for Credentials {
    fn drop(&mut self) {
        self.fields.iter_mut().for_each(|(_, value)| value.zeroize());
        if let Some((_, secret)) = &mut self.basic {
            secret.zeroize();
        }
    }
}

/// Client id and secret of a `Basic` header, each form-encoded inside of the base64.
fn parse_basic(authorization: &str) -> Option<(String, String)> {
    let (scheme, encoded) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(encoded.trim()).ok()?);
    let (client_id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((form_decoded(client_id), form_decoded(secret)))
}

fn form_decoded(text: &str) -> String {
    let spaced = Zeroizing::new(text.replace('+', " "));
    percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn basic_credentials_are_form_encoded_inside() {
        let header = format!("basic {}", STANDARD.encode("an%20id:s%3Aecret+%2B"));
        assert_eq!(parse_basic(&header), Some(("an id".to_owned(), "s:ecret +".to_owned())));
        for bad in ["Bearer x", "Basic", "Basic !", &format!("Basic {}", STANDARD.encode("no colon"))] {
            assert_eq!(parse_basic(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn basic_never_panics(text in ".*", bytes: Vec<u8>) {
            let _ = parse_basic(&text);
            let _ = parse_basic(&format!("Basic {}", STANDARD.encode(bytes)));
        }
    }
}
