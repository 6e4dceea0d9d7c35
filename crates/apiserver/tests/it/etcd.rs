//! A real etcd for one test: a child process with a data directory and ports of its own.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use etcd_client::{Client, GetOptions};
use tempfile::TempDir;
use tokio::time::{Instant, interval, timeout};

/// A running etcd. It ends with this value.
pub(crate) struct Etcd {
    child: Child,
    data: TempDir,
    ports: [u16; 2],
}

impl Etcd {
    /// Starts an etcd and waits until it answers.
    pub(crate) async fn start() -> Self {
        // A free port may be taken by somebody else before etcd has it: then another pair is tried.
        for _ in 0..5 {
            let data = TempDir::new().unwrap();
            let ports = [free_port(), free_port()];
            let mut etcd = Self { child: spawn(data.path(), ports), data, ports };
            if etcd.is_ready().await {
                return etcd;
            }
        }
        panic!("etcd did not start in five attempts: start it by hand to see why")
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }

    /// Ends the process as a power cut would.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Makes the process hang, or go on.
    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success(), "kill {signal} of etcd");
    }

    /// Starts the process again on the same data and ports.
    pub(crate) async fn restart(&mut self) {
        self.child = spawn(self.data.path(), self.ports);
        assert!(self.is_ready().await, "etcd did not come back");
    }

    /// A client of its own, beside the server under test.
    pub(crate) async fn client(&self) -> Client {
        Client::connect([self.endpoint()], None).await.unwrap()
    }

    /// The value of a key, which must be there.
    pub(crate) async fn value(&self, key: &str) -> Vec<u8> {
        let answer = self.client().await.get(key, None).await.unwrap();
        answer.kvs().first().unwrap_or_else(|| panic!("no key {key}")).value().to_vec()
    }

    /// The keys under a prefix.
    pub(crate) async fn keys(&self, prefix: &str) -> Vec<String> {
        let options = GetOptions::new().with_prefix().with_keys_only();
        let answer = self.client().await.get(prefix, Some(options)).await.unwrap();
        answer.kvs().iter().map(|kv| kv.key_str().unwrap().to_owned()).collect()
    }

    async fn is_ready(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut ticks = interval(Duration::from_millis(20));
        while Instant::now() < deadline {
            ticks.tick().await;
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            let mut client = self.client().await;
            if let Ok(Ok(_)) = timeout(Duration::from_secs(1), client.get("ready", None)).await {
                return true;
            }
        }
        false
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(data: &Path, [port, peer_port]: [u16; 2]) -> Child {
    let (client, peer) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer_port}"));
    Command::new("etcd")
        .arg("--data-dir")
        .arg(data)
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("default={peer}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("these tests need `etcd` on PATH: apt-get install etcd-server, or put a release of etcd there")
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
