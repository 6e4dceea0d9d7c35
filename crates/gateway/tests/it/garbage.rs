//! Whatever a client sends, the server answers or closes, and goes on.

use std::sync::OnceLock;

use gateway::Routes;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Runtime;

use crate::fixture::{Gateway, mirror, within};

fn runtime() -> &'static (Runtime, Gateway) {
    static SERVER: OnceLock<(Runtime, Gateway)> = OnceLock::new();
    SERVER.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let gateway = runtime.block_on(async {
            let routes = Routes::new().plain("a.example", 80, mirror().await).unwrap();
            Gateway::start(routes).await
        });
        (runtime, gateway)
    })
}

/// Sends the bytes, waits for the end, and checks that a good request still works.
fn survives(bytes: &[u8]) {
    let (runtime, gateway) = runtime();
    runtime.block_on(async {
        let mut client = gateway.connect().await;
        // The server may close before it has read everything.
        let _ = client.write_all(bytes).await;
        let _ = client.shutdown().await;
        let _ = within(client.read_to_end(&mut Vec::new())).await;
        let answer = gateway.ask("GET http://a.example/ HTTP/1.1\r\nConnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(!gateway.server.is_finished());
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn bytes(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        survives(&bytes);
    }

    #[test]
    fn nearly_requests(
        method in "(GET|POST|CONNECT|PRI|[A-Z]{0,9})",
        target in "(|\\*|/|a\\.example:80|http://a\\.example|https://|http://\\[::1\\]:|[!-~]{0,60})",
        version in "(HTTP/1\\.[019]|HTTP/2\\.0|)",
        headers in "((Host|Connection|Content-Length|Transfer-Encoding|[!-~]{1,8}): ?[ -~]{0,20}\r\n){0,5}",
        end in "(\r\n)?.{0,40}",
    ) {
        survives(format!("{method} {target} {version}\r\n{headers}{end}").as_bytes());
    }
}
