//! `just bench`: what a user waits for and pays for, beside what the bare etcd costs, measured in one run.
//!
//! Needs `etcd` and `kubectl` on PATH. Prints a table; judges nothing. Each figure is the median of its runs, each
//! ratio is taken in the same run as the figure beside it, because machines drift.

#![expect(clippy::print_stdout, reason = "a benchmark's output is its purpose")]

use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let work = tempfile::tempdir()?;
    println!("figure                                     kyanite        beside it          ratio   budget");
    start(work.path())?;
    memory(work.path())?;
    stories()
}

/// From the command to everything answering, beside a bare etcd's start to its first healthy answer.
fn start(work: &Path) -> Outcome<()> {
    let mut ours = Vec::new();
    let mut bare = Vec::new();
    for run in 0..RUNS {
        let begun = Instant::now();
        let etcd = BareEtcd::start(&work.join(format!("etcd-{run}")))?;
        bare.push(begun.elapsed());
        drop(etcd);
        let begun = Instant::now();
        let stack = Stack::start(&work.join(format!("start-{run}.json")))?;
        ours.push(begun.elapsed());
        drop(stack);
    }
    let (ours, bare) = (median(ours), median(bare));
    println!(
        "up to everything answering         {:>10.2} s   etcd alone {:>5.2} s    {:>6.2}   1.50 s",
        ours.as_secs_f64(),
        bare.as_secs_f64(),
        ours.as_secs_f64() / bare.as_secs_f64()
    );
    Ok(())
}

/// Resident memory with 500 Secrets stored and listed, beside that of the etcd which holds them.
fn memory(work: &Path) -> Outcome<()> {
    let stack = Stack::start(&work.join("memory.json"))?;
    let secrets: Vec<Value> = (0..SECRETS)
        .map(|n| {
            let value = format!("{n:0>340}"); // 256 bytes once decoded from base64 are 340 characters
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": format!("s{n}")}, "data": {"k": value}})
        })
        .collect();
    let list = work.join("secrets.json");
    fs::write(&list, json!({"apiVersion": "v1", "kind": "List", "items": secrets}).to_string())?;
    let kubeconfig = stack.ready.get("kubeconfig").and_then(Value::as_str).ok_or("no kubeconfig in the ready file")?;
    kubectl(kubeconfig, &["create", "-f", &list.to_string_lossy()])?;
    kubectl(kubeconfig, &["get", "secrets", "-o", "name"])?;
    let ours = resident(stack.process.id())?;
    let etcd = resident(child_of(stack.process.id(), "etcd")?)?;
    println!(
        "resident memory with {SECRETS} Secrets      {:>8.1} MiB   its etcd {:>6.1} MiB  {:>6.2}   60 MB",
        mib(ours),
        mib(etcd),
        mib(ours) / mib(etcd)
    );
    Ok(())
}

/// The stories of `scenarios/`, one after the other, each on a stack of its own, beside as many bare starts of a stack.
fn stories() -> Outcome<()> {
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let files = fs::read_dir(&scenarios)?
        .filter(|file| file.as_ref().is_ok_and(|file| file.path().extension().is_some_and(|end| end == "yaml")))
        .count();
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        let begun = Instant::now();
        let status = Command::new(KYANITE)
            .args(["run", "--etcd", "process", "--quiet"])
            .arg(&scenarios)
            .stdout(Stdio::null())
            .status()?;
        if !status.success() {
            return Err(format!("kyanite run: {status}").into());
        }
        runs.push(begun.elapsed());
    }
    let all = median(runs).as_secs_f64();
    let each = all / f64::from(u32::try_from(files)?);
    println!("all {files} stories                      {all:>10.2} s   a story {each:>8.2} s    {files:>6}   10 s");
    Ok(())
}

struct Stack {
    process: Child,
    ready: Value,
}

impl Stack {
    fn start(ready_file: &Path) -> Outcome<Self> {
        let mut process = Command::new(KYANITE)
            .args(["up", "--quiet", "--etcd", "process", "--ready-file"])
            .arg(ready_file)
            .stdout(Stdio::null())
            .spawn()?;
        let found = wait_for("kyanite up", || match process.try_wait()? {
            Some(status) => Err(format!("kyanite up ended: {status}").into()),
            None => Ok(fs::read(ready_file).ok()),
        });
        let ready = serde_json::from_slice(&found?)?;
        Ok(Self { process, ready })
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SIGINT and not a kill: the stack takes its etcd with it.
        let asked = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

struct BareEtcd(Child);

impl BareEtcd {
    fn start(data: &Path) -> Outcome<Self> {
        let (client, peer) = (free_port()?, free_port()?);
        let (client_url, peer_url) = (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
        let process = Command::new("etcd")
            .arg("--data-dir")
            .arg(data)
            .args(["--listen-client-urls", &client_url, "--advertise-client-urls", &client_url])
            .args(["--listen-peer-urls", &peer_url, "--initial-advertise-peer-urls", &peer_url])
            .args(["--initial-cluster", &format!("default={peer_url}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let etcd = Self(process);
        wait_for("etcd", || Ok(healthy(client).then_some(())))?;
        Ok(etcd)
    }
}

impl Drop for BareEtcd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn healthy(port: u16) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.write_all(b"GET /health HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.contains(r#""health":"true""#))
}

fn kubectl(kubeconfig: &str, arguments: &[&str]) -> Outcome<()> {
    let output = Command::new("kubectl").args(["--kubeconfig", kubeconfig]).args(arguments).output()?;
    if !output.status.success() {
        return Err(format!("kubectl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(())
}

/// Resident set size of a process, in bytes, as the kernel tells it.
fn resident(process: u32) -> Outcome<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? * 1024)
}

/// The youngest descendant of a process that runs the program `name`.
fn child_of(process: u32, name: &str) -> Outcome<u32> {
    let mut family = vec![process];
    let mut found = None;
    while let Some(parent) = family.pop() {
        for thread in fs::read_dir(format!("/proc/{parent}/task"))? {
            let children: PathBuf = thread?.path().join("children");
            for child in fs::read_to_string(children)?.split_whitespace() {
                let child: u32 = child.parse()?;
                if fs::read_to_string(format!("/proc/{child}/comm"))?.trim() == name {
                    found = Some(child);
                }
                family.push(child);
            }
        }
    }
    found.ok_or_else(|| format!("process {process} runs no {name}").into())
}

fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn wait_for<T>(what: &str, mut ready: impl FnMut() -> Outcome<Option<T>>) -> Outcome<T> {
    let begun = Instant::now();
    while begun.elapsed() < DEADLINE {
        if let Some(found) = ready()? {
            return Ok(found);
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    Err(format!("{what} is not ready after {DEADLINE:?}").into())
}

fn median(mut runs: Vec<Duration>) -> Duration {
    runs.sort_unstable();
    runs.get(runs.len() / 2).copied().unwrap_or_default()
}

#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "a figure for people, with one decimal")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

const KYANITE: &str = env!("CARGO_BIN_EXE_kyanite");
const RUNS: usize = 5;
const SECRETS: usize = 500;
const DEADLINE: Duration = Duration::from_secs(30);
