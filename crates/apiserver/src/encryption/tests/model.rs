//! Two servers on one store, at random: writes, reads, rotations, outages, restarts with another order of providers, damage,
//! and jumps of the clock. What must hold is held after every step.

use std::collections::BTreeMap;
use std::sync::Arc;

use envelope::{EncryptedObject, ProviderName};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::world::World;
use crate::encryption::{Encryption, KmsCheck};

/// The prefixes of the providers, in the order of the file; each server puts another one first.
const PREFIXES: [&str; 4] = ["k8s:enc:kms:v2:", "k8s:enc:aesgcm:", "k8s:enc:secretbox:", "k8s"];
const PROVIDERS: [&str; 4] = [
    "{kms: KMS}",
    "{aesgcm: {keys: [{name: key1, secret: c2VjcmV0IGlzIHNlY3VyZQ==}]}}",
    "{secretbox: {keys: [{name: key1, secret: YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0NTY=}]}}",
    "{identity: {}}",
];
const STEPS: usize = 400;

#[tokio::test]
async fn two_servers_on_one_store_keep_their_promises() {
    for seed in [3, 77, 20_261_124] {
        let mut model = Model::new(seed).await;
        for step in 0..STEPS {
            let what = model.step().await;
            model.invariant_nothing_readable_is_lost(&format!("seed {seed}, step {step}: {what}")).await;
        }
        assert!(model.writes > STEPS / 8 && model.refusals > 0, "{} writes, {} refusals", model.writes, model.refusals);
    }
}

struct Model {
    world: World,
    _plugin: super::plugin::Running,
    servers: Vec<Server>,
    store: BTreeMap<String, Entry>,
    random: u64,
    key: usize,
    is_failing: bool,
    writes: usize,
    refusals: usize,
}

struct Server {
    encryption: Arc<Encryption>,
    first: usize,
    /// The key id of its seed; `None` before a first good check.
    key_id: Option<String>,
    last_good: Timestamp,
    is_last_check_good: bool,
}

struct Entry {
    plain: Vec<u8>,
    stored: Vec<u8>,
    is_damaged: bool,
}

impl Model {
    async fn new(seed: u64) -> Self {
        let world = World::new();
        let plugin = world.plugin_up().await;
        let mut model = Self {
            world,
            _plugin: plugin,
            servers: Vec::new(),
            store: BTreeMap::new(),
            random: seed,
            key: 1,
            is_failing: false,
            writes: 0,
            refusals: 0,
        };
        for first in [0, 1] {
            let server = model.start(first).await;
            model.servers.push(server);
        }
        model
    }

    async fn step(&mut self) -> String {
        let which = self.below(2);
        match self.below(12) {
            0..=3 => self.write(which).await,
            4 => self.check(which).await,
            5 => {
                self.key += 1;
                self.behave();
                format!("the plugin moves to key {}", self.key)
            }
            6 => {
                self.is_failing = !self.is_failing;
                self.behave();
                format!("the plugin fails: {}", self.is_failing)
            }
            7 => {
                let first = self.below(PROVIDERS.len());
                self.servers[which] = self.start(first).await;
                format!("server {which} restarts with provider {first} first")
            }
            8 => {
                let seconds = [5, 25, 61, 200, 100_000][self.below(5)];
                self.world.advance(seconds);
                format!("{seconds} s pass")
            }
            9 => self.damage(),
            10 => self.rewrite(which).await,
            _ => {
                let name = self.name();
                self.store.remove(&name);
                format!("{name} is deleted")
            }
        }
    }

    /// Starts a server; its first check is made here and now.
    async fn start(&mut self, first: usize) -> Server {
        let mut order = PROVIDERS.to_vec();
        order.rotate_left(first);
        let config = self.world.config(&format!("[{}]", order.join(", ")));
        let stop = CancellationToken::new();
        let encryption = self.world.server_with(config, &stop).await;
        stop.cancel();
        let key_id = (!self.is_failing).then(|| self.key_id());
        let last_good = self.world.clock.now();
        Server { encryption, first, is_last_check_good: key_id.is_some(), key_id, last_good }
    }

    async fn check(&mut self, which: usize) -> String {
        self.world.advance(21);
        let outcome = self.servers[which].encryption.check(KmsCheck::All).await;
        assert_eq!(outcome.is_ok(), !self.is_failing, "{outcome:?}");
        let (now, key_id) = (self.world.clock.now(), self.key_id());
        let server = &mut self.servers[which];
        server.is_last_check_good = outcome.is_ok();
        if outcome.is_ok() {
            server.key_id = Some(key_id);
            server.last_good = now;
        }
        format!("server {which} is checked: {outcome:?}")
    }

    async fn write(&mut self, which: usize) -> String {
        let name = self.name();
        let plain = format!("k8s\0{name} {}", self.random).into_bytes();
        self.seal(which, &name, plain).await
    }

