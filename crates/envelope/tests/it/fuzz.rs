//! Foreign bytes that no one foresaw: each reader is given a corpus that is checked in, and mutations of it.
//!
//! An ordinary run replays the corpus and a few thousand mutations of a fixed seed. `just fuzz-smoke` sets
//! `KYANITE_FUZZ_SECONDS`: then each target mutates for so long, from a seed of its own that is told when it fails. The
//! pinned toolchain is stable, so mutation is blind to coverage; it keeps what a dictionary and splices make of real values.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use envelope::storage::{self, StoredObject};
use envelope::{
    EncryptedObject, EncryptionConfiguration, GroupResource, KeyMaterial, KmsV1, ParseOptions, Provider, ProviderName,
    ReadV1, anatomy, open_identity,
};

use crate::counterparts::open;
use crate::plugin::{healthy, read};

#[test]
fn fuzz_stored_value() {
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let file = format!(
        "{{apiVersion: apiserver.config.k8s.io/v1, kind: EncryptionConfiguration, resources: [{{resources: [secrets], \
         providers: [{{aescbc: {{keys: [{{name: key1, secret: {key}}}]}}}}, {{aesgcm: {{keys: [{{name: key1, secret: {key}}}]}}}}, \
         {{secretbox: {{keys: [{{name: key1, secret: {key}}}]}}}}, {{identity: {{}}}}]}}]}}"
    );
    let config = EncryptionConfiguration::parse(file.as_bytes()).unwrap();
    let mut kms = healthy("1");
    fuzz("stored_value", |stored| {
        let mut at = 0;
        for part in anatomy(stored) {
            assert!(part.range.start == at && !part.range.is_empty(), "every byte has one name: {part:?}");
            at = part.range.end;
        }
        assert_eq!(at, stored.len());
        let _ = open(&config, "/registry/secrets/default/a", stored);
        let _ = open_identity(stored);
        if let Some((_, body)) = ProviderName::of_stored(stored)
            && let Ok(object) = EncryptedObject::decode(body)
        {
            assert_eq!(EncryptedObject::decode(&object.encode()), Ok(object), "what is decoded encodes to its equal");
        }
        if stored.starts_with(b"k8s:enc:kms:v2:azurekmsprovider:") {
            let _ = read(&mut kms, stored, "/a", |_| Ok(KeyMaterial::new(vec![0; 32])));
        }
        if let Some(body) = stored.strip_prefix(b"k8s:enc:kms:v1:azurekmsprovider:") {
            let mut kms = KmsV1::new("azurekmsprovider", None);
            if let Ok(ReadV1::AskDecrypt(pending)) = kms.read(body) {
                let opener = kms.decrypt_answered(pending, Ok(KeyMaterial::new(vec![0; 32]))).unwrap();
                let _ = opener.open("/a");
            }
        }
    });
}

#[test]
fn fuzz_encryption_configuration() {
    fuzz("encryption_configuration", |content| {
        for options in [ParseOptions::default(), ParseOptions { kms_v1: true, reload: true }] {
            match EncryptionConfiguration::parse_with(content, options) {
                Ok(config) => {
                    assert_eq!(config.hash(), EncryptionConfiguration::hash_of(content));
                    assert!(!config.rules().is_empty());
                    for rule in config.rules() {
                        assert!(!rule.resources.is_empty() && !rule.providers.is_empty(), "nothing was lost: {rule:?}");
                        for resource in &rule.resources {
                            config.chain(resource).expect("a rule is found by what it names");
                        }
                    }
                    let places: Vec<_> = config.kms_providers().map(|kms| kms.place).collect();
                    assert_eq!(places, (0..places.len()).collect::<Vec<_>>());
                    if let Some(chain) = config.chain(&GroupResource::parse("secrets"))
                        && let Provider::Keys(keys) = chain.writer()
                    {
                        assert!(keys.writer().is_some());
                    }
                }
                Err(problems) => {
                    assert!(problems.iter().count() > 0);
                    for problem in problems.iter() {
                        assert!(problem.line > 0 && problem.column > 0 && !problem.message.is_empty(), "{problem}");
                    }
                }
            }
        }
    });
}

#[test]
fn fuzz_storage_object() {
    fuzz("storage_object", |plain| {
        let Ok(object) = storage::decode_any(plain) else { return };
        let encoded = match &object {
            StoredObject::ConfigMap(map) => storage::encode(map),
            StoredObject::Namespace(namespace) => storage::encode(namespace),
            StoredObject::Secret(secret) => storage::encode(secret),
            _ => return,
        };
        assert_eq!(storage::decode_any(&encoded).unwrap(), object, "what is decoded encodes to its equal");
    });
}

