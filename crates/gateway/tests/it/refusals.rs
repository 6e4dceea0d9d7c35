//! What is not answered for gets one clear sentence, and nothing is sent anywhere.

use gateway::Routes;
use insta::assert_snapshot;

use crate::fixture::{Gateway, mirror, nowhere};

async fn gateway() -> Gateway {
    let never = nowhere().await;
    let routes = Routes::new()
        .tls("*.vault.azure.net", 443, never)
        .unwrap()
        .tls("login.microsoftonline.com", 443, never)
        .unwrap()
        .plain("169.254.169.254", 80, never)
        .unwrap();
    Gateway::start(routes).await
}

/// Status and body; the head's date varies.
async fn refusal(gateway: &Gateway, request: &str) -> String {
    let answer = gateway.ask(request).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    format!("{}\n{body}", head.lines().next().unwrap_or("(nothing)"))
}

#[tokio::test]
async fn other_names_and_ports_are_refused() {
    let gateway = gateway().await;
    assert_snapshot!(refusal(&gateway, "CONNECT example.com:443 HTTP/1.1\r\n\r\n").await, @r"
    HTTP/1.1 502 Bad Gateway
    Kyanite's gateway does not answer for example.com:443 and lets nothing leave this machine (it answers for *.vault.azure.net:443, login.microsoftonline.com:443, 169.254.169.254:80); to reach example.com directly, add it to NO_PROXY
    ");
    assert_snapshot!(refusal(&gateway, "GET http://example.com/x HTTP/1.1\r\nHost: example.com\r\n\r\n").await, @r"
    HTTP/1.1 502 Bad Gateway
    Kyanite's gateway does not answer for example.com:80 and lets nothing leave this machine (it answers for *.vault.azure.net:443, login.microsoftonline.com:443, 169.254.169.254:80); to reach example.com directly, add it to NO_PROXY
    ");
    for target in
        ["kyanite.vault.azure.net:8443", "a.b.vault.azure.net:443", "vault.azure.net:443", "[::1]:443", "127.0.0.1:443"]
    {
        let answer = refusal(&gateway, &format!("CONNECT {target} HTTP/1.1\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway"), "{answer}");
        assert!(answer.contains(&format!("does not answer for {target} ")), "{answer}");
    }
    let traffic = gateway.counters.snapshot();
    assert_eq!(traffic.iter().map(|traffic| traffic.refused).sum::<u64>(), 7);
    assert!(traffic.iter().all(|traffic| traffic.joined == 0), "nothing was sent anywhere: {traffic:?}");
}

#[tokio::test]
async fn what_is_no_proxy_request_is_explained() {
    let gateway = gateway().await;
    assert_snapshot!(refusal(&gateway, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await, @r"
    HTTP/1.1 400 Bad Request
    this is Kyanite's gateway, a forward proxy: set HTTPS_PROXY and HTTP_PROXY to its address instead of opening it (it answers for *.vault.azure.net:443, login.microsoftonline.com:443, 169.254.169.254:80)
    ");
    assert_snapshot!(refusal(&gateway, "GET https://kyanite.vault.azure.net/keys HTTP/1.1\r\n\r\n").await, @r"
    HTTP/1.1 400 Bad Request
    Kyanite's gateway reads no TLS: ask for https://kyanite.vault.azure.net/keys with CONNECT, as clients do when HTTPS_PROXY is set
    ");
    assert_snapshot!(refusal(&gateway, "GET http://kyanite.vault.azure.net:443/keys HTTP/1.1\r\n\r\n").await, @r"
    HTTP/1.1 400 Bad Request
    Kyanite's gateway reads no TLS: ask for http://kyanite.vault.azure.net:443/keys with CONNECT, as clients do when HTTPS_PROXY is set
    ");
    assert_snapshot!(refusal(&gateway, "CONNECT kyanite.vault.azure.net HTTP/1.1\r\n\r\n").await, @r#"
    HTTP/1.1 400 Bad Request
    Kyanite's gateway cannot tell the host and port of "kyanite.vault.azure.net": ask for host:port
    "#);
    for target in ["a.example:0", "a.example:99999", "a.example:", "a.example:x"] {
        let answer = refusal(&gateway, &format!("CONNECT {target} HTTP/1.1\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request"), "{target}: {answer}");
    }
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut() {
    let gateway = gateway().await;
    let answer = gateway.ask(&format!("GET http://{} HTTP/1.1\r\n", "x".repeat(100_000))).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
}

#[tokio::test]
async fn a_dead_emulator_is_named() {
    let dead = nowhere().await;
    let gateway = Gateway::start(Routes::new().tls("a.example", 443, dead).unwrap()).await;
    let answer = refusal(&gateway, "CONNECT a.example:443 HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway"), "{answer}");
    assert!(answer.contains(&format!("cannot reach the emulator of a.example:443 at {dead} (")), "{answer}");
    assert_eq!(gateway.counters.snapshot()[0].unreachable, 1);
}

#[tokio::test]
async fn an_absolute_request_becomes_the_emulators_own() {
    let gateway = Gateway::start(Routes::new().plain("169.254.169.254", 80, mirror().await).unwrap()).await;
    let request = "GET http://169.254.169.254/metadata/identity?resource=https%3A%2F%2Fvault.azure.net HTTP/1.1\r\n\
         Host: elsewhere\r\nMetadata: true\r\nProxy-Authorization: Basic eDp5\r\nProxy-Connection: keep-alive\r\n\
         Connection: close, X-Hop\r\nX-Hop: 1\r\n\r\n";
    let answer = gateway.ask(request).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(!head.to_ascii_lowercase().contains("x-private"), "{head}");
    assert_snapshot!(body.replace('\r', "").trim_end(), @r"
    GET /metadata/identity?resource=https%3A%2F%2Fvault.azure.net HTTP/1.1
    host: 169.254.169.254
    metadata: true
    ");
}
