//! `CONNECT`: bytes go both ways unread, and each side may finish on its own.

use gateway::Routes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::fixture::{Gateway, read_all, read_head, upstream, within};

#[tokio::test]
async fn bytes_go_both_ways_and_a_half_close_is_passed_on() {
    // Answers only after it has seen the end of what the client sends.
    let vault = upstream(|mut stream| async move {
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.unwrap();
        stream.write_all(format!("{} bytes", received.len()).as_bytes()).await.unwrap();
    })
    .await;
    let gateway = Gateway::start(Routes::new().tls("*.vault.azure.net", 443, vault).unwrap()).await;

    let mut client = gateway.tunnel("Kyanite.vault.azure.net:443").await;
    client.write_all(&vec![7; 1_000_000]).await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut client).await, "1000000 bytes");

    let traffic = &gateway.counters.snapshot()[0];
    assert_eq!((traffic.host.as_str(), traffic.port, traffic.joined), ("kyanite.vault.azure.net", 443, 1));
}

#[tokio::test]
async fn the_emulator_may_finish_first() {
    let (sent, mut received) = tokio::sync::mpsc::channel(1);
    let vault = upstream(move |mut stream| {
        let sent = sent.clone();
        async move {
            stream.write_all(b"bye").await.unwrap();
            stream.shutdown().await.unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            sent.send(text).await.unwrap();
        }
    })
    .await;
    let gateway = Gateway::start(Routes::new().tls("a.example", 1, vault).unwrap()).await;
    let mut client = gateway.tunnel("a.example:1").await;
    assert_eq!(read_all(&mut client).await, "bye");
    client.write_all(b"still here").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(within(received.recv()).await.unwrap(), "still here");
}

#[tokio::test]
async fn what_is_sent_together_with_the_request_is_not_lost() {
    let echo = upstream(|mut stream| async move {
        let (mut reader, mut writer) = stream.split();
        tokio::io::copy(&mut reader, &mut writer).await.unwrap();
    })
    .await;
    let gateway = Gateway::start(Routes::new().tls("a.example", 443, echo).unwrap()).await;
    let mut client = gateway.connect().await;
    client.write_all(b"CONNECT a.example:443 HTTP/1.1\r\n\r\nearly").await.unwrap();
    client.shutdown().await.unwrap();
    read_head(&mut client).await;
    assert_eq!(read_all(&mut client).await, "early");
}

#[tokio::test]
async fn a_client_that_vanishes_ends_the_tunnel() {
    let (gone, mut told) = tokio::sync::mpsc::channel::<()>(1);
    let vault = upstream(move |mut stream| {
        let gone = gone.clone();
        async move {
            let _ = stream.read_to_end(&mut Vec::new()).await;
            gone.send(()).await.unwrap();
        }
    })
    .await;
    let gateway = Gateway::start(Routes::new().tls("a.example", 443, vault).unwrap()).await;
    drop(gateway.tunnel("a.example:443").await);
    within(told.recv()).await.unwrap();
}
