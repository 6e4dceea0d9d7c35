//! What is sent, and what must come back.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use clock::Clock;
use keyvault::{Config, Emulator, Principal, PrincipalKind, Secret, VaultConfig, VaultKind};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::mutation::Mutator;

const TENANT: &str = "11111111-1111-4111-8111-111111111111";
const CLIENT: &str = "22222222-2222-4222-8222-222222222222";
/// A managed HSM, since that one has everything.
const HOST: &str = "fuzz.managedhsm.azure.net";
const DEADLINE: Duration = Duration::from_secs(30);

/// Runs each target for so many seconds.
pub(crate) fn run(seconds: u64) {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
        let address = start().await;
        let token = token(address).await;
        let origin = Clock::new().now().as_microsecond().unsigned_abs() | 1;
        for name in ["base64url", "bodies", "paths", "tokens"] {
            let corpus = corpus(name);
            let mut mutator = Mutator(origin);
            let (begin, mut count) = (Instant::now(), 0_u64);
            // Each entry once as it is, then its changed likes.
            while usize::try_from(count).unwrap() < corpus.len() || begin.elapsed() < Duration::from_secs(seconds) {
                let input = if let Some(input) = corpus.get(usize::try_from(count).unwrap()) {
                    input.clone()
                } else {
                    let (seed, other) = (mutator.below(corpus.len()), mutator.below(corpus.len()));
                    changed(name, &mut mutator, &corpus[seed], &corpus[other])
                };
                send(address, &request(name, &input, &token)).await;
                count += 1;
            }
            let probe = format!("GET /{HOST}/healthstatus HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            let alive = exchange(address, probe.as_bytes()).await;
            assert!(alive.starts_with(b"HTTP/1.1 200 "), "the vault still answers");
            report(&format!("{name}: {count} requests from {} seeds", corpus.len()));
        }
    });
}

/// A changed input; of a body, the first line stays.
fn changed(target: &str, mutator: &mut Mutator, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let line = |input: &[u8]| input.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if target != "bodies" {
        return mutator.mutate(seed, other);
    }
    let (head, body) = seed.split_at(line(seed));
    [head, &mutator.mutate(body, &other[line(other)..])].concat()
}

/// The request that carries an input.
fn request(target: &str, input: &[u8], token: &str) -> Vec<u8> {
    let built = |line: &[u8], bearer: &[u8], body: &[u8]| {
        let length = body.len().to_string();
        let parts: [&[u8]; 9] = [
            line,
            b" HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-type: application/json\r\nauthorization: Bearer ",
            bearer,
            b"\r\ncontent-length: ",
            length.as_bytes(),
            b"\r\n",
            b"\r\n",
            body,
            b"",
        ];
        parts.concat()
    };
    let in_one_line = |input: &[u8]| -> Vec<u8> {
        input.iter().copied().filter(|byte| !byte.is_ascii_whitespace() && *byte != 0).collect()
    };
    match target {
        "base64url" => {
            let text = String::from_utf8_lossy(input);
            let body = serde_json::json!({ "alg": "RSA-OAEP", "value": text.trim_end() }).to_string();
            let line = format!("POST /{HOST}/keys/kms/decrypt?api-version=7.6");
            built(line.as_bytes(), token.as_bytes(), body.as_bytes())
        }
        "bodies" => {
            let (head, body) = input.split_at(input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len()));
            let (method, path) = std::str::from_utf8(head).unwrap().split_once(' ').unwrap();
            let line = format!("{method} /{HOST}{path}?api-version=2026-04-01");
            built(line.as_bytes(), token.as_bytes(), body)
        }
        "paths" => built(&[b"GET /", HOST.as_bytes(), &in_one_line(input)].concat(), token.as_bytes(), b""),
        _ => {
            let line = format!("GET /{HOST}/keys?api-version=7.4");
            built(line.as_bytes(), &in_one_line(input), b"")
        }
    }
}

/// Sends a request and looks at the answer: no failure of the vault's own, and every refusal in the service's shape.
async fn send(address: SocketAddr, request: &[u8]) {
    let answer = exchange(address, request).await;
    let shown = || format!("{}\n-- was answered --\n{}", request.escape_ascii(), answer.escape_ascii());
    let status: u16 = std::str::from_utf8(answer.get(9..12).unwrap_or_default())
        .ok()
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("no answer: {}", shown()));
    assert!(status < 500 || status == 501, "{}", shown());
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or_else(|| panic!("{}", shown()));
    let body = &answer[end + 4..];
    // What is no HTTP at all is refused without a body, below the vault.
    if status >= 400 && !body.is_empty() {
        let body: Value = serde_json::from_slice(body).unwrap_or_else(|_| panic!("{}", shown()));
        let has_code = body["error"]["code"].is_string() || body["error"].is_string();
        assert!(has_code, "{}", shown());
    }
}

async fn exchange(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let work = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The vault may answer and close before it has read everything.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    };
    tokio::time::timeout(DEADLINE, work)
        .await
        .unwrap_or_else(|_| panic!("the vault hangs on {}", request.escape_ascii()))
}

async fn start() -> SocketAddr {
    let client_id = CLIENT.parse().unwrap();
    let kind = PrincipalKind::ServicePrincipal { client_secret: Some(Secret::new("secret".to_owned())) };
    let emulator = Emulator::open(Config {
        vaults: vec![VaultConfig { kind: VaultKind::ManagedHsm, ..VaultConfig::new("fuzz".parse().unwrap()) }],
        principals: vec![Principal::new(client_id, client_id, kind)],
        ..Config::new(TENANT.parse().unwrap(), Clock::new())
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(keyvault::serve_plain(listener, emulator.unwrap(), CancellationToken::new()));
    address
}

async fn token(address: SocketAddr) -> String {
    let form = format!(
        "grant_type=client_credentials&client_id={CLIENT}&client_secret=secret&resource=https%3A%2F%2Fmanagedhsm.azure.net"
    );
    let request = format!(
        "POST /{TENANT}/oauth2/token HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-type: \
         application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    );
    let answer = String::from_utf8(exchange(address, request.as_bytes()).await).unwrap();
    let body: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).expect(&answer);
    body["access_token"].as_str().expect(&answer).to_owned()
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 3, "{} has seeds", folder.display());
    files.into_iter().map(|file| fs::read(file).unwrap()).collect()
}

fn report(line: &str) {
    use std::io::Write as _;
    writeln!(std::io::stderr(), "{line}").unwrap();
}
