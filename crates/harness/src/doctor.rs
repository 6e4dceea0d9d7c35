//! What this machine has and lacks for a stack, with the command that mends it.
//!
//! It looks, and changes nothing: no image is pulled, no directory made.

use std::fmt;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::process::Command;
use tokio::time::timeout;

use crate::etcd;
use crate::runtime::RuntimeDir;

/// Everything that was looked at.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Examination {
    /// Whether a stack can run here.
    pub fit: bool,
    /// The findings, in the order in which they are shown.
    pub findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Finding {
    /// What: a program, a service, a directory.
    pub subject: &'static str,
    /// How it stands.
    pub state: State,
    /// What was found, or what is wrong.
    pub detail: String,
    /// The command that mends it, if it needs mending.
    pub mend: Option<String>,
}

/// How a thing stands.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// There and well.
    Good,
    /// Not there; a stack runs without it.
    Optional,
    /// Not there; no stack runs without it.
    Needed,
}

/// Looks at this machine. `runtime_dir` is where stacks of this user live.
pub async fn examine(runtime_dir: &Path) -> Examination {
    let (docker, etcd) = tokio::join!(docker(), program(&ETCD));
    let (etcdctl, kubectl, protoc) = tokio::join!(program(&ETCDCTL), program(&KUBECTL), program(&PROTOC));
    let has_etcd = docker.iter().chain([&etcd]).any(|finding| finding.state == State::Good);
    let mut findings = docker;
    findings.extend([etcd, etcdctl, kubectl, protoc, loopback(), runtime(runtime_dir)]);
    if !has_etcd {
        // One of the two is enough; without either, both ways are shown.
        let etcd_ways = findings.iter_mut().filter(|finding| matches!(finding.subject, DOCKER | "etcd"));
        etcd_ways.for_each(|finding| finding.state = State::Needed);
    }
    Examination { fit: findings.iter().all(|finding| finding.state != State::Needed), findings }
}

impl Finding {
    fn good(subject: &'static str, detail: impl Into<String>) -> Self {
        Self { subject, state: State::Good, detail: detail.into(), mend: None }
    }

    fn lacking(subject: &'static str, state: State, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { subject, state, detail: detail.into(), mend: Some(mend.into()) }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Good => "good",
            Self::Optional => "optional",
            Self::Needed => "needed",
        })
    }
}

/// Where the shell would find `program`: a name on the search path, or a path to something executable.
pub(crate) async fn find_program(program: &Path) -> Option<PathBuf> {
    // The shell looks, so that no library reads the environment by itself.
    let mut look = Command::new("sh");
    look.args(["-c", r#"command -v -- "$1""#, "sh"]).arg(program).stdin(Stdio::null()).stderr(Stdio::null());
    let output = look.output().await.ok().filter(|output| output.status.success())?;
    let path = String::from_utf8(output.stdout).ok()?;
    let path = Path::new(path.trim_end_matches('\n'));
    // Some shells name a file that nobody may execute; a builtin has no path.
    let mode = path.metadata().ok().filter(|found| path.is_absolute() && found.is_file())?.permissions().mode();
    (mode & 0o111 != 0).then(|| path.to_owned())
}

/// A program that is looked for on the search path.
struct Program {
    name: &'static str,
    version: &'static [&'static str],
    purpose: &'static str,
    mend: &'static str,
}

async fn program(program: &Program) -> Finding {
    let name = Path::new(program.name);
    let Some(path) = find_program(name).await else {
        let detail = format!("not on the search path ({})", program.purpose);
        return Finding::lacking(program.name, State::Optional, detail, program.mend);
    };
    let mut ask = Command::new(&path);
    ask.args(program.version).stdin(Stdio::null()).kill_on_drop(true);
    let answer = timeout(VERSION_TIMEOUT, ask.output()).await;
    let version = match answer {
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().trim().to_owned(),
        Ok(Err(error)) => format!("does not run: {error}"),
        Err(_) => "does not tell its version".to_owned(),
    };
    Finding::good(program.name, format!("{} ({version})", path.display()))
}

async fn docker() -> Vec<Finding> {
    match etcd::docker_version().await {
        Err(error) => {
            let detail = format!("no engine answers ({})", etcd::chain(&error));
            vec![Finding::lacking(DOCKER, State::Optional, detail, "Debian, Ubuntu: sudo apt-get install docker.io")]
        }
        Ok(version) => {
            let image = match etcd::image_for(None).await {
                Ok((image, true)) => Finding::good("etcd image", image),
                Ok((image, false)) => {
                    let detail = format!("{image} is not there yet and is pulled when it is needed");
                    Finding::lacking(
                        "etcd image",
                        State::Optional,
                        detail,
                        "docker/etcd/build makes one without a registry",
                    )
                }
                Err(error) => Finding::lacking("etcd image", State::Optional, etcd::chain(&error), "docker/etcd/build"),
            };
            vec![Finding::good(DOCKER, format!("engine {version}")), image]
        }
    }
}

fn loopback() -> Finding {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, 0)) {
        Ok(_) => Finding::good("loopback", "ports of 127.0.0.1 can be listened on"),
        Err(error) => {
            let detail = format!("127.0.0.1 cannot be listened on: {error}");
            Finding::lacking("loopback", State::Needed, detail, "sudo ip link set lo up")
        }
    }
}

