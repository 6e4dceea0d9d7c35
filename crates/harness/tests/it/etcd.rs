//! Every kind of etcd, with what it leaves behind.

use std::net::TcpListener;
use std::num::NonZeroU8;

use harness::etcd::{Backend, Etcd, EtcdConfig, EtcdError, EtcdSource};
use harness::runtime::{RuntimeDir, StackDir};
use harness::stack::Progress;
use testcontainers::bollard::query_parameters::ListContainersOptionsBuilder;
use testcontainers::core::client::docker_client_instance;
use tokio_util::sync::CancellationToken;

struct Fixture {
    stack: StackDir,
    _temp: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let base = RuntimeDir::open(&temp.path().join("run")).unwrap();
        Self { stack: base.create().unwrap(), _temp: temp }
    }

    async fn start(&self, config: &EtcdConfig) -> Result<Etcd, EtcdError> {
        Etcd::start(config, &self.stack, &Progress::silent(), &CancellationToken::new()).await
    }
}

fn config(source: EtcdSource) -> EtcdConfig {
    EtcdConfig { source, ..EtcdConfig::default() }
}

fn members(source: EtcdSource, members: u8) -> EtcdConfig {
    EtcdConfig { members: NonZeroU8::new(members).unwrap(), ..config(source) }
}

async fn put(endpoints: &[String], key: &str, value: &str) {
    let mut client = etcd_client::Client::connect(endpoints, None).await.unwrap();
    client.put(key, value, None).await.unwrap();
}

async fn get(endpoints: &[String], key: &str) -> Option<String> {
    let mut client = etcd_client::Client::connect(endpoints, None).await.unwrap();
    let found = client.get(key, None).await.unwrap();
    found.kvs().first().map(|pair| pair.value_str().unwrap().to_owned())
}

/// Ids of processes that have `text` in their command line.
fn processes_with(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let name = entry.file_name().into_string().unwrap();
        if name.parse::<u32>().is_ok() && String::from_utf8_lossy(&command).contains(text) {
            found.push(name);
        }
    }
    found
}

async fn containers_of(stack: &StackDir) -> usize {
    let docker = docker_client_instance().await.unwrap();
    let options = ListContainersOptionsBuilder::new().all(true).build();
    let listed = docker.list_containers(Some(options)).await.unwrap();
    listed.iter().filter(|one| one.labels.iter().flatten().any(|(_, value)| value == stack.id())).count()
}

