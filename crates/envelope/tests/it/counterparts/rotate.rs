//! `Test_kmsv2PluginProbe_rotateDEKOnKeyIDChange` and its neighbours of `encryptionconfig/config_test.go`: when a seed is made.
//!
//! The cases that turn seeds off and on again have no counterpart: that switch is for upstream's tests only, and writes are
//! always under a seed here.

use envelope::{
    Check, EncryptAnswer, HEALTHY_TTL, HealthError, Kms, ProviderName, RpcCode, RpcError, StatusAnswer, SystemRandom,
    UNHEALTHY_TTL, WRITE_GRACE,
};
use jiff::{SignedDuration, Timestamp};

use crate::plugin::{PROVIDER, Script, check, encrypted, now, status};

/// Hashes of key ids, as texts show them.
const HASH_1: &str = "sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b";
const HASH_2: &str = "sha256:d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35";
const HASH_3: &str = "sha256:4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce";
const HASH_4: &str = "sha256:4b227777d4dd1fc61c6f884f48641d02b4d121d3fd328cb08b5531fcacdabf8a";
const HASH_5: &str = "sha256:ef2d127de37b942baad06145e54b0c619a1f22327b2ebbcfbec78f5564afe39d";
const UID: &str = "70707070-7070-4070-b070-707070707070";

/// A seed and a uid of known bytes.
fn random() -> Script {
    Script::new(vec![0x70; 48])
}

fn broken() -> RpcError {
    RpcError { code: RpcCode::Unknown, message: "broken".into() }
}

/// A provider with a seed under `key_id` that was told at `at`.
fn with_state(key_id: &str, at: Timestamp) -> Kms {
    let mut kms = Kms::new(ProviderName::new(PROVIDER).unwrap());
    let answer = encrypted(b"previous", key_id, &[]);
    check(&mut kms, at, &SystemRandom, Ok(status(key_id)), |_, _| Ok(answer)).unwrap();
    kms
}

