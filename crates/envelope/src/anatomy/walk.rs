//! The walk over a stored value.

use super::part::Part;
use super::schema::{self, ENCRYPTED_OBJECT, Field, Message, Shape, UNKNOWN};
use crate::chain::ENCRYPTED_PREFIX;
use crate::dek_source::{INFO_BYTES, SourceType};
use crate::gcm::{NONCE_BYTES, TAG_BYTES};
use crate::keys::{KeyCipher, SECRETBOX_NONCE_BYTES, SECRETBOX_TAG_BYTES, cbc};
use crate::kms_v1::{self, KMS_V1_PREFIX};
use crate::object;
use crate::provider_name::KMS_V2_PREFIX;
use crate::storage::{self, MAGIC};

/// Names every byte of `stored`, a value as it stands in etcd or a plain storage value.
///
/// The ranges are not empty, follow each other without gap or overlap, and end where `stored` ends; an empty value has
/// no parts.
pub fn anatomy(stored: &[u8]) -> Vec<Part> {
    let mut walk = Walk { left: stored, at: 0, parts: Vec::new() };
    if stored.starts_with(KMS_V2_PREFIX.as_bytes()) {
        walk.kms_v2();
    } else if stored.starts_with(KMS_V1_PREFIX.as_bytes()) {
        walk.kms_v1();
    } else if let Some(cipher) =
        KeyCipher::ALL.into_iter().find(|cipher| stored.starts_with(cipher.prefix().as_bytes()))
    {
        walk.keys(cipher);
    } else if stored.starts_with(ENCRYPTED_PREFIX) {
        walk.other_provider();
    } else if let Some(message) = stored.strip_prefix(MAGIC) {
        let context = Context { kind: storage::kind_of(message), source_type: None };
        walk.take(MAGIC.len(), "magic", "what every object in protobuf starts with", Some("k8s\\0".to_owned()));
        walk.message(stored.len(), "", &UNKNOWN, &context);
    }
    walk.take(
        stored.len(),
        "unknown bytes",
        "neither a known prefix nor an object in protobuf; JSON is stored as it is",
        None,
    );
    walk.parts
}

struct Walk<'s> {
    left: &'s [u8],
    at: usize,
    parts: Vec<Part>,
}

/// What the meaning of some fields hangs on.
struct Context {
    kind: Option<String>,
    source_type: Option<SourceType>,
}

impl<'s> Walk<'s> {
    /// Makes a part of the next `count` bytes, or of all that are left; of none if there are none.
    fn take(&mut self, count: usize, name: &str, about: &'static str, value: Option<String>) {
        let count = count.min(self.left.len());
        if count == 0 {
            return;
        }
        self.left = self.left.get(count..).unwrap_or_default();
        self.parts.push(Part { range: self.at..self.at + count, name: name.to_owned(), about, value });
        self.at += count;
    }

    /// Makes a part of everything up to `end`.
    fn take_to(&mut self, end: usize, name: &str, about: &'static str, value: Option<String>) {
        self.take(end.saturating_sub(self.at), name, about, value);
    }

