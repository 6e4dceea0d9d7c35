//! `storage/value/transformer_test.go`: prefixes, as far as no metric is looked at.

use envelope::Provider;
use envelope::SystemRandom;

use super::encryptionconfig::{chain, open, secrets};

const KEYS: &str = "{aesgcm: {keys: [{name: k, secret: AAAAAAAAAAAAAAAAAAAAAA==}]}}";
const OTHER: &str = "{aescbc: {keys: [{name: k, secret: AAAAAAAAAAAAAAAAAAAAAA==}]}}";

#[test]
fn test_prefix_from() {
    let config = secrets(&format!("[{KEYS}, {OTHER}]"));
    let seal = |providers: &str| {
        let config = secrets(providers);
        let Provider::Keys(keys) = chain(&config).writer() else { panic!("keys") };
        keys.seal("/a", b"value", &SystemRandom).unwrap()
    };
    let (first, second) = (seal(&format!("[{KEYS}]")), seal(&format!("[{OTHER}]")));
    // The first provider's value, the second's, which is stale, one that is nobody's, and one that does not open.
    assert!(!open(&config, "/a", &first).unwrap().stale);
    assert!(open(&config, "/a", &second).unwrap().stale);
    let error = |stored: &[u8]| open(&config, "/a", stored).unwrap_err().to_string();
    assert_eq!(error(b"k8s:enc:secretbox:v1:k:"), "no matching prefix found");
    assert_eq!(error(b"foo:value"), "no matching prefix found");
    assert_eq!(error(&first[..first.len() - 1]), "cipher: message authentication failed");
    assert_eq!(error(&second[..40]), "the stored data is not a multiple of the block size");
}

#[test]
fn test_prefix_to() {
    for (providers, prefix) in
        [(format!("[{KEYS}, {OTHER}]"), "k8s:enc:aesgcm:v1:"), (format!("[{OTHER}, {KEYS}]"), "k8s:enc:aescbc:v1:")]
    {
        let config = secrets(&providers);
        let Provider::Keys(keys) = chain(&config).writer() else { panic!("keys") };
        assert!(keys.seal("/a", b"value", &SystemRandom).unwrap().starts_with(format!("{prefix}k:").as_bytes()));
    }
    let config = secrets(&format!("[{{identity: {{}}}}, {KEYS}]"));
    assert!(matches!(chain(&config).writer(), Provider::Identity));
}