    /// What an update that changes nothing does: a stale value is written anew, another is left alone.
    async fn rewrite(&mut self, which: usize) -> String {
        let name = self.name();
        let Some(entry) = self.store.get(&name).filter(|entry| !entry.is_damaged) else { return "nothing".into() };
        match self.servers[which].encryption.open("secrets", &name, &entry.stored).await {
            Ok(opened) if opened.stale => self.seal(which, &name, opened.plain).await,
            _ => "nothing to rewrite".into(),
        }
    }

    async fn seal(&mut self, which: usize, name: &str, plain: Vec<u8>) -> String {
        let sealed = self.servers[which].encryption.seal("secrets", name, &plain).await;
        let (now, plugin_key_id, is_failing) = (self.world.clock.now(), self.key_id(), self.is_failing);
        let server = &mut self.servers[which];
        let stored = match sealed {
            Ok(stored) => stored,
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("expired at") || text == "got unexpected nil transformer", "{text}");
                assert_eq!(server.first, 0, "only KMS refuses to write");
                assert!(is_failing || !server.is_last_check_good, "a healthy plugin's server writes: {text}");
                self.refusals += 1;
                return format!("server {which} refuses to write {name}: {text}");
            }
        };
        assert!(stored.starts_with(PREFIXES[server.first].as_bytes()), "the first provider writes");
        if let Some((_, body)) = ProviderName::of_stored(&stored) {
            let key_id = EncryptedObject::decode(body).unwrap().key_id().as_str().to_owned();
            if now > server.last_good + SignedDuration::from_mins(3) {
                assert!(!is_failing, "no write under an expired seed");
                // A clock that jumped had the plugin checked first.
                assert_eq!(key_id, plugin_key_id);
                (server.last_good, server.is_last_check_good) = (now, true);
                server.key_id = Some(key_id);
            } else {
                assert_eq!(Some(key_id), server.key_id, "the seed is that of the last good check");
            }
        }
        self.writes += 1;
        self.store.insert(name.to_owned(), Entry { plain, stored, is_damaged: false });
        format!("server {which} writes {name}")
    }

    fn damage(&mut self) -> String {
        let (name, random) = (self.name(), self.random);
        let Some(entry) = self.store.get_mut(&name) else { return "nothing".into() };
        if entry.stored.starts_with(b"k8s\0") {
            return "identity notices nothing".into();
        }
        if entry.is_damaged || ProviderName::of_stored(&entry.stored).is_some() {
            return "what is damaged stays so, and records have tests of their own".into();
        }
        // The last byte is of a tag, or of the ciphertext.
        if let Some(last) = entry.stored.last_mut() {
            *last ^= 1 << (random % 8);
        }
        entry.is_damaged = true;
        format!("{name} is damaged")
    }

    /// Every value is read by both servers as what was written, and is stale exactly if a write would store it otherwise; what
    /// is damaged is never read as anything.
    async fn invariant_nothing_readable_is_lost(&self, what: &str) {
        for (name, entry) in &self.store {
            for (which, server) in self.servers.iter().enumerate() {
                let record =
                    ProviderName::of_stored(&entry.stored).map(|(_, body)| EncryptedObject::decode(body).unwrap());
                let opened = server.encryption.open("secrets", name, &entry.stored).await;
                let opened = match opened {
                    Err(error) if entry.is_damaged => {
                        drop(error);
                        continue;
                    }
                    Err(error) => {
                        assert!(record.is_some(), "{what}: server {which} cannot read {name}: {error}");
                        let is_excused = self.is_failing || server.key_id.is_none();
                        assert!(is_excused, "{what}: server {which} cannot read {name}: {error}");
                        continue;
                    }
                    Ok(opened) => opened,
                };
                assert!(!entry.is_damaged, "{what}: {name} is damaged, and read");
                assert_eq!(opened.plain, entry.plain, "{what}: {name}");
                let is_own = entry.stored.starts_with(PREFIXES[server.first].as_bytes())
                    && (server.first != 3 || entry.stored.starts_with(b"k8s\0"));
                let is_current = record.is_none_or(|record| Some(record.key_id().as_str()) == server.key_id.as_deref());
                assert_eq!(opened.stale, !(is_own && is_current), "{what}: {name} on server {which}");
            }
        }
    }

    fn behave(&self) {
        let (key_id, is_failing) = (self.key_id(), self.is_failing);
        self.world.plugin.behave(|plugin| {
            plugin.key_id = key_id;
            if is_failing {
                let down = || Some(Status::unavailable("down"));
                (plugin.status_fails, plugin.encrypt_fails, plugin.decrypt_fails) = (down(), down(), down());
            }
        });
    }

    fn key_id(&self) -> String {
        format!("k{}", self.key)
    }

    fn name(&mut self) -> String {
        format!("/registry/secrets/default/{}", self.below(8))
    }

    fn below(&mut self, limit: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random % u64::try_from(limit).unwrap()).unwrap()
    }
}