    /// The bytes up to `end`.
    fn peek_to(&self, end: usize) -> &'s [u8] {
        self.left.get(..end.saturating_sub(self.at)).unwrap_or(self.left)
    }

    fn end(&self) -> usize {
        self.at + self.left.len()
    }

    fn kms_v2(&mut self) {
        let after = self.left.get(KMS_V2_PREFIX.len()..).unwrap_or_default();
        let Some(name_bytes) = after.iter().position(|byte| *byte == b':') else {
            return self.take_to(self.end(), "prefix", "a KMS v2 prefix whose provider's name does not end", None);
        };
        let name = shown(after.get(..name_bytes).unwrap_or_default());
        self.take(KMS_V2_PREFIX.len(), "prefix", "encrypted by a KMS v2 provider", None);
        self.take(name_bytes, "provider", "the provider's name in the EncryptionConfiguration", Some(name));
        self.take(1, "prefix (end)", "what follows is protobuf", None);
        let context = Context { kind: None, source_type: object::source_type_of(self.left) };
        self.message(self.end(), "", &ENCRYPTED_OBJECT, &context);
    }

    fn kms_v1(&mut self) {
        // A name may hold colons: it ends at the first one behind which a whole encrypted data key can be read.
        let after = self.left.get(KMS_V1_PREFIX.len()..).unwrap_or_default();
        let colons = || after.iter().enumerate().filter(|(_, byte)| **byte == b':').map(|(position, _)| position);
        let encrypted_bytes = |colon: usize| {
            let (encrypted, sealed) = kms_v1::split(after.get(colon + 1..)?)?;
            (!encrypted.is_empty() && sealed.len() >= NONCE_BYTES).then_some(encrypted.len())
        };
        let Some(colon) = colons().find(|colon| encrypted_bytes(*colon).is_some()).or_else(|| colons().next()) else {
            return self.take_to(self.end(), "prefix", "a KMS v1 prefix whose provider's name does not end", None);
        };
        let name = shown(after.get(..colon).unwrap_or_default());
        self.take(KMS_V1_PREFIX.len(), "prefix", "encrypted by a KMS v1 provider", None);
        self.take(colon, "provider", "the provider's name in the EncryptionConfiguration", Some(name));
        self.take(1, "prefix (end)", "what follows is the encrypted data key", None);
        let Some(bytes) = encrypted_bytes(colon) else {
            return self.take_to(self.end(), "sealed value", "too short to hold a data key and a sealed value", None);
        };
        self.take(2, "encryptedDEK (length)", "big-endian", Some(bytes.to_string()));
        self.take(bytes, "encryptedDEK", "this value's own key as the KMS plugin encrypted it, verbatim", None);
        self.gcm(self.end(), "");
    }

    fn keys(&mut self, cipher: KeyCipher) {
        let after = self.left.get(cipher.prefix().len()..).unwrap_or_default();
        let Some(name_bytes) = after.iter().position(|byte| *byte == b':') else {
            return self.take_to(self.end(), "prefix", "a prefix whose key's name does not end", None);
        };
        let name = shown(after.get(..name_bytes).unwrap_or_default());
        self.take(cipher.prefix().len(), "prefix", "encrypted with a key in the EncryptionConfiguration", None);
        self.take(name_bytes, "key", "the key's name in the EncryptionConfiguration", Some(name));
        self.take(1, "prefix (end)", "what follows is sealed", None);
        match cipher {
            KeyCipher::AesCbc => {
                if self.left.len() < cbc::IV_BYTES + cbc::BLOCK_BYTES {
                    return self.take_to(self.end(), "sealed value", TOO_SHORT, None);
                }
                self.take(cbc::IV_BYTES, "iv", "the initialisation vector of AES-CBC; random", None);
                let about = "the object, encrypted and padded to whole blocks; nothing proves that it has not changed";
                self.take_to(self.end(), "ciphertext", about, None);
            }
            KeyCipher::AesGcm => self.gcm(self.end(), ""),
            KeyCipher::Secretbox => {
                if self.left.len() < SECRETBOX_NONCE_BYTES + SECRETBOX_TAG_BYTES {
                    return self.take_to(self.end(), "sealed value", TOO_SHORT, None);
                }
                self.take(SECRETBOX_NONCE_BYTES, "nonce", "the nonce of XSalsa20; random", None);
                self.take(SECRETBOX_TAG_BYTES, "tag", "Poly1305: proves that no bit has changed", None);
                self.take_to(self.end(), "ciphertext", "the object, encrypted; as long as the object", None);
            }
        }
    }

    /// Nonce, ciphertext and tag of AES-GCM.
    fn gcm(&mut self, end: usize, path: &str) {
        if end - self.at < NONCE_BYTES + TAG_BYTES {
            return self.take_to(end, &join(path, "sealed value"), TOO_SHORT, None);
        }
        self.take(NONCE_BYTES, &join(path, "nonce"), "the nonce of AES-GCM", None);
        self.take_to(end - TAG_BYTES, &join(path, "ciphertext"), "the object, encrypted; as long as the object", None);
        self.take_to(end, &join(path, "tag"), "proves that no bit, nor the etcd key, has changed", None);
    }

    fn other_provider(&mut self) {
        // k8s:enc:<provider>:<version>:<name>:
        let colons = self.left.iter().enumerate().filter(|(_, byte)| **byte == b':');
        if let Some(last) = colons.map(|(position, _)| position).nth(4) {
            let prefix = shown(self.left.get(..last).unwrap_or_default());
            self.take(last + 1, "prefix", "a provider that kube-apiserver does not have", Some(prefix));
            self.take_to(self.end(), "sealed value", "its layout is the provider's", None);
        } else {
            self.take_to(self.end(), "prefix", "a prefix of an encrypted value that does not end", None);
        }
    }

    fn message(&mut self, end: usize, path: &str, message: &Message, context: &Context) {
        while self.at < end {
            let field_end = self.field(end, path, message, context);
            if field_end.is_none() {
                return self.take_to(end, &join(path, "?"), "not protobuf: these bytes cannot be read", None);
            }
        }
    }

    /// One field; `None`, with nothing taken, if it cannot be read.
    fn field(&mut self, end: usize, path: &str, message: &Message, context: &Context) -> Option<()> {
        let bytes = self.peek_to(end);
        let (key, key_bytes) = varint(bytes)?;
        let number = u32::try_from(key >> 3).ok().filter(|number| *number > 0)?;
        let known = message.fields.iter().find(|field| field.number == number);
        let name = known.map_or_else(|| join(path, &format!("field {number}")), |field| join(path, field.name));
        let about = known.map_or("a field that is not known; skipped on read", |field| field.about);
        let after_key = bytes.get(key_bytes..)?;
        match key & 7 {
            WIRE_VARINT => {
                let (number, value_bytes) = varint(after_key)?;
                self.take(key_bytes, &format!("{name} (tag)"), about, None);
                self.take(value_bytes, &name, about, Some(number.to_string()));
            }
            WIRE_LENGTH => {
                let (length, length_bytes) = varint(after_key)?;
                let length = usize::try_from(length).ok().filter(|length| *length <= after_key.len() - length_bytes)?;
                self.take(key_bytes + length_bytes, &format!("{name} (tag, length)"), about, Some(length.to_string()));
                self.content(self.at + length, &name, known, context);
            }
            fixed @ (WIRE_FIXED64 | WIRE_FIXED32) => {
                let value_bytes = if fixed == WIRE_FIXED64 { 8 } else { 4 };
                after_key.get(..value_bytes)?;
                self.take(key_bytes, &format!("{name} (tag)"), about, None);
                self.take(value_bytes, &name, about, None);
            }
            _ => return None,
        }
        Some(())
    }

    fn content(&mut self, end: usize, name: &str, field: Option<&Field>, context: &Context) {
        let about = field.map_or("", |field| field.about);
        match field.map(|field| field.shape) {
            Some(Shape::Encrypted) => self.encrypted_data(end, name, context.source_type),
            Some(Shape::Message(message)) => self.message(end, name, message, context),
            Some(Shape::Object) => {
                match context.kind.as_deref().and_then(|kind| Some((kind, schema::of_kind(kind)?))) {
                    Some((kind, message)) => self.message(end, kind, message, context),
                    None => self.take_to(end, name, "an object of a kind that is not emulated", None),
                }
            }
            Some(Shape::Text) => self.take_to(end, name, about, Some(shown(self.peek_to(end)))),
            Some(Shape::Bytes | Shape::Number) | None => self.take_to(end, name, about, None),
        }
    }

    fn encrypted_data(&mut self, end: usize, name: &str, source_type: Option<SourceType>) {
        let head = match source_type {
            Some(SourceType::AesGcmKey) => 0,
            Some(SourceType::HkdfSha256XnonceAesGcmSeed) => INFO_BYTES,
            None => return self.take_to(end, name, "sealed under an unknown type of DEK source", None),
        };
        if end - self.at < head + NONCE_BYTES + TAG_BYTES {
            return self.take_to(end, name, TOO_SHORT, None);
        }
        self.take(head, &join(name, "info"), "random; HKDF makes this value's own key from the seed and this", None);
        self.gcm(end, name);
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// A text as it may be printed: control characters escaped, long ones cut.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut shown: String = text.chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

/// A varint and how many bytes it takes.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut left = bytes;
    let number = prost::encoding::decode_varint(&mut left).ok()?;
    Some((number, bytes.len() - left.len()))
}

const WIRE_VARINT: u64 = 0;
const WIRE_FIXED64: u64 = 1;
const WIRE_LENGTH: u64 = 2;
const WIRE_FIXED32: u64 = 5;
const TOO_SHORT: &str = "too short to hold what a sealed value needs";
/// More than any key id or annotation of Azure's has.
const SHOWN_CHARS: usize = 120;
