//! The life of a seed, case by case: what a check does with every state it can meet, and how it tells what went wrong.
//! As upstream's `Test_kmsv2PluginProbe_rotateDEKOnKeyIDChange`, `TestIsKMSv2ProviderHealthyError` and `TestCacheNotCorrupted`.

use envelope::{
    Check, EncryptedObject, HealthError, KeyMaterial, Kms, OpenError, ProviderName, Read, RpcCode, RpcError, SealError,
    StatusAnswer, SystemRandom, WRITE_GRACE,
};
use jiff::SignedDuration;

use crate::plugin::{PROVIDER, Script, check, encrypted, healthy, now, status};

const SECOND: SignedDuration = SignedDuration::from_secs(1);

fn fresh() -> Kms {
    Kms::new(ProviderName::new(PROVIDER).unwrap())
}

fn denied() -> RpcError {
    RpcError { code: RpcCode::PermissionDenied, message: "no".into() }
}

/// Random bytes for one seed and its request id.
fn script() -> Script {
    Script::new([7; 48])
}

#[test]
fn a_server_that_never_had_a_seed_says_so() {
    let mut kms = fresh();
    let error = check(&mut kms, now(), &script(), Ok(status("1")), |_, _| Err(denied())).unwrap_err();
    insta::assert_snapshot!(error, @r#"kmsv2 Provider azurekmsprovider is not healthy, error: failed to rotate DEK uid="07070707-0707-4707-8707-070707070707", useSeed=true, errState=got unexpected nil transformer, errGen=failed to encrypt DEK, error: rpc error: code = PermissionDenied desc = no, statusKeyIDHash="sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b", encryptKeyIDHash="", stateKeyIDHash="", expirationTimestamp=0001-01-01T00:00:00Z"#);
    assert_eq!(kms.writer(now()).unwrap_err(), SealError::NoSeed);
}

#[test]
fn without_random_bytes_there_is_no_seed() {
    let mut kms = fresh();
    let error =
        check(&mut kms, now(), &Script::new([]), Ok(status("1")), |_, _| panic!("nothing to encrypt")).unwrap_err();
    assert!(error.to_string().contains("errGen=get random bytes from the operating system"), "{error}");
}

#[test]
fn a_mismatch_between_status_and_encrypt_keeps_the_old_seed() {
    let mut kms = healthy("1");
    let later = now() + 30 * SECOND;
    let answer = encrypted(b"EDEK", "3", &[]);
    let error = check(&mut kms, later, &script(), Ok(status("2")), |_, _| Ok(answer)).unwrap_err();
    assert!(error.to_string().contains("errState=<nil>, errGen=<nil>"), "{error}");
    assert!(error.to_string().ends_with("expirationTimestamp=2026-11-24T20:56:30Z"), "the old seed's: {error}");
    assert_eq!(kms.writer(later).unwrap().key_id().as_str(), "1");
}

#[test]
fn a_good_check_prolongs_and_revives_a_seed() {
    let mut kms = healthy("1");
    assert!(kms.writer(now() + WRITE_GRACE).is_ok(), "the last moment");
    let expired = now() + WRITE_GRACE + SECOND;
    assert_eq!(
        kms.writer(expired).unwrap_err().to_string(),
        "encryptedDEKSource with keyID hash \"sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b\" expired at \
         2026-11-24T20:56:30Z (current time is 2026-11-24T20:56:31Z)"
    );
    check(&mut kms, expired, &SystemRandom, Ok(status("1")), |_, _| panic!("the seed is good")).unwrap();
    assert!(kms.writer(expired + WRITE_GRACE).is_ok());
}

#[test]
fn a_failed_status_prolongs_nothing() {
    let mut kms = healthy("1");
    let later = now() + 100 * SECOND;
    check(&mut kms, later, &SystemRandom, Err(denied()), |_, _| panic!("no Status, no seed")).unwrap_err();
    assert!(kms.writer(now() + WRITE_GRACE).is_ok());
    assert!(kms.writer(now() + WRITE_GRACE + SECOND).is_err());
}

#[test]
fn a_bad_healthz_with_a_good_key_id_still_prolongs_and_rotates() {
    let mut kms = healthy("1");
    let tired = |key_id: &str| Ok(StatusAnswer { healthz: "tired".into(), ..status(key_id) });
    let later = now() + 100 * SECOND;
    check(&mut kms, later, &SystemRandom, tired("1"), |_, _| panic!("the key is the same")).unwrap_err();
    assert!(kms.writer(later + WRITE_GRACE).is_ok());
    let answer = encrypted(b"EDEK2", "2", &[]);
    let error = check(&mut kms, later + 4 * SECOND, &SystemRandom, tired("2"), |_, _| Ok(answer)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "kmsv2 Provider azurekmsprovider is not healthy, error: got unexpected healthz status: tired"
    );
    assert_eq!(kms.writer(later).unwrap().key_id().as_str(), "2");
}

#[test]
fn a_bad_version_is_not_the_first_version() {
    let mut kms = fresh();
    let version = |version: &str| Ok(StatusAnswer { version: version.into(), ..status("1") });
    let answer = encrypted(b"EDEK", "1", &[]);
    check(&mut kms, now(), &SystemRandom, version("v1"), |_, _| Ok(answer)).unwrap_err();
    check(&mut kms, now() + 10 * SECOND, &SystemRandom, version("v2beta1"), |_, _| panic!("has a seed")).unwrap();
    let error =
        check(&mut kms, now() + 60 * SECOND, &SystemRandom, version("v2"), |_, _| panic!("has a seed")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "kmsv2 Provider azurekmsprovider is not healthy, error: KMSv2 API version should not change after the initial status \
         response version v2beta1, got v2"
    );
}

#[test]
fn a_remembered_status_error_is_bare() {
    let mut kms = healthy("1");
    let later = now() + 30 * SECOND;
    let first = check(&mut kms, later, &SystemRandom, Err(denied()), |_, _| panic!()).unwrap_err();
    assert!(matches!(first, HealthError::Status { .. }));
    let Check::Done(Err(again)) = kms.check(later + SECOND) else { panic!("remembered") };
    assert_eq!(again.to_string(), "rpc error: code = PermissionDenied desc = no");
}

#[test]
fn overdue_is_more_than_the_schedule_leaves() {
    assert!(fresh().is_overdue(now()));
    let kms = healthy("1");
    assert!(!kms.is_overdue(now() + 60 * SECOND));
    assert!(kms.is_overdue(now() + 61 * SECOND));
}

/// A plugin that answers the same ciphertext for every seed and keeps the real one in an annotation.
#[test]
fn seeds_that_differ_only_in_an_annotation_are_told_apart() {
    let mut kms = fresh();
    let stored: Vec<_> = ["one", "two"]
        .into_iter()
        .enumerate()
        .map(|(round, wrapped)| {
            let key_id = round.to_string();
            let at = now() + SECOND * i32::try_from(round).unwrap() * 60;
            let answer = encrypted(b"constant", &key_id, &[("local-kek.kms.kubernetes.io", wrapped)]);
            check(&mut kms, at, &SystemRandom, Ok(status(&key_id)), |_, _| Ok(answer)).unwrap();
            kms.writer(at).unwrap().seal("/a", wrapped.as_bytes(), &SystemRandom).unwrap()
        })
        .collect();
    for (stored, plain) in stored.iter().zip(["one", "two"]) {
        let object =
            EncryptedObject::decode(stored.strip_prefix(b"k8s:enc:kms:v2:azurekmsprovider:").unwrap()).unwrap();
        let Ok(Read::Ready(opener)) = kms.read(object, &SystemRandom) else { panic!("cached") };
        assert_eq!(opener.open("/a").unwrap().plain, plain.as_bytes());
    }
    assert_eq!(kms.cached_dek_sources(), 2);
}

#[test]
fn an_expired_seed_is_asked_for_again_only_after_a_write_swept_it_out() {
    let mut kms = healthy("1");
    let sealed_elsewhere = {
        let mut other = fresh();
        let answer = encrypted(b"other", "1", &[]);
        check(&mut other, now(), &Script::new([9; 48]), Ok(status("1")), |_, _| Ok(answer)).unwrap();
        other.writer(now()).unwrap().seal("/a", b"plain", &SystemRandom).unwrap()
    };
    let object =
        EncryptedObject::decode(sealed_elsewhere.strip_prefix(b"k8s:enc:kms:v2:azurekmsprovider:").unwrap()).unwrap();
    let Ok(Read::AskDecrypt(pending)) = kms.read(object.clone(), &SystemRandom) else { panic!("not cached") };
    kms.decrypt_answered(pending, Ok(KeyMaterial::new(vec![9; 32])), now()).unwrap();

    let day_later = now() + SignedDuration::from_hours(25);
    check(&mut kms, day_later, &SystemRandom, Ok(status("1")), |_, _| panic!("has a seed")).unwrap();
    assert!(matches!(kms.read(object.clone(), &SystemRandom), Ok(Read::Ready(_))), "expired, and served");
    kms.writer(day_later).unwrap();
    let Ok(Read::AskDecrypt(pending)) = kms.read(object.clone(), &SystemRandom) else { panic!("swept out") };
    let error = kms.decrypt_answered(pending, Err(denied()), day_later).unwrap_err();
    assert_eq!(error, OpenError::Decrypt(denied()));
    assert!(matches!(kms.read(object, &SystemRandom), Ok(Read::AskDecrypt(_))), "failures are not kept");
}
