//! One API server and one plugin over random writes, rotations, restarts, outages and jumps of the clock, with a small
//! model of what must hold beside them.

use std::collections::BTreeMap;

use envelope::{
    CACHE_TTL, Check, EncryptAnswer, EncryptedObject, HEALTHY_TTL, HealthError, KeyMaterial, Kms, OpenError, Opened,
    ProviderName, Read, RpcCode, RpcError, SealError, StatusAnswer, SystemRandom, UNHEALTHY_TTL, WRITE_GRACE,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::plugin::{PROVIDER, now};

const PREFIX: &[u8] = b"k8s:enc:kms:v2:azurekmsprovider:";

#[derive(Clone, Debug)]
enum Step {
    Advance { seconds: i64 },
    Check,
    Read { object: u8 },
    Restart,
    Rotate,
    SetEncryptBroken(bool),
    SetUp(bool),
    Write { object: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => prop_oneof![0..5_i64, 10..30_i64, 100..200_i64, 80_000..90_000_i64].prop_map(|seconds| Step::Advance { seconds }),
        5 => Just(Step::Check),
        4 => (0..4_u8).prop_map(|object| Step::Read { object }),
        1 => Just(Step::Restart),
        2 => Just(Step::Rotate),
        1 => any::<bool>().prop_map(Step::SetEncryptBroken),
        2 => any::<bool>().prop_map(Step::SetUp),
        6 => (0..4_u8).prop_map(|object| Step::Write { object }),
    ]
}

/// A plugin that can decrypt all it ever encrypted: the ciphertext is the seed under its key's number.
#[derive(Default)]
struct Plugin {
    key: u8,
    down: bool,
    encrypt_broken: bool,
}

impl Plugin {
    fn key_id(&self) -> String {
        format!("key-{}", self.key)
    }

    fn status(&self) -> Result<StatusAnswer, RpcError> {
        self.answer(StatusAnswer { version: "v2".into(), healthz: "ok".into(), key_id: self.key_id() })
    }

    fn encrypt(&self, seed: &[u8]) -> Result<EncryptAnswer, RpcError> {
        if self.encrypt_broken {
            return Err(RpcError { code: RpcCode::PermissionDenied, message: "no encrypt permission".into() });
        }
        let ciphertext = seed.iter().map(|byte| byte ^ self.key).collect();
        self.answer(EncryptAnswer { ciphertext, key_id: self.key_id(), annotations: BTreeMap::new() })
    }

    fn decrypt(&self, object: &EncryptedObject) -> Result<KeyMaterial, RpcError> {
        let key: u8 = object.key_id().as_str().strip_prefix("key-").unwrap().parse().unwrap();
        let seed = object.encrypted_dek_source().as_bytes().iter().map(|byte| byte ^ key).collect();
        self.answer(KeyMaterial::new(seed))
    }

    fn answer<T>(&self, answer: T) -> Result<T, RpcError> {
        if self.down { Err(RpcError { code: RpcCode::Unavailable, message: "down".into() }) } else { Ok(answer) }
    }
}

struct Object {
    stored: Vec<u8>,
    plain: Vec<u8>,
    key_id: String,
}

/// What the model knows of the server since its last restart.
#[derive(Default)]
struct Model {
    /// The last check that asked the plugin: when, and whether it went well.
    last_check: Option<(Timestamp, bool)>,
    /// Until when the current seed may write.
    writes_until: Option<Timestamp>,
    /// The key id of the current seed.
    key_id: Option<String>,
    /// Cached seeds by their ciphertext, with the time they may be swept out from.
    cached: BTreeMap<Vec<u8>, Timestamp>,
    /// The ciphertext of the current seed.
    current: Option<Vec<u8>>,
}

impl Model {
    fn cache(&mut self, ciphertext: Vec<u8>, now: Timestamp) {
        self.cached.retain(|_, expires| now < *expires);
        self.cached.insert(ciphertext, now + CACHE_TTL);
    }
}

struct World {
    now: Timestamp,
    plugin: Plugin,
    kms: Kms,
    objects: BTreeMap<u8, Object>,
    model: Model,
    writes: u32,
}

impl World {
    fn new() -> Self {
        Self {
            now: now(),
            plugin: Plugin::default(),
            kms: new_kms(),
            objects: BTreeMap::new(),
            model: Model::default(),
            writes: 0,
        }
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Advance { seconds } => self.now += SignedDuration::from_secs(seconds),
            Step::Check => self.check(),
            Step::Read { object } => self.read(object),
            Step::Restart => {
                self.kms = new_kms();
                self.model = Model::default();
            }
            Step::Rotate => self.plugin.key = self.plugin.key.wrapping_add(1),
            Step::SetEncryptBroken(broken) => self.plugin.encrypt_broken = broken,
            Step::SetUp(up) => self.plugin.down = !up,
            Step::Write { object } => self.write(object),
        }
    }

    fn check(&mut self) {
        let remembered = self.model.last_check.and_then(|(at, ok)| {
            let ttl = if ok { HEALTHY_TTL } else { UNHEALTHY_TTL };
            (self.now.duration_since(at) < ttl).then_some(ok)
        });
        match (self.kms.check(self.now), remembered) {
            (Check::Done(outcome), Some(ok)) => return assert_eq!(outcome.is_ok(), ok, "{outcome:?}"),
            (Check::AskStatus, None) => {}
            (check, remembered) => panic!("{check:?}, although the model remembers {remembered:?}"),
        }
        let outcome = match self.kms.status_answered(self.plugin.status(), self.now, &SystemRandom) {
            Check::AskEncrypt(seed) => {
                assert_ne!(
                    self.model.key_id.as_deref(),
                    Some(self.plugin.key_id().as_str()),
                    "a seed for a key that has one"
                );
                let answer = self.plugin.encrypt(seed.expose_plaintext());
                if let Ok(answer) = &answer {
                    self.model.current = Some(answer.ciphertext.clone());
                    self.model.key_id = Some(answer.key_id.clone());
                }
                self.kms.encrypt_answered(seed, answer, self.now)
            }
            Check::Done(outcome) => outcome,
            Check::AskStatus => panic!("Status was answered"),
        };
        if outcome.is_ok() {
            assert_eq!(self.model.key_id.as_deref(), Some(self.plugin.key_id().as_str()), "the seed follows the key");
            self.model.writes_until = Some(self.now + WRITE_GRACE);
        } else {
            assert!(self.plugin.down || self.plugin.encrypt_broken, "{outcome:?}");
            assert!(!matches!(outcome, Err(HealthError::Remembered(_))), "a first report tells the whole sentence");
        }
        self.model.last_check = Some((self.now, outcome.is_ok()));
    }

    fn write(&mut self, name: u8) {
        match self.kms.writer(self.now) {
            Ok(writer) => {
                self.writes += 1;
                let plain = format!("{name} {}", self.writes).into_bytes();
                let stored = writer.seal(&etcd_key(name), &plain, &SystemRandom).unwrap();
                self.objects.insert(name, Object { stored, plain, key_id: writer.key_id().as_str().to_owned() });
                self.model.cache(self.model.current.clone().unwrap(), self.now);
            }
            Err(SealError::NoSeed) => assert_eq!(self.model.key_id, None),
            Err(SealError::Expired { .. }) => assert!(self.now > self.model.writes_until.unwrap()),
            Err(error) => panic!("{error}"),
        }
    }

    fn read(&mut self, name: u8) {
        let Some(object) = self.objects.get(&name) else { return };
        let (stored, plain) = (object.stored.clone(), object.plain.clone());
        let record = EncryptedObject::decode(stored.strip_prefix(PREFIX).unwrap()).unwrap();
        let ciphertext = record.encrypted_dek_source().as_bytes().to_vec();
        let read = match self.kms.read(record, &SystemRandom) {
            Ok(read) => read,
            Err(error) => {
                assert_eq!((error, self.model.key_id.as_deref()), (OpenError::NoSeed, None));
                return;
            }
        };
        let opened = match read {
            Read::Ready(opener) => {
                assert!(
                    self.model.cached.contains_key(&ciphertext),
                    "served from a cache that the model says has it not"
                );
                opener.open(&etcd_key(name))
            }
            Read::AskDecrypt(pending) => {
                assert!(!self.model.cached.contains_key(&ciphertext), "asked although the model says it is cached");
                let answer = self.plugin.decrypt(pending.object());
                match self.kms.decrypt_answered(pending, answer, self.now) {
                    Ok(opener) => {
                        self.model.cache(ciphertext, self.now);
                        opener.open(&etcd_key(name))
                    }
                    Err(error) => {
                        assert!(matches!(error, OpenError::Decrypt(_)) && self.plugin.down, "{error}");
                        return;
                    }
                }
            }
        };
        let stale = Some(&self.objects[&name].key_id) != self.model.key_id.as_ref();
        assert_eq!(opened, Ok(Opened { plain, stale }));
    }

    /// With the plugin back and one good check, every object opens to what was last written.
    fn invariant_nothing_readable_is_lost(&self) {
        let mut kms = new_kms();
        let plugin = Plugin { key: self.plugin.key, ..Plugin::default() };
        assert!(matches!(kms.check(self.now), Check::AskStatus));
        let Check::AskEncrypt(seed) = kms.status_answered(plugin.status(), self.now, &SystemRandom) else { panic!() };
        let answer = plugin.encrypt(seed.expose_plaintext());
        kms.encrypt_answered(seed, answer, self.now).unwrap();
        for (name, object) in &self.objects {
            let record = EncryptedObject::decode(object.stored.strip_prefix(PREFIX).unwrap()).unwrap();
            let opener = match kms.read(record, &SystemRandom).unwrap() {
                Read::Ready(opener) => opener,
                Read::AskDecrypt(pending) => {
                    let answer = plugin.decrypt(pending.object());
                    kms.decrypt_answered(pending, answer, self.now).unwrap()
                }
            };
            assert_eq!(opener.open(&etcd_key(*name)).unwrap().plain, object.plain);
        }
    }

    /// The provider hands out a writer exactly until three minutes after the last good check.
    fn invariant_no_write_under_an_expired_seed(&mut self) {
        let may_write = self.model.writes_until.is_some_and(|until| self.now <= until);
        // Asking for a writer sweeps the cache, so the model is told.
        let writer = self.kms.writer(self.now);
        assert_eq!(writer.is_ok(), may_write, "{writer:?}");
        if let Ok(writer) = writer {
            assert_eq!(Some(writer.key_id().as_str()), self.model.key_id.as_deref());
            self.model.cache(self.model.current.clone().unwrap(), self.now);
        }
    }

    /// Whatever opens from the cache is stale exactly if its key id is not the current one.
    fn invariant_stale_exactly_if_the_key_id_differs(&self) {
        for (name, object) in &self.objects {
            let record = EncryptedObject::decode(object.stored.strip_prefix(PREFIX).unwrap()).unwrap();
            if let Ok(Read::Ready(opener)) = self.kms.read(record, &SystemRandom) {
                let opened = opener.open(&etcd_key(*name)).unwrap();
                assert_eq!(opened.stale, Some(&object.key_id) != self.model.key_id.as_ref());
            }
        }
    }

    fn invariant_the_cache_holds_what_the_model_says(&self) {
        assert_eq!(self.kms.cached_dek_sources(), self.model.cached.len());
    }
}

fn new_kms() -> Kms {
    Kms::new(ProviderName::new(PROVIDER).unwrap())
}

fn etcd_key(name: u8) -> String {
    format!("/registry/secrets/default/{name}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_server_keeps_its_promises(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        for step in &steps {
            world.apply(step);
            world.invariant_nothing_readable_is_lost();
            world.invariant_no_write_under_an_expired_seed();
            world.invariant_stale_exactly_if_the_key_id_differs();
            world.invariant_the_cache_holds_what_the_model_says();
        }
    }
}
