//! The five annotations that Azure's plugin stores with every encrypted seed, and what it checks of them on Decrypt.
//!
//! Imitates `pkg/plugin/keyvault.go` of Azure/kubernetes-kms: names, values, order of the checks and their texts. Date,
//! request id and region only inform.

use std::collections::BTreeMap;

/// What the vault's answer said about itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Receipt {
    /// The `Date` header, empty if absent; so are the others.
    pub(crate) date: String,
    /// The `x-ms-request-id` header.
    pub(crate) request_id: String,
    /// The `x-ms-keyvault-region` header.
    pub(crate) region: String,
}

pub(crate) type Annotations = BTreeMap<String, Vec<u8>>;

/// The annotations of a ciphertext that the vault has just made.
pub(crate) fn annotations(receipt: &Receipt) -> Annotations {
    [
        (DATE, receipt.date.as_str()),
        (REQUEST_ID, &receipt.request_id),
        (REGION, &receipt.region),
        (VERSION, ANNOTATION_VERSION),
        (ALGORITHM, RSA_OAEP_256),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.as_bytes().to_vec()))
    .collect()
}

/// The first check on Decrypt, before the key id's.
pub(crate) fn require_some(annotations: &Annotations) -> Result<(), AnnotationError> {
    if annotations.is_empty() { Err(AnnotationError::Empty) } else { Ok(()) }
}

/// The last checks on Decrypt, after the key id's.
pub(crate) fn require_ours(annotations: &Annotations) -> Result<(), AnnotationError> {
    let value = |key| String::from_utf8_lossy(annotations.get(key).map_or(&[][..], Vec::as_slice)).into_owned();
    let algorithm = value(ALGORITHM);
    if algorithm != RSA_OAEP_256 {
        return Err(AnnotationError::Algorithm { algorithm });
    }
    let version = value(VERSION);
    if version != ANNOTATION_VERSION {
        return Err(AnnotationError::Version { version });
    }
    Ok(())
}

/// Why annotations are not of a ciphertext of this plugin.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum AnnotationError {
    #[error("algorithm {algorithm} does not match expected algorithm {RSA_OAEP_256} used for encryption")]
    Algorithm { algorithm: String },
    #[error("invalid annotations, annotations cannot be empty")]
    Empty,
    #[error("version {version} does not match expected version {ANNOTATION_VERSION} used for encryption")]
    Version { version: String },
}

const DATE: &str = "date.azure.akv.io";
const REQUEST_ID: &str = "x-ms-request-id.azure.akv.io";
const REGION: &str = "x-ms-keyvault-region.azure.akv.io";
const VERSION: &str = "version.azure.akv.io";
const ALGORITHM: &str = "algorithm.azure.akv.io";

const ANNOTATION_VERSION: &str = "1";
const RSA_OAEP_256: &str = "RSA-OAEP-256";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn there_are_five_even_if_the_vault_said_nothing() {
        let made = annotations(&Receipt::default());
        assert_eq!(made.len(), 5);
        assert_eq!(made[DATE], b"");
        require_some(&made).unwrap();
        require_ours(&made).unwrap();
    }

    #[test]
    fn the_texts_are_azures() {
        assert_eq!(
            require_some(&Annotations::new()).unwrap_err().to_string(),
            "invalid annotations, annotations cannot be empty"
        );
        let mut made = annotations(&Receipt::default());
        made.insert(VERSION.to_owned(), b"2".to_vec());
        assert_eq!(
            require_ours(&made).unwrap_err().to_string(),
            "version 2 does not match expected version 1 used for encryption"
        );
        made.insert(ALGORITHM.to_owned(), b"RSA1_5".to_vec());
        assert_eq!(
            require_ours(&made).unwrap_err().to_string(),
            "algorithm RSA1_5 does not match expected algorithm RSA-OAEP-256 used for encryption"
        );
        made.remove(ALGORITHM);
        assert_eq!(
            require_ours(&made).unwrap_err().to_string(),
            "algorithm  does not match expected algorithm RSA-OAEP-256 used for encryption"
        );
    }

    proptest! {
        #[test]
        fn only_the_exact_values_pass(algorithm: Vec<u8>, version: Vec<u8>, other in ".{0,20}") {
            let mut made = annotations(&Receipt::default());
            made.insert(other, Vec::new());
            made.insert(ALGORITHM.to_owned(), algorithm.clone());
            made.insert(VERSION.to_owned(), version.clone());
            let passes = algorithm == RSA_OAEP_256.as_bytes() && version == ANNOTATION_VERSION.as_bytes();
            prop_assert_eq!(require_ours(&made).is_ok(), passes);
        }
    }
}
