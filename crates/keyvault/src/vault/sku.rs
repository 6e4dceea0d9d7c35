//! The two editions of a vault.

use serde::{Deserialize, Serialize};

/// The edition of a vault: <https://azure.microsoft.com/pricing/details/key-vault/>. Only premium ones have keys in hardware.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sku {
    /// Keys of every type.
    #[default]
    Premium,
    /// Keys in software: no type whose name ends in `-HSM`.
    Standard,
}
