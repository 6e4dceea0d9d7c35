//! Nothing secret is logged, at any level, by the plugin or by anything it is built of.

use std::io;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::peer::{Fault, Peer, TOKEN};
use crate::rig::{CLIENT_SECRET, Rig};

const SEED: &[u8; 32] = b"seed-Zk3vQ8xWp2Lr7Tn5Ys9Bd1Hg4Jm";

/// One thread: the subscriber is the thread's, and the peer has its own.
#[tokio::test(flavor = "current_thread")]
async fn a_full_trace_holds_no_seed_no_token_and_no_client_secret() {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_ansi(false).with_writer(log.clone()).finish();
    let guard = subscriber.set_default();
    // With only one subscriber in the process, tracing asks the thread that first meets an event whether anybody wants
    // it, and threads of other tests would say no for all; with two it asks the subscribers.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());

    let rig = Rig::start(&Peer::start(&["v1"]), None).await;
    let sealed = rig.encrypt(SEED).await.unwrap();
    assert_eq!(rig.decrypt(&sealed).await.unwrap(), SEED);
    rig.status().await.unwrap();
    rig.peer.fail_next([Fault::HalfBody, Fault::Answer { status: 503, body: "", retry_after: None }]);
    rig.encrypt(SEED).await.unwrap();
    rig.peer.revoke_tokens();
    rig.decrypt(&sealed).await.unwrap();
    rig.peer.refuse_tokens();
    rig.peer.revoke_tokens();
    rig.encrypt(SEED).await.unwrap_err();
    tracing::trace!("{:?}", rig.plugin);
    drop(guard);

    let text = log.text();
    for part in ["kms_plugin", "azure_core", "hyper", "h2::", "rustls", "decrypt request complete"] {
        assert!(text.contains(part), "the trace is complete: it has {part}");
    }
    let bytes: Vec<String> = SEED.iter().map(ToString::to_string).collect();
    for secret in [
        String::from_utf8_lossy(SEED).into_owned(),
        bytes.join(", "),
        hex::encode(SEED),
        // Without the last characters, which depend on what follows.
        STANDARD_NO_PAD.encode(&SEED[..30]),
        STANDARD.encode(SEED),
        URL_SAFE.encode(SEED),
        URL_SAFE_NO_PAD.encode(SEED),
        TOKEN.to_owned(),
        CLIENT_SECRET.to_owned(),
        CLIENT_SECRET.replace('~', "%7E"),
    ] {
        let found = text.lines().find(|line| line.contains(&secret));
        assert_eq!(found, None, "{secret:?} was logged");
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