struct Case {
    what: &'static str,
    kms: Kms,
    status_key_id: &'static str,
    answer: Result<EncryptAnswer, RpcError>,
    /// The key id of the seed afterwards, and until when it may write.
    state: Option<(&'static str, Timestamp)>,
    encrypts: usize,
    error: Option<String>,
}

#[test]
fn test_kmsv2_plugin_probe_rotate_dek_on_key_id_change() {
    let kept = now() + WRITE_GRACE;
    let hour_ago = now() - SignedDuration::from_hours(1);
    // Its seed may write for a while yet, and what was found then has grown old.
    let minute_ago = now() - SignedDuration::from_mins(1);
    let invalid = |key_id: &str| encrypted(b"EDEK", key_id, &[("panda", "")]);
    let error = |state: &str, generate: &str, hashes: [&str; 3], expires: &str| {
        let [status, encrypt, state_key_id] = hashes;
        Some(format!(
            "kmsv2 Provider {PROVIDER} is not healthy, error: failed to rotate DEK uid=\"{UID}\", useSeed=true, \
             errState={state}, errGen={generate}, statusKeyIDHash=\"{status}\", encryptKeyIDHash=\"{encrypt}\", \
             stateKeyIDHash=\"{state_key_id}\", expirationTimestamp={expires}"
        ))
    };
    let panda = "failed to validate annotations: annotations: Invalid value: \"panda\": should be a domain with at least two \
                 segments separated by dots";
    let cases = [
        Case {
            what: "happy path, no previous state",
            kms: Kms::new(ProviderName::new(PROVIDER).unwrap()),
            status_key_id: "1",
            answer: Ok(encrypted(b"EDEK", "1", &[])),
            state: Some(("1", kept)),
            encrypts: 1,
            error: None,
        },
        Case {
            what: "happy path, with previous state",
            kms: with_state("2", minute_ago),
            status_key_id: "2",
            answer: Err(broken()),
            state: Some(("2", kept)),
            encrypts: 0,
            error: None,
        },
        Case {
            what: "previous state expired but key ID matches",
            kms: with_state("3", hour_ago),
            status_key_id: "3",
            answer: Err(broken()),
            state: Some(("3", kept)),
            encrypts: 0,
            error: None,
        },
        Case {
            what: "previous state expired but key ID does not match",
            kms: with_state("3", hour_ago),
            status_key_id: "4",
            answer: Ok(encrypted(b"EDEK", "4", &[])),
            state: Some(("4", kept)),
            encrypts: 1,
            error: None,
        },
        Case {
            what: "service down but key ID does not match",
            kms: with_state("4", minute_ago),
            status_key_id: "5",
            answer: Err(broken()),
            state: Some(("4", minute_ago + WRITE_GRACE)),
            encrypts: 1,
            error: error(
                "<nil>",
                "failed to encrypt DEK, error: rpc error: code = Unknown desc = broken",
                [HASH_5, "", HASH_4],
                "2026-11-24T20:55:30Z",
            ),
        },
        Case {
            what: "invalid service response, no previous state",
            kms: Kms::new(ProviderName::new(PROVIDER).unwrap()),
            status_key_id: "1",
            answer: Ok(invalid("1")),
            state: None,
            encrypts: 1,
            error: error("got unexpected nil transformer", panda, [HASH_1, "", ""], "0001-01-01T00:00:00Z"),
        },
        Case {
            what: "invalid service response, with previous state",
            kms: with_state("2", minute_ago),
            status_key_id: "3",
            answer: Ok(invalid("3")),
            state: Some(("2", minute_ago + WRITE_GRACE)),
            encrypts: 1,
            error: error("<nil>", panda, [HASH_3, "", HASH_2], "2026-11-24T20:55:30Z"),
        },
    ];
    for case in cases {
        case.assert();
    }
}

impl Case {
    fn assert(self) {
        let Self { what, mut kms, status_key_id, answer, state, encrypts, error } = self;
        let mut calls = 0;
        let outcome = check(&mut kms, now(), &random(), Ok(status(status_key_id)), |uid, _| {
            assert_eq!(uid, UID, "{what}");
            calls += 1;
            answer
        });
        assert_eq!(outcome.err().map(|error| error.to_string()), error, "{what}");
        assert_eq!(calls, encrypts, "{what}");
        let Some((key_id, expires)) = state else {
            assert!(kms.writer(now()).is_err(), "{what}");
            return;
        };
        let writer = kms.writer(expires).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(writer.key_id().as_str(), key_id, "{what}");
        assert!(kms.writer(expires + SignedDuration::from_nanos(1)).is_err(), "{what}");
        // A seed that may write also reads, without the plugin.
        let stored = writer.seal("/a", b"sample", &SystemRandom).unwrap();
        let opened = crate::plugin::read(&mut kms, &stored, "/a", |_| panic!("cached")).unwrap();
        assert_eq!((opened.plain.as_slice(), opened.stale), (b"sample".as_slice(), false), "{what}");
    }
}

#[test]
fn test_kmsv2_plugin_healthz_ttl() {
    for (answer, ttl) in [(Ok(status("1")), HEALTHY_TTL), (Err(broken()), UNHEALTHY_TTL)] {
        let mut kms = Kms::new(ProviderName::new(PROVIDER).unwrap());
        let _ = check(&mut kms, now(), &SystemRandom, answer, |_, _| Ok(encrypted(b"EDEK", "1", &[])));
        assert!(matches!(kms.check(now() + ttl - SignedDuration::from_nanos(1)), Check::Done(_)));
        assert!(matches!(kms.check(now() + ttl), Check::AskStatus));
    }
}

/// The problems that a first Status has.
fn problems(version: &str, healthz: &str, key_id: &str) -> String {
    let answer = StatusAnswer { version: version.into(), healthz: healthz.into(), key_id: key_id.into() };
    let mut kms = Kms::new(ProviderName::new("testplugin").unwrap());
    let outcome = check(&mut kms, now(), &SystemRandom, Ok(answer), |_, _| Ok(encrypted(b"EDEK", key_id, &[])));
    outcome.map_or_else(|error| error.to_string(), |()| "ok".into())
}

#[test]
fn test_is_kmsv2_provider_healthy_error() {
    let unhealthy = "kmsv2 Provider testplugin is not healthy, error: ";
    assert_eq!(
        problems("", "unhealthy", ""),
        format!(
            "{unhealthy}[got unexpected healthz status: unhealthy, expected KMSv2 API version v2, got , got invalid KMSv2 KeyID \
             hash \"\": keyID is empty]"
        )
    );
    assert_eq!(
        problems("v1beta1", "", ""),
        format!(
            "{unhealthy}[got unexpected healthz status: , expected KMSv2 API version v2, got v1beta1, got invalid KMSv2 KeyID hash \
             \"\": keyID is empty]"
        )
    );
    assert_eq!(problems("v2beta1", "ok", ""), format!("{unhealthy}got invalid KMSv2 KeyID hash \"\": keyID is empty"));
    let long = problems("v2", "ok", &"k".repeat(1025));
    assert!(long.starts_with(&format!("{unhealthy}got invalid KMSv2 KeyID hash \"sha256:")), "{long}");
    assert!(long.ends_with("\": keyID is 1025 bytes, which exceeds the max size of 1024"), "{long}");
}

#[test]
fn test_kmsv2_same_version_from_status() {
    for (version, error) in [
        (
            "v2",
            Some(
                "kmsv2 Provider azurekmsprovider is not healthy, error: KMSv2 API version should not change after the initial \
                 status response version v2beta1, got v2",
            ),
        ),
        ("v2beta1", None),
    ] {
        let mut kms = Kms::new(ProviderName::new(PROVIDER).unwrap());
        let told = |version: &str| StatusAnswer { version: version.into(), ..status("1") };
        let answer = encrypted(b"EDEK", "1", &[]);
        check(&mut kms, now(), &SystemRandom, Ok(told("v2beta1")), |_, _| Ok(answer)).unwrap();
        let outcome: Result<(), HealthError> =
            check(&mut kms, now() + HEALTHY_TTL, &SystemRandom, Ok(told(version)), |_, _| panic!("the seed goes on"));
        assert_eq!(outcome.err().map(|error| error.to_string()).as_deref(), error);
    }
}
