//! `just bench-plugin`: what the plugin costs over the bare vault, beside Azure's own plugin, measured in one run.
//!
//! Needs `KYANITE` (a release build of the command, which serves the vaults and is the plugin) and
//! `KYANITE_AZURE_PLUGIN` (Azure's, by `tests/clients/azure-plugin/build`). Prints a table; judges nothing. Both
//! plugins and the direct calls go to a vault of their own each, the same way: HTTPS through the vault's gateway. Calls
//! alternate, because machines drift.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::error::Error;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::join_all;
use kms_api::Endpoint;
use kms_api::v1beta1::VersionRequest;
use kms_api::v1beta1::key_management_service_client::KeyManagementServiceClient as ClientV1;
use kms_api::v2::key_management_service_client::KeyManagementServiceClient;
use kms_api::v2::{DecryptRequest, EncryptRequest, EncryptResponse, StatusRequest};
use serde_json::{Value, json};
use tonic::transport::Channel;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let work = tempfile::tempdir()?;
        let direct = Vault::start(&work.path().join("direct"))?;
        let ours = Subject::start(Kind::Ours, &work.path().join("ours")).await?;
        let azures = Subject::start(Kind::Azure, &work.path().join("azures")).await?;
        println!("figure                                      kyanite      azure's");
        row("start to the first answer (ms)", millis(ours.first_answer), millis(azures.first_answer));
        row("start to the first healthy Status (ms)", millis(ours.first_status), millis(azures.first_status));
        latency(&direct, &ours, &azures).await?;
        burst(&ours, &azures).await?;
        row("resident after that (MiB)", ours.resident()?, azures.resident()?);
        idle(&ours, &azures).await
    })
}

/// One decrypt after the other, by turns.
async fn latency(direct: &Vault, ours: &Subject, azures: &Subject) -> Outcome<()> {
    let bare = Direct::start(direct).await?;
    let (sealed_by_ours, sealed_by_azure) = (ours.encrypt(b"seed").await?, azures.encrypt(b"seed").await?);
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..WARM_UP + CALLS {
        let mut took = [Duration::ZERO; 3];
        let [of_direct, of_ours, of_azure] = &mut took;
        *of_direct = timed(bare.decrypt()).await?;
        *of_ours = timed(ours.decrypt(&sealed_by_ours)).await?;
        *of_azure = timed(azures.decrypt(&sealed_by_azure)).await?;
        if round >= WARM_UP {
            for (times, took) in times.iter_mut().zip(took) {
                times.push(took);
            }
        }
    }
    let [of_direct, of_ours, of_azure] = times.map(median);
    row("decrypt, median (ms)", millis(of_ours), millis(of_azure));
    println!("  straight to the vault: {:.3} ms", millis(of_direct));
    row("  over that (ms; budget 0.3)", millis(of_ours) - millis(of_direct), millis(of_azure) - millis(of_direct));
    Ok(())
}

/// Many different seeds at once, beside as many bare RSA operations on all cores.
async fn burst(ours: &Subject, azures: &Subject) -> Outcome<()> {
    let mut took = Vec::new();
    for subject in [ours, azures] {
        let mut sealed = Vec::new();
        for seed in 0..SEEDS {
            sealed.push(subject.encrypt(&u32::try_from(seed)?.to_be_bytes().repeat(8)).await?);
        }
        let begun = Instant::now();
        for opened in join_all(sealed.iter().map(|sealed| subject.decrypt(sealed))).await {
            opened?;
        }
        took.push(begun.elapsed());
    }
    let bare = bare_rsa()?;
    let ratio = |index: usize| took.get(index).map_or(0.0, |took| millis(*took) / millis(bare));
    row(
        "500 different seeds in a burst (ms)",
        took.first().map_or(0.0, |took| millis(*took)),
        took.get(1).map_or(0.0, |took| millis(*took)),
    );
    println!("  bare RSA-2048, all cores: {:.1} ms", millis(bare));
    row("  times that (budget 1.3)", ratio(0), ratio(1));
    Ok(())
}

fn bare_rsa() -> Outcome<Duration> {
    let key = PrivateDecryptingKey::generate(KeySize::Rsa2048)?;
    let public = OaepPublicEncryptingKey::new(key.public_key())?;
    let mut ciphertext = vec![0; public.ciphertext_size()];
    public.encrypt(&OAEP_SHA256_MGF1SHA256, &[7; 32], &mut ciphertext, None)?;
    let key = OaepPrivateDecryptingKey::new(key)?;
    let cores = std::thread::available_parallelism()?.get();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                let mut plain = vec![0; key.min_output_size()];
                for _ in 0..SEEDS.div_ceil(cores) {
                    let opened = key.decrypt(&OAEP_SHA256_MGF1SHA256, &ciphertext, &mut plain, None);
                    assert!(opened.is_ok_and(|plain| plain == [7; 32]), "the ciphertext opens");
                }
            });
        }
    });
    Ok(begun.elapsed())
}

