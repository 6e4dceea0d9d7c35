//! A vault in a process of its own, until it is killed.

use std::io::Write as _;
use std::path::PathBuf;

use clock::Clock;
use keyvault::{Config, Emulator, Principal, PrincipalKind, Secret, VaultConfig};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The argument that makes a process the victim; its data directory follows.
pub(crate) const WORD: &str = "victim";
pub(crate) const TENANT: &str = "11111111-1111-4111-8111-111111111111";
pub(crate) const CLIENT_ID: &str = "22222222-2222-4222-8222-222222222222";
pub(crate) const CLIENT_SECRET: &str = "correct horse";

/// Serves over plain HTTP, as the KMS plugin's proxy mode has it, and says at which address.
pub(crate) fn serve() {
    let data_dir = std::env::args_os().nth(2).map(PathBuf::from).expect("a data directory");
    let client_secret = Some(Secret::new(CLIENT_SECRET.to_owned()));
    let kind = PrincipalKind::ServicePrincipal { client_secret };
    let client_id = CLIENT_ID.parse().unwrap();
    let emulator = Emulator::open(Config {
        vaults: vec![VaultConfig::new("kyanite".parse().unwrap())],
        principals: vec![Principal::new(client_id, client_id, kind)],
        data_dir: Some(data_dir),
        ..Config::new(TENANT.parse().unwrap(), Clock::new())
    });
    let emulator = emulator.expect("the state can be opened after a crash");
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        writeln!(std::io::stdout(), "{}", listener.local_addr().unwrap()).unwrap();
        keyvault::serve_plain(listener, emulator, CancellationToken::new()).await;
    });
}
