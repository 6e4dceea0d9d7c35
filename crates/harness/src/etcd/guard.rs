//! A child process that never outlives this one, not even when this one is killed.
//!
//! A shell stands between: it starts the program and a reader on a pipe whose other end only this process holds. When
//! this process ends, in whatever way, the pipe closes, the reader wakes and kills the program. That is plain POSIX;
//! `PR_SET_PDEATHSIG` would need unsafe code, works on Linux only, and fires when the spawning *thread* ends. All
//! three run in a process group of their own, so a terminal's Ctrl-C does not reach them and one signal ends them.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

/// A guarded process. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Guarded {
    child: Child,
    /// Its end is what the reader waits for. Not left with `child`, whose `wait` would close it.
    pipe: Option<ChildStdin>,
    group: Option<Pid>,
}

impl Guarded {
    /// Starts `program`; what it writes goes to `log`.
    pub(super) fn start(program: &Path, arguments: &[String], log: File) -> io::Result<Self> {
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(GUARD)
            .arg("kyanite-guard")
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let pipe = child.stdin.take();
        Ok(Self { child, pipe, group })
    }

    /// The program's end, if it has ended by itself.
    pub(super) fn exit(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Kills the program and waits until it is gone, so that nothing writes any more where it wrote.
    pub(super) async fn kill(&mut self) {
        // By the reader, as if this process had ended: the shell ends only after it has collected the program.
        self.pipe = None;
        let ended = if let Ok(ended) = timeout(KILL_WITHIN, self.child.wait()).await {
            ended
        } else {
            self.signal();
            self.child.wait().await
        };
        if let Err(error) = ended {
            tracing::warn!(%error, "cannot wait for the end of etcd");
        }
        self.group = None;
    }

    fn signal(&self) {
        // `try_wait` has not reaped the shell while `id` is known, so the group cannot be another's.
        if let (Some(group), Some(_)) = (self.group, self.child.id()) {
            // The group may be gone already; then there is nothing to kill.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.signal();
    }
}

/// The reader is a shell that has nothing to do but this.
const KILL_WITHIN: Duration = Duration::from_secs(2);

/// Descriptor 3 is the pipe: a shell gives jobs in the background an empty standard input.
const GUARD: &str = r#"
exec 3<&0 </dev/null
"$@" 3<&- &
program=$!
{ read -r _ <&3; kill -KILL "$program"; } >/dev/null 2>&1 &
reader=$!
wait "$program"
status=$?
kill -KILL "$reader" 2>/dev/null
exit "$status"
"#;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn alive(pid: &str) -> bool {
        let pid = Pid::from_raw(pid.trim().parse().unwrap());
        nix::sys::signal::kill(pid, None).is_ok() && !is_zombie(pid)
    }

    /// Where nobody collects orphans (a container without an init), a killed process stays as a zombie.
    fn is_zombie(pid: Pid) -> bool {
        fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
    }

    async fn until(what: &str, condition: impl Fn() -> bool) {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        timeout(Duration::from_secs(10), async {
            while !condition() {
                ticks.tick().await;
            }
        })
        .await
        .unwrap_or_else(|_| panic!("not reached: {what}"));
    }

    /// Starts a program that writes its process id and then lives on.
    async fn sleeper(directory: &Path) -> (Guarded, String) {
        let file = directory.join("pid");
        let script = format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000", file.display());
        let log = File::create(directory.join("log")).unwrap();
        let guarded = Guarded::start(Path::new("sh"), &["-c".to_owned(), script], log).unwrap();
        until("the program wrote its id", || file.exists()).await;
        (guarded, fs::read_to_string(file).unwrap())
    }

    #[tokio::test]
    async fn a_kill_ends_the_program() {
        let temp = tempfile::tempdir().unwrap();
        let (mut guarded, pid) = sleeper(temp.path()).await;
        assert!(alive(&pid));
        assert!(guarded.exit().unwrap().is_none());
        guarded.kill().await;
        assert!(!alive(&pid), "it is gone by then");
    }

    #[tokio::test]
    async fn a_drop_ends_the_program() {
        let temp = tempfile::tempdir().unwrap();
        let (guarded, pid) = sleeper(temp.path()).await;
        drop(guarded);
        until("the program is gone", || !alive(&pid)).await;
    }

    #[tokio::test]
    async fn the_end_of_the_pipe_ends_the_program() {
        let temp = tempfile::tempdir().unwrap();
        let (mut guarded, pid) = sleeper(temp.path()).await;
        // What the kernel does when this process is killed.
        drop(guarded.pipe.take());
        until("the program is gone", || !alive(&pid)).await;
        let status = guarded.child.wait().await.unwrap();
        assert_eq!(status.code(), Some(128 + 9));
    }

    #[tokio::test]
    async fn a_program_that_ends_is_noticed_with_its_status() {
        let temp = tempfile::tempdir().unwrap();
        let log = File::create(temp.path().join("log")).unwrap();
        let arguments = ["-c".to_owned(), "echo out; echo err >&2; exit 7".to_owned()];
        let mut guarded = Guarded::start(Path::new("sh"), &arguments, log).unwrap();
        let status = timeout(Duration::from_secs(10), guarded.child.wait()).await.unwrap().unwrap();
        assert_eq!(status.code(), Some(7));
        assert_eq!(fs::read_to_string(temp.path().join("log")).unwrap(), "out\nerr\n");
    }
}