/// A minute as on a quiet cluster: a kubelet's probe every 10 s, an API server's Status every 20 s.
async fn idle(ours: &Subject, azures: &Subject) -> Outcome<()> {
    let before = (ours.vault.calls()?, azures.vault.calls()?);
    let mut tick = tokio::time::interval(Duration::from_secs(10));
    for tenth in 0..6 {
        tick.tick().await;
        for subject in [ours, azures] {
            subject.probe().await?;
            if tenth % 2 == 0 {
                subject.status().await?;
            }
        }
    }
    tick.tick().await;
    let per_hour = |before: u64, after: u64| f64::from(u32::try_from(after - before).unwrap_or(u32::MAX)) * 60.0;
    row(
        "vault calls an hour when idle",
        per_hour(before.0, ours.vault.calls()?),
        per_hour(before.1, azures.vault.calls()?),
    );
    Ok(())
}

/// `kyanite vault`, and what reaches it.
struct Vault {
    process: Child,
    ready: Value,
    ready_file: PathBuf,
}

impl Vault {
    fn start(folder: &Path) -> Outcome<Self> {
        fs::create_dir_all(folder)?;
        let ready_file = folder.join("vault.json");
        let process = Command::new(program("KYANITE")?)
            .args(["vault", "--quiet", "--ready-file"])
            .arg(&ready_file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let begun = Instant::now();
        while begun.elapsed() < DEADLINE {
            if let Some(ready) = fs::read(&ready_file).ok().and_then(|text| serde_json::from_slice(&text).ok()) {
                return Ok(Self { process, ready, ready_file });
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        Err("no vault".into())
    }

    fn text(&self, place: &str) -> Outcome<&str> {
        self.ready.pointer(place).and_then(Value::as_str).ok_or_else(|| format!("no {place} in the ready file").into())
    }

    fn secret(&self) -> Outcome<String> {
        Ok(fs::read_to_string(self.text("/credentials/client_secret_file")?)?.trim().to_owned())
    }

    /// How often the key was used.
    fn calls(&self) -> Outcome<u64> {
        let output = Command::new(program("KYANITE")?)
            .args(["status", "--output", "json", "--ready-file"])
            .arg(&self.ready_file)
            .output()?;
        let status: Value = serde_json::from_slice(&output.stdout)?;
        let requests = status.pointer("/vault/requests").and_then(Value::as_array).ok_or("no requests")?;
        let counted = |request: &&Value| {
            request
                .get("operation")
                .and_then(Value::as_str)
                .is_some_and(|name| matches!(name, "KeyEncrypt" | "KeyDecrypt"))
        };
        Ok(requests.iter().filter(counted).filter_map(|request| request.get("count")?.as_u64()).sum())
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}

/// A client of the vault without a plugin.
struct Direct {
    client: reqwest::Client,
    kid: String,
    token: String,
    value: String,
}

impl Direct {
    async fn start(vault: &Vault) -> Outcome<Self> {
        let pem = fs::read(vault.text("/ca")?)?;
        let client = reqwest::Client::builder()
            .proxy(reqwest::Proxy::all(vault.text("/gateway/0/url")?)?)
            .tls_certs_merge(reqwest::Certificate::from_pem_bundle(&pem)?)
            .build()?;
        let tenant = vault.text("/credentials/tenant_id")?;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", vault.text("/credentials/client_id")?),
            ("client_secret", &vault.secret()?),
            ("resource", "https://vault.azure.net"),
        ];
        let url = format!("https://login.microsoftonline.com/{tenant}/oauth2/token");
        let answer: Value = client.post(url).form(&form).send().await?.json().await?;
        let token = answer.get("access_token").and_then(Value::as_str).ok_or("no token")?.to_owned();
        let mut direct = Self { client, kid: String::new(), token, value: String::new() };
        let url = "https://kyanite.vault.azure.net/keys/kms?api-version=7.6";
        let key: Value = direct.client.get(url).bearer_auth(&direct.token).send().await?.json().await?;
        direct.kid = key.pointer("/key/kid").and_then(Value::as_str).ok_or("no key")?.to_owned();
        direct.value = direct.operate("encrypt", &URL_SAFE_NO_PAD.encode([7; 32])).await?;
        Ok(direct)
    }

    fn version(&self) -> &str {
        self.kid.rsplit('/').next().unwrap_or_default()
    }

    async fn decrypt(&self) -> Outcome<()> {
        self.operate("decrypt", &self.value).await.map(|_| ())
    }

    async fn operate(&self, operation: &str, value: &str) -> Outcome<String> {
        let url = format!("{}/{operation}?api-version=7.6", self.kid);
        let body = json!({ "alg": "RSA-OAEP-256", "value": value });
        let answer: Value = self.client.post(url).bearer_auth(&self.token).json(&body).send().await?.json().await?;
        Ok(answer.get("value").and_then(Value::as_str).ok_or("no value")?.to_owned())
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Azure,
    Ours,
}

/// A plugin in front of a vault of its own.
struct Subject {
    client: KeyManagementServiceClient<Channel>,
    first_answer: Duration,
    first_status: Duration,
    health: String,
    http: reqwest::Client,
    process: Child,
    vault: Vault,
}

impl Subject {
    async fn start(kind: Kind, folder: &Path) -> Outcome<Self> {
        let vault = Vault::start(folder)?;
        let version = Direct::start(&vault).await?.version().to_owned();
        let azure_json = folder.join("azure.json");
        let config = json!({
            "tenantId": vault.text("/credentials/tenant_id")?,
            "aadClientId": vault.text("/credentials/client_id")?,
            "aadClientSecret": vault.secret()?,
        });
        fs::write(&azure_json, config.to_string())?;
        let endpoint = Endpoint::of_path(folder.join("kms.sock"))?;
        let (health, metrics) = (free_port()?, free_port()?);
        let mut command = match kind {
            Kind::Azure => Command::new(program("KYANITE_AZURE_PLUGIN")?),
            Kind::Ours => {
                let mut command = Command::new(program("KYANITE")?);
                command.args(["plugin", "--quiet"]);
                command
            }
        };
        command
            .arg(format!("--listen-addr={endpoint}"))
            .args(["--keyvault-name=kyanite", "--key-name=kms", &format!("--key-version={version}")])
            .arg(format!("--config-file-path={}", azure_json.display()))
            .args([format!("--healthz-port={health}"), format!("--metrics-addr={metrics}")])
            .env("HTTPS_PROXY", vault.text("/gateway/0/url")?)
            .env("SSL_CERT_FILE", vault.text("/ca")?)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let begun = Instant::now();
        let process = command.spawn()?;
        let mut client_v1 = ClientV1::new(endpoint.channel());
        while client_v1.version(VersionRequest::default()).await.is_err() {
            if begun.elapsed() > DEADLINE {
                return Err("no plugin".into());
            }
            tokio::task::yield_now().await;
        }
        let first_answer = begun.elapsed();
        let client = KeyManagementServiceClient::new(endpoint.channel());
        client.clone().status(StatusRequest {}).await?;
        Ok(Self {
            client,
            first_answer,
            first_status: begun.elapsed(),
            health: format!("http://127.0.0.1:{health}/healthz"),
            http: reqwest::Client::builder().no_proxy().build()?,
            process,
            vault,
        })
    }

    async fn encrypt(&self, plaintext: &[u8]) -> Outcome<EncryptResponse> {
        let request = EncryptRequest { plaintext: plaintext.to_vec(), uid: "bench".to_owned() };
        Ok(self.client.clone().encrypt(request).await?.into_inner())
    }

    async fn decrypt(&self, sealed: &EncryptResponse) -> Outcome<()> {
        let request = DecryptRequest {
            ciphertext: sealed.ciphertext.clone(),
            uid: "bench".to_owned(),
            key_id: sealed.key_id.clone(),
            annotations: sealed.annotations.clone(),
        };
        self.client.clone().decrypt(request).await?;
        Ok(())
    }

    async fn status(&self) -> Outcome<()> {
        self.client.clone().status(StatusRequest {}).await?;
        Ok(())
    }

    async fn probe(&self) -> Outcome<()> {
        self.http.get(&self.health).send().await?.error_for_status()?;
        Ok(())
    }

    /// Resident set size, in MiB.
    fn resident(&self) -> Outcome<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(f64::from(line.trim().trim_end_matches("kB").trim().parse::<u32>()?) / 1024.0)
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn timed(call: impl Future<Output = Outcome<()>>) -> Outcome<Duration> {
    let begun = Instant::now();
    call.await?;
    Ok(begun.elapsed())
}

fn row(figure: &str, ours: f64, azures: f64) {
    println!("{figure:<40} {ours:>10.2} {azures:>12.2}");
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "a benchmark is told by its environment what to measure")]
fn program(name: &str) -> Outcome<String> {
    std::env::var(name).map_err(|_| format!("{name} must name a program, see the justfile").into())
}

fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

const CALLS: usize = 500;
const WARM_UP: usize = 50;
const SEEDS: usize = 500;
const DEADLINE: Duration = Duration::from_secs(20);