/// Gives `target` the corpus of that name, and then mutations of it.
#[expect(clippy::disallowed_methods, reason = "how long a test goes on is real time")]
fn fuzz(name: &str, mut target: impl FnMut(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(name);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let corpus: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(corpus.len() > 3);
    let seconds = seconds();
    let seed = if seconds.is_zero() { 1 } else { random_seed() };
    let mut attempt = |input: &[u8], what: &str| {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
            eprintln!("{name}: {what} fails; put these bytes into tests/fuzz/{name}: {}", hex::encode(input));
            std::panic::resume_unwind(panic);
        }
    };
    for (file, input) in files.iter().zip(&corpus) {
        attempt(input, &file.display().to_string());
    }
    let mut mutator = Mutator { state: seed, corpus: &corpus };
    let begun = Instant::now();
    let mut inputs = 0_u64;
    loop {
        let is_over =
            if seconds.is_zero() { inputs >= INPUTS } else { inputs.is_multiple_of(64) && begun.elapsed() >= seconds };
        if is_over {
            break;
        }
        attempt(&mutator.next(), &format!("mutation {inputs} of seed {seed}"));
        inputs += 1;
    }
    println!("{name}: {inputs} mutations of {} files, seed {seed}", corpus.len());
}

#[expect(clippy::disallowed_methods, reason = "how long to go on is the caller's wish, as with KYANITE_UPDATE")]
fn seconds() -> Duration {
    let text = std::env::var("KYANITE_FUZZ_SECONDS").unwrap_or_default();
    Duration::from_secs(text.parse().unwrap_or_default())
}

fn random_seed() -> u64 {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    u64::from_le_bytes(bytes) | 1
}

struct Mutator<'c> {
    /// Of xorshift64: never zero.
    state: u64,
    corpus: &'c [Vec<u8>],
}

impl Mutator<'_> {
    fn next(&mut self) -> Vec<u8> {
        let mut input = self.pick_input();
        for _ in 0..=self.below(4) {
            self.mutate(&mut input);
        }
        input.truncate(MAX_BYTES);
        input
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        match self.below(7) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = INTERESTING[self.below(INTERESTING.len())],
            2 => input.truncate(at),
            3 => {
                let end = (at + self.below(16)).min(input.len());
                input.drain(at..end);
            }
            4 => {
                let word = WORDS[self.below(WORDS.len())];
                input.splice(at..at, word.iter().copied());
            }
            5 => {
                // The head of this one and the tail of another.
                let other = self.pick_input();
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ => {
                let end = (at + self.below(64)).min(input.len());
                let again = input[at..end].to_vec();
                input.splice(at..at, again);
            }
        }
    }

    fn pick_input(&mut self) -> Vec<u8> {
        self.corpus[self.below(self.corpus.len())].clone()
    }

    fn below(&mut self, limit: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state % u64::try_from(limit).unwrap()).unwrap()
    }
}

/// How many mutations an ordinary run tries.
const INPUTS: u64 = 3000;
const MAX_BYTES: usize = 16 * 1024;
const INTERESTING: [u8; 12] = [0, 1, 8, 10, 16, 18, 26, 34, 40, 0x7f, 0x80, 0xff];
const WORDS: [&[u8]; 24] = [
    b"k8s:enc:kms:v2:",
    b"k8s:enc:kms:v1:",
    b"k8s:enc:aescbc:v1:key1:",
    b"k8s:enc:aesgcm:v1:key1:",
    b"k8s:enc:secretbox:v1:key1:",
    b"azurekmsprovider:",
    b"k8s\0",
    b"\x0a\xff\xff\xff\xff\x0f",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
    b"\x28\x01",
    b"\x22\x08\x0a\x04a.io\x12\x00",
    b"\x1a\x00\x22\x00",
    b"- ",
    b": ",
    b"{",
    b"[",
    b"\n  ",
    b"providers: [{identity: {}}]",
    b"kms: {apiVersion: v2, name: a, endpoint: 'unix:///x'}",
    b"secret: AAAAAAAAAAAAAAAAAAAAAA==",
    b"'*.*'",
    b"cachesize: 0",
    b"timeout: -1s",
    b"&a *a !!str ~ \"\\x00\"",
];