async fn docker_answers() -> bool {
    match docker_client_instance().await {
        Ok(docker) => docker.ping().await.is_ok(),
        Err(_) => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_runs_and_leaves_nothing() {
    let fixture = Fixture::new();
    let etcd = fixture.start(&config(EtcdSource::Process)).await.unwrap();
    assert_eq!(etcd.backend(), Backend::Process);
    put(etcd.endpoints(), "/registry/a", "1").await;
    assert_eq!(get(etcd.endpoints(), "/registry/a").await.as_deref(), Some("1"));
    let mark = fixture.stack.path().display().to_string();
    assert!(!processes_with(&mark).is_empty());
    etcd.shutdown().await;
    assert_eq!(processes_with(&mark), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn three_processes_survive_the_loss_of_one() {
    let fixture = Fixture::new();
    let mut etcd = fixture.start(&members(EtcdSource::Process, 3)).await.unwrap();
    assert_eq!(etcd.endpoints().len(), 3);
    put(etcd.endpoints(), "/registry/a", "1").await;
    etcd.stop_member(0).await.unwrap();
    assert_eq!(get(&etcd.endpoints()[1..], "/registry/a").await.as_deref(), Some("1"));
    etcd.start_member(0).await.unwrap();
    assert_eq!(get(&etcd.endpoints()[..1], "/registry/a").await.as_deref(), Some("1"));
    assert!(matches!(etcd.stop_member(3).await, Err(EtcdError::Member { member: 3, .. })));
    etcd.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_brings_everything_back() {
    let data = tempfile::tempdir().unwrap();
    let config = EtcdConfig { data_dir: Some(data.path().join("etcd")), ..config(EtcdSource::Process) };
    let first = Fixture::new();
    let etcd = first.start(&config).await.unwrap();
    put(etcd.endpoints(), "/registry/a", "kept").await;
    let before = etcd.endpoints().to_vec();
    etcd.shutdown().await;
    drop(first);

    let second = Fixture::new();
    let etcd = second.start(&config).await.unwrap();
    assert_eq!(etcd.endpoints(), before, "the same address, if nobody has taken it");
    assert_eq!(get(etcd.endpoints(), "/registry/a").await.as_deref(), Some("kept"));
    etcd.shutdown().await;

    let _taken = TcpListener::bind(before[0].trim_start_matches("http://")).unwrap();
    let third = Fixture::new();
    let etcd = third.start(&config).await.unwrap();
    assert_ne!(etcd.endpoints(), before);
    assert_eq!(get(etcd.endpoints(), "/registry/a").await.as_deref(), Some("kept"));
    etcd.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_own_etcd_is_only_used_where_it_is_empty() {
    let theirs = Fixture::new();
    let their_etcd = theirs.start(&config(EtcdSource::Process)).await.unwrap();
    put(their_etcd.endpoints(), "/registry2/not-counted", "1").await;
    let ours = Fixture::new();
    let on_theirs = config(EtcdSource::Endpoints(their_etcd.endpoints().to_vec()));

    let mut etcd = ours.start(&on_theirs).await.unwrap();
    assert_eq!(etcd.backend(), Backend::Endpoints);
    assert!(matches!(etcd.stop_member(0).await, Err(EtcdError::Member { .. })));
    etcd.shutdown().await;

    put(their_etcd.endpoints(), "/registry/secrets/default/theirs", "1").await;
    let error = ours.start(&on_theirs).await.unwrap_err();
    assert!(matches!(error, EtcdError::PrefixInUse { count: 1, .. }), "{error}");
    assert!(error.help().unwrap().contains("--etcd-prefix"));
    ours.start(&EtcdConfig { adopt: true, ..on_theirs.clone() }).await.unwrap().shutdown().await;
    ours.start(&EtcdConfig { prefix: "/kyanite".to_owned(), ..on_theirs }).await.unwrap().shutdown().await;
    assert_eq!(get(their_etcd.endpoints(), "/registry/secrets/default/theirs").await.as_deref(), Some("1"));
    their_etcd.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_etcd_is_an_error_that_says_so() {
    let fixture = Fixture::new();
    let missing = EtcdConfig { binary: Some("/nonexistent/etcd".into()), ..config(EtcdSource::Process) };
    let error = fixture.start(&missing).await.unwrap_err();
    assert_eq!(error.to_string(), "find the etcd program `/nonexistent/etcd`");

    let fails = fixture.stack.path().join("etcd-that-fails");
    std::fs::write(&fails, "#!/bin/sh\necho bad flag >&2\nexit 2\n").unwrap();
    std::fs::set_permissions(&fails, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let error = fixture.start(&EtcdConfig { binary: Some(fails), ..missing.clone() }).await.unwrap_err();
    assert_eq!(error.to_string(), "start etcd member m0: it ended at once; its last words: bad flag");

    // A port that nothing listens on: it was this test's own a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let silent = config(EtcdSource::Endpoints(vec![format!("http://127.0.0.1:{port}")]));
    let error = fixture.start(&silent).await.unwrap_err();
    assert!(matches!(error, EtcdError::NotReady { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_is_called_off_leaves_nothing() {
    let fixture = Fixture::new();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let error =
        Etcd::start(&config(EtcdSource::Process), &fixture.stack, &Progress::silent(), &cancel).await.unwrap_err();
    assert!(matches!(error, EtcdError::Cancelled));
    assert_eq!(processes_with(&fixture.stack.path().display().to_string()), Vec::<String>::new());
}

/// Where no Docker engine answers, containers are refused with a way out; where one does, they run.
#[tokio::test(flavor = "multi_thread")]
async fn containers_run_and_leave_nothing() {
    let fixture = Fixture::new();
    if !docker_answers().await {
        let error = fixture.start(&config(EtcdSource::Container)).await.unwrap_err();
        assert!(matches!(error, EtcdError::Engine { .. }), "{error}");
        assert!(error.help().unwrap().contains("--etcd process"));
        let etcd = fixture.start(&config(EtcdSource::Auto)).await.unwrap();
        assert_eq!(etcd.backend(), Backend::Process);
        etcd.shutdown().await;
        return;
    }
    let etcd = fixture.start(&config(EtcdSource::Auto)).await.unwrap();
    assert_eq!(etcd.backend(), Backend::Container);
    put(etcd.endpoints(), "/registry/a", "1").await;
    assert_eq!(get(etcd.endpoints(), "/registry/a").await.as_deref(), Some("1"));
    assert_eq!(containers_of(&fixture.stack).await, 1);
    etcd.shutdown().await;
    assert_eq!(containers_of(&fixture.stack).await, 0);

    three_containers(&Fixture::new()).await;
    kept_in_a_container().await;
    left_behind(&Fixture::new()).await;
}

async fn three_containers(fixture: &Fixture) {
    let mut etcd = fixture.start(&members(EtcdSource::Container, 3)).await.unwrap();
    put(etcd.endpoints(), "/registry/a", "1").await;
    etcd.stop_member(2).await.unwrap();
    assert_eq!(get(&etcd.endpoints()[..2], "/registry/a").await.as_deref(), Some("1"));
    etcd.start_member(2).await.unwrap();
    assert_eq!(get(&etcd.endpoints()[2..], "/registry/a").await.as_deref(), Some("1"));
    // Dropped, as by a panic.
    drop(etcd);
    assert_eq!(containers_of(&fixture.stack).await, 0);
}

async fn kept_in_a_container() {
    let data = tempfile::tempdir().unwrap();
    let config = EtcdConfig { data_dir: Some(data.path().join("etcd")), ..config(EtcdSource::Container) };
    let mut taken = None;
    for expected in [None, Some("kept"), Some("kept")] {
        let fixture = Fixture::new();
        let etcd = fixture.start(&config).await.unwrap();
        assert_eq!(get(etcd.endpoints(), "/registry/a").await.as_deref(), expected);
        put(etcd.endpoints(), "/registry/a", "kept").await;
        let address = etcd.endpoints()[0].trim_start_matches("http://").to_owned();
        etcd.shutdown().await;
        // The next one finds its port taken.
        taken = taken.or_else(|| Some(TcpListener::bind(address).unwrap()));
    }
}

/// A stack whose process was killed: its container is there, the lock on its directory is not.
#[expect(clippy::mem_forget, reason = "a killed process drops nothing")]
async fn left_behind(fixture: &Fixture) {
    let killed = fixture.stack.base().create().unwrap();
    let id = killed.id().to_owned();
    let etcd = fixture.start_in(&killed).await;
    std::mem::forget(etcd);
    assert_eq!(containers_of(&killed).await, 1);
    drop(killed);
    let etcd = fixture.start(&config(EtcdSource::Container)).await.unwrap();
    let docker = docker_client_instance().await.unwrap();
    let options = ListContainersOptionsBuilder::new().all(true).build();
    let listed = docker.list_containers(Some(options)).await.unwrap();
    assert!(!listed.iter().any(|one| one.labels.iter().flatten().any(|(_, value)| *value == id)));
    assert_eq!(containers_of(&fixture.stack).await, 1);
    etcd.shutdown().await;
}

impl Fixture {
    async fn start_in(&self, stack: &StackDir) -> Etcd {
        let config = config(EtcdSource::Container);
        Etcd::start(&config, stack, &Progress::silent(), &CancellationToken::new()).await.unwrap()
    }
}
