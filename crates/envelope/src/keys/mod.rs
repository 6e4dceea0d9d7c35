//! The providers whose keys stand in the configuration file itself: `aescbc`, `aesgcm` and `secretbox`.

pub(crate) mod cbc;
mod cipher;
mod list;
mod secretbox;

pub use cipher::KeyCipher;
pub use list::{KeyList, NamedKey};
pub(crate) use secretbox::{NONCE_BYTES as SECRETBOX_NONCE_BYTES, TAG_BYTES as SECRETBOX_TAG_BYTES};
