//! The keys that stand in the file: read, checked, and taken out of base64.
//!
//! Rules and texts: `validateKeys` and `validateKey` of kube-apiserver's `apis/apiserver/validation`. No message shows a
//! byte of a key.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::problem::Problems;
use super::yaml::{At, Node};
use crate::keys::KeyCipher;
use crate::material::KeyMaterial;

/// An element of `keys`. A field is `None` if it could not be read, which has been told, and empty if it is not there.
#[derive(Debug)]
pub(super) struct RawKey {
    pub(super) name: At<Option<String>>,
    pub(super) secret: At<Secret>,
}

/// What stands where a key should.
#[derive(Debug)]
pub(super) enum Secret {
    Key(KeyMaterial),
    Missing,
    NotBase64,
    /// It has been told.
    NotText,
}

/// The list of a provider: none if there is none, which validation tells.
pub(super) fn read_list(provider: &At<Node<'_>>, problems: &mut Problems) -> Option<At<Vec<RawKey>>> {
    let fields = provider.value.fields(&provider.place, &["keys"], problems)?;
    let place = fields.place_of("keys");
    let items = match fields.get("keys") {
        Some(field) => field.value.items(&field.place, problems)?,
        None => Vec::new(),
    };
    let value = items.iter().filter_map(|item| read_key(item, problems)).collect::<Vec<_>>();
    // What could not be read has been told; it does not make the list an empty one.
    (value.len() == items.len()).then_some(At { value, place })
}

fn read_key(item: &At<Node<'_>>, problems: &mut Problems) -> Option<RawKey> {
    let fields = item.value.fields(&item.place, &["name", "secret"], problems)?;
    let At { value, place } = fields.string("secret", problems);
    let secret = match value.map(Zeroizing::new) {
        None => Secret::NotText,
        Some(text) if text.is_empty() => Secret::Missing,
        Some(text) => decode(&text).map_or(Secret::NotBase64, Secret::Key),
    };
    Some(RawKey { name: fields.string("name", problems), secret: At { value: secret, place } })
}

impl RawKey {
    /// `None` for one that validation has refused.
    pub(super) fn into_named(self) -> Option<(String, KeyMaterial)> {
        match self.secret.value {
            Secret::Key(key) => Some((self.name.value?, key)),
            Secret::Missing | Secret::NotBase64 | Secret::NotText => None,
        }
    }
}

pub(super) fn check(keys: &At<Vec<RawKey>>, cipher: KeyCipher, problems: &mut Problems) {
    if keys.value.is_empty() {
        problems.required(&keys.place, "at least one keys is required");
    }
    for key in &keys.value {
        if key.name.value.as_deref() == Some("") {
            problems.required(&key.name.place, "name is a mandatory field for a key");
        }
        let place = &key.secret.place;
        match &key.secret.value {
            Secret::Key(secret) if !cipher.key_bytes().contains(&secret.len()) => {
                let lengths: Vec<_> = cipher.key_bytes().iter().map(ToString::to_string).collect();
                let why = format!(
                    "secret is not of the expected length, got {}, expected one of [{}]",
                    secret.len(),
                    lengths.join(" ")
                );
                problems.invalid(place, REDACTED, &why);
            }
            Secret::Key(_) | Secret::NotText => {}
            Secret::Missing => problems.required(place, "secret is a mandatory field for a key"),
            Secret::NotBase64 => problems.invalid(place, REDACTED, "secrets must be base64 encoded"),
        }
    }
}

/// As Go's `base64.StdEncoding`: padded, line breaks skipped, unused bits of the last character ignored.
fn decode(text: &str) -> Option<KeyMaterial> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true);
    let squeezed = Zeroizing::new(text.replace(['\r', '\n'], ""));
    GeneralPurpose::new(&STANDARD, config).decode(squeezed.as_bytes()).ok().map(KeyMaterial::new)
}

/// What stands in a message in place of a key.
const REDACTED: &str = "REDACTED";
