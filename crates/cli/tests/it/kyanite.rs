//! The built binary, in a home of its own.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// A place where stacks of nobody else are found.
pub(crate) struct Home {
    temp: tempfile::TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        // Short: the path of a socket must stay under 108 bytes.
        Self { temp: tempfile::Builder::new().prefix("k").tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.temp.path()
    }

    /// Where running stacks have their directories.
    pub(crate) fn runtime(&self) -> PathBuf {
        self.path().join("kyanite")
    }

    /// `kyanite` with these arguments, without what the environment of the test run says about proxies and clusters.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kyanite"));
        command.args(arguments).current_dir(self.path()).env("XDG_RUNTIME_DIR", self.path());
        for name in
            ["KYANITE_LOG", "HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy", "SSL_CERT_FILE", "KUBECONFIG"]
        {
            command.env_remove(name);
        }
        command.stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs it to its good end and returns what it printed.
    pub(crate) fn good(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "kyanite {arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Starts it and waits for its ready file.
    pub(crate) fn start(&self, arguments: &[&str]) -> Server {
        self.start_with(arguments, |_| {})
    }

    /// The same, with more said about the process.
    pub(crate) fn start_with(&self, arguments: &[&str], more: impl FnOnce(&mut Command)) -> Server {
        let name = arguments.first().copied().unwrap_or_default();
        let log = self.path().join(format!("{name}.log"));
        let ready_file = self.path().join(format!("{name}-ready.json"));
        let _ = fs::remove_file(&ready_file);
        let mut command = self.command(arguments);
        command.arg("--ready-file").arg(&ready_file);
        command.stderr(File::create(&log).unwrap()).stdout(Stdio::null());
        more(&mut command);
        let mut server = Server { child: command.spawn().unwrap(), log, ready_file };
        until("it is ready", || match server.child.try_wait().unwrap() {
            None => server.ready_file.exists(),
            Some(status) => panic!("kyanite {arguments:?} ended with {status}: {}", server.log()),
        });
        server
    }

    /// Stacks' directories that are left.
    pub(crate) fn stacks(&self) -> Vec<String> {
        let entries = fs::read_dir(self.runtime()).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().into_string().unwrap());
        names.filter(|name| !name.starts_with('.') && name != "apiserver").collect()
    }

    /// Ids of processes that were started from here, other than `kyanite` itself.
    pub(crate) fn children(&self) -> Vec<i32> {
        let mark = self.path().display().to_string();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Ok(id) = entry.file_name().to_string_lossy().parse() else { continue };
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command);
            if command.contains(&mark)
                && command.contains("--data-dir")
                && !command.starts_with(env!("CARGO_BIN_EXE_kyanite"))
            {
                found.push(id);
            }
        }
        found
    }
}

/// A `kyanite` that keeps running. Dropping it kills it.
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
    ready_file: PathBuf,
}

impl Server {
    pub(crate) fn ready(&self) -> Value {
        serde_json::from_slice(&fs::read(&self.ready_file).unwrap()).unwrap()
    }

    pub(crate) fn ready_file(&self) -> &Path {
        &self.ready_file
    }

    /// A text of the ready file, by JSON pointer.
    pub(crate) fn place(&self, pointer: &str) -> String {
        let ready = self.ready();
        let found = ready.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_else(|| panic!("no {pointer} in {ready:#}")).to_owned()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ctrl-C, and waits for the end.
    pub(crate) fn interrupt(self) -> ExitStatus {
        self.signal("INT");
        self.wait()
    }

    /// Waits for the end.
    pub(crate) fn wait(mut self) -> ExitStatus {
        wait(&mut self.child)
    }

    /// kubectl on this server's kubeconfig; its output if all is well.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        let output = self.try_kubectl(arguments);
        assert!(output.status.success(), "kubectl {arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    pub(crate) fn try_kubectl(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(self.place("/kubeconfig")).args(arguments);
        // kubectl keeps what it discovered below the home directory.
        command.env("HOME", self.ready_file.parent().unwrap());
        command.output().unwrap()
    }

    pub(crate) fn etcdctl(&self, arguments: &[&str]) -> Vec<u8> {
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").arg("--endpoints").arg(self.place("/etcd/0")).args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "etcdctl {arguments:?}: {}", text(&output.stderr));
        output.stdout
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(crate) fn signal(process: u32, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(process.to_string()).status().unwrap();
    assert!(status.success(), "kill -{name} {process}");
}

pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let mut ended = None;
    until("it has ended", || {
        ended = child.try_wait().unwrap();
        ended.is_some()
    });
    ended.unwrap()
}

/// Waits for a state, half a minute at most.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "not reached: {what}");
        thread::park_timeout(Duration::from_millis(10));
    }
}

/// A real etcd that is no part of any stack.
pub(crate) struct Etcd {
    child: Child,
    endpoint: String,
}

impl Etcd {
    pub(crate) fn start(directory: &Path) -> Self {
        for _ in 0..5 {
            if let Some(etcd) = Self::try_start(directory) {
                return etcd;
            }
        }
        panic!("etcd does not start: {}", fs::read_to_string(directory.join("etcd.log")).unwrap_or_default());
    }

    /// `None` if somebody else took a port in between.
    fn try_start(directory: &Path) -> Option<Self> {
        let [endpoint, peer] = [free_address(), free_address()];
        let mut command = Command::new("etcd");
        command.args(["--listen-client-urls", &endpoint, "--advertise-client-urls", &endpoint]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer, "--initial-cluster"]);
        command.arg(format!("default={peer}")).arg("--data-dir").arg(directory.join("etcd"));
        command.args(["--heartbeat-interval", "10", "--election-timeout", "100"]);
        let log = File::create(directory.join("etcd.log")).unwrap();
        let mut child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut healthy = false;
        until("etcd answers or has ended", || {
            healthy = is_healthy(&endpoint);
            healthy || child.try_wait().unwrap().is_some()
        });
        healthy.then_some(Self { child, endpoint })
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn is_healthy(endpoint: &str) -> bool {
    let mut command = Command::new("etcdctl");
    command.env("ETCDCTL_API", "3").args(["--endpoints", endpoint, "--command-timeout=1s", "endpoint", "health"]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Whether a Docker engine answers here.
pub(crate) fn docker_answers() -> bool {
    let mut command = Command::new("docker");
    match command.arg("info").stdout(Stdio::null()).stderr(Stdio::null()).status() {
        Ok(status) => status.success(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => panic!("docker: {error}"),
    }
}

/// A directory that holds only links to these programs, as a search path.
pub(crate) fn search_path(directory: &Path, programs: &[&str]) -> PathBuf {
    let bin = directory.join("bin");
    fs::create_dir_all(&bin).unwrap();
    for program in programs {
        let path = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|directory| directory.join(program))
            .find(|path| path.exists())
            .unwrap_or_else(|| panic!("no {program} here"));
        std::os::unix::fs::symlink(path, bin.join(OsStr::new(program))).unwrap();
    }
    bin
}
