//! `just bench-envelope`: what sealing and opening cost, beside the `aes-gcm` crate's AES-256-GCM over the same bytes.
//!
//! First a table of ratios, each measured in turns in one run because machines drift; then criterion's figures. A value of
//! KMS v2 costs more than its cipher: HKDF and a key schedule for every value, 44 random bytes, and the record around it.

#![expect(clippy::print_stdout, reason = "a benchmark's output is its purpose")]
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a benchmark that cannot do what it measures must end"
)]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the monotonic clock")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aes_gcm::aead::Aead as _;
use aes_gcm::{Aes256Gcm, KeyInit as _};
use criterion::{Criterion, Throughput};
use envelope::{
    Check, EncryptAnswer, EncryptedObject, KeyCipher, KeyList, KeyMaterial, Kms, ProviderName, Read, StatusAnswer,
    SystemRandom, Writer,
};
use jiff::Timestamp;

fn main() {
    println!("figure                              kyanite      aes-gcm crate    speed   budget");
    for size in SIZES {
        ratio(size);
    }
    let mut criterion = Criterion::default().configure_from_args();
    for size in SIZES {
        measure(&mut criterion, size);
    }
    criterion.final_summary();
}

/// Prints how fast sealing and opening are beside the bare cipher.
fn ratio(size: Size) {
    let world = World::new(size.bytes);
    let seal = || drop(black_box(world.seal()));
    let bare_seal = || drop(black_box(world.bare_seal()));
    line("seal", size, in_turns(size.rounds, seal, bare_seal));
    let open = || drop(black_box(world.open()));
    let bare_open = || drop(black_box(world.bare_open()));
    line("open", size, in_turns(size.rounds, open, bare_open));
}

fn line(what: &str, size: Size, (ours, bare): (Duration, Duration)) {
    println!(
        "{what} {:<28} {:>9.2} us    {:>9.2} us    {:>6.2} x  {}",
        size.name,
        ours.as_secs_f64() * 1e6,
        bare.as_secs_f64() * 1e6,
        bare.as_secs_f64() / ours.as_secs_f64(),
        size.budget
    );
}

/// The medians of both, called in turns.
fn in_turns(rounds: usize, mut one: impl FnMut(), mut other: impl FnMut()) -> (Duration, Duration) {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        let begun = Instant::now();
        one();
        times[0].push(begun.elapsed());
        let begun = Instant::now();
        other();
        times[1].push(begun.elapsed());
    }
    let [one, other] = times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    });
    (one, other)
}

fn measure(criterion: &mut Criterion, size: Size) {
    let world = World::new(size.bytes);
    let mut group = criterion.benchmark_group(size.name);
    group.throughput(Throughput::Bytes(u64::try_from(size.bytes).unwrap()));
    group.bench_function("kms v2 seal", |bench| bench.iter(|| world.seal()));
    group.bench_function("kms v2 open", |bench| bench.iter(|| world.open()));
    for (list, stored) in &world.lists {
        let name = list.cipher().name();
        group.bench_function(format!("{name} seal"), |bench| {
            bench.iter(|| list.seal(KEY, &world.plain, &SystemRandom).unwrap());
        });
        let body = &stored[list.cipher().prefix().len()..];
        group.bench_function(format!("{name} open"), |bench| bench.iter(|| list.open(KEY, body, |_, _| {}).unwrap()));
    }
    group.bench_function("aes-gcm crate seal", |bench| bench.iter(|| world.bare_seal()));
    group.bench_function("aes-gcm crate open", |bench| bench.iter(|| world.bare_open()));
    group.finish();
}

struct World {
    plain: Vec<u8>,
    kms: Kms,
    writer: Arc<Writer>,
    stored: Vec<u8>,
    lists: Vec<(KeyList, Vec<u8>)>,
    bare: Aes256Gcm,
    bare_sealed: Vec<u8>,
}

impl World {
    fn new(bytes: usize) -> Self {
        let plain = vec![0x5a; bytes];
        let now: Timestamp = "2026-11-24T20:53:30Z".parse().unwrap();
        let mut kms = Kms::new(ProviderName::new("azurekmsprovider").unwrap());
        let Check::AskStatus = kms.check(now) else { panic!("nothing is remembered") };
        let status = StatusAnswer { version: "v2".into(), healthz: "ok".into(), key_id: "f".repeat(64) };
        let Check::AskEncrypt(seed) = kms.status_answered(Ok(status), now, &SystemRandom) else { panic!("no seed") };
        // As long as what Azure's plugin answers with an RSA key of 2048 bits.
        let annotations: BTreeMap<_, _> =
            ["date", "x-ms-request-id", "x-ms-keyvault-region", "version", "algorithm"].map(annotation).into();
        let answer = EncryptAnswer { ciphertext: vec![0x41; 342], key_id: "f".repeat(64), annotations };
        kms.encrypt_answered(seed, Ok(answer), now).unwrap();
        let writer = kms.writer(now).unwrap();
        let stored = writer.seal(KEY, &plain, &SystemRandom).unwrap();
        let lists = KeyCipher::ALL
            .map(|cipher| KeyList::new(cipher, [("key1".to_owned(), KeyMaterial::new(vec![7; 32]))]).unwrap())
            .map(|list| {
                let stored = list.seal(KEY, &plain, &SystemRandom).unwrap();
                (list, stored)
            });
        let bare = Aes256Gcm::new(&[7; 32].into());
        let bare_sealed = bare.encrypt(&[9; 12].into(), plain.as_slice()).unwrap();
        Self { plain, kms, writer, stored, lists: lists.into(), bare, bare_sealed }
    }

    fn seal(&self) -> Vec<u8> {
        self.writer.seal(KEY, &self.plain, &SystemRandom).unwrap()
    }

    /// From the stored value, as a read with a warm cache does it.
    fn open(&self) -> Vec<u8> {
        let (_, body) = ProviderName::of_stored(&self.stored).unwrap();
        let object = EncryptedObject::decode(body).unwrap();
        let Read::Ready(opener) = self.kms.read(object, &SystemRandom).unwrap() else { panic!("cached") };
        opener.open(KEY).unwrap().plain
    }

    fn bare_seal(&self) -> Vec<u8> {
        self.bare.encrypt(&[9; 12].into(), self.plain.as_slice()).unwrap()
    }

    fn bare_open(&self) -> Vec<u8> {
        self.bare.decrypt(&[9; 12].into(), self.bare_sealed.as_slice()).unwrap()
    }
}

fn annotation(name: &str) -> (String, Vec<u8>) {
    (format!("{name}.azure.akv.io"), vec![b'a'; 28])
}

#[derive(Clone, Copy)]
struct Size {
    name: &'static str,
    bytes: usize,
    rounds: usize,
    budget: &'static str,
}

const SIZES: [Size; 2] = [
    Size { name: "1 KiB", bytes: 1024, rounds: 20_000, budget: "under 3 us" },
    Size { name: "1 MiB", bytes: 1024 * 1024, rounds: 300, budget: "0.80 x" },
];
const KEY: &str = "/registry/secrets/default/bench";
