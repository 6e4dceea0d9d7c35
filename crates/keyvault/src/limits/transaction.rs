//! What one request counts as: its class, and its weight in it.

use crate::operation::Operation;

/// A request, as the limits see it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Transaction {
    pub(super) class: Class,
    pub(super) weight: u32,
}

/// The classes that are counted apart.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Class {
    HsmCreate,
    HsmOther,
    SoftwareCreate,
    SoftwareOther,
    /// Secrets, and what is about the vault as a whole, such as lists.
    Vault,
}

/// The key that a request is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Material {
    /// Whether it lies in an HSM.
    pub(crate) is_hsm: bool,
    /// Bits of the modulus of an RSA key; `None` for others.
    pub(crate) rsa_bits: Option<usize>,
}

impl Transaction {
    /// What a request counts as. `key` is the key it is about, if there is one.
    ///
    /// `Assumed:` import and rotation count as making a key; a request for a key that is not there counts as one for the
    /// vault. Documented: release shares the limit of making keys.
    pub(crate) fn of(operation: Operation, key: Option<Material>) -> Self {
        use Operation as O;
        let makes = matches!(operation, O::KeyCreate | O::KeyImport | O::KeyRelease | O::KeyRotate);
        match key {
            Some(key) if makes => {
                Self { class: if key.is_hsm { Class::HsmCreate } else { Class::SoftwareCreate }, weight: 1 }
            }
            Some(key) => {
                let weight = match key.rsa_bits {
                    Some(4_096..) => 8,
                    Some(3_072..) => 4,
                    _ => 1,
                };
                Self { class: if key.is_hsm { Class::HsmOther } else { Class::SoftwareOther }, weight }
            }
            None if makes => Self { class: Class::SoftwareCreate, weight: 1 },
            None => Self { class: Class::Vault, weight: 1 },
        }
    }
}

impl Class {
    /// What a vault may take of it in ten seconds, in units of RSA 2048. A subscription may take five times that.
    pub(super) fn limit(self) -> u32 {
        match self {
            Self::HsmCreate => 10,
            Self::HsmOther => 2_000,
            Self::SoftwareCreate => 20,
            Self::SoftwareOther | Self::Vault => 4_000,
        }
    }
}