fn runtime(path: &Path) -> Finding {
    let shown = path.display();
    if path.symlink_metadata().is_err() {
        return Finding::good("runtime directory", format!("{shown} (made by the first stack)"));
    }
    match RuntimeDir::open(path).and_then(|base| base.running()) {
        Ok(running) => Finding::good("runtime directory", format!("{shown} ({} running)", running.len())),
        Err(error) => {
            Finding::lacking("runtime directory", State::Needed, etcd::chain(&error), format!("rm -r {shown}"))
        }
    }
}

const DOCKER: &str = "docker";
const ETCD: Program = Program {
    name: "etcd",
    version: &["--version"],
    purpose: "a stack runs it as a child process where no Docker engine answers",
    mend: "Debian, Ubuntu: sudo apt-get install etcd-server; macOS: brew install etcd",
};
const ETCDCTL: Program = Program {
    name: "etcdctl",
    version: &["version"],
    purpose: "to look into etcd by hand",
    mend: "Debian, Ubuntu: sudo apt-get install etcd-client; macOS: brew install etcd",
};
const KUBECTL: Program = Program {
    name: "kubectl",
    version: &["version", "--client"],
    purpose: "to use the API server by hand",
    mend: "Debian, Ubuntu: sudo apt-get install kubernetes-client; macOS: brew install kubernetes-cli",
};
const PROTOC: Program = Program {
    name: "protoc",
    version: &["--version"],
    purpose: "only to build Kyanite",
    mend: "Debian, Ubuntu: sudo apt-get install protobuf-compiler; macOS: brew install protobuf",
};
/// A program that tells its version does so at once.
const VERSION_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn programs_are_found_as_the_shell_finds_them() {
        assert!(find_program(Path::new("sh")).await.unwrap().is_absolute());
        assert_eq!(find_program(Path::new("/bin/sh")).await.as_deref(), Some(Path::new("/bin/sh")));
        assert_eq!(find_program(Path::new("no-such-program-here")).await, None);
        assert_eq!(find_program(Path::new("/etc/passwd")).await, None);
    }

    #[tokio::test]
    async fn what_is_missing_comes_with_a_command() {
        let lacking = program(&Program { name: "no-such-program-here", ..KUBECTL }).await;
        assert_eq!(lacking.state, State::Optional);
        assert!(lacking.mend.unwrap().contains("kubernetes-client"));
        assert_eq!(program(&Program { name: "sh", version: &["-c", "echo 1.0"], ..KUBECTL }).await.state, State::Good);
    }
}
