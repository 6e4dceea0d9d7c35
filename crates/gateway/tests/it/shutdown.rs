//! The end: no new connections, open ones get a moment, and nothing hangs.

use gateway::Routes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::fixture::{Gateway, read_all, upstream, within};

#[tokio::test]
async fn idle_connections_and_stuck_tunnels_do_not_hold_it_up() {
    let silent = upstream(|mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let gateway = Gateway::start(Routes::new().tls("a.example", 443, silent).unwrap()).await;
    let _idle = gateway.connect().await;
    let mut half_a_head = gateway.connect().await;
    half_a_head.write_all(b"CONNECT a.exam").await.unwrap();
    let mut tunnel = gateway.tunnel("a.example:443").await;

    gateway.shutdown.cancel();
    within(gateway.server).await.unwrap();
    assert_eq!(read_all(&mut tunnel).await, "");
    assert!(TcpStream::connect(gateway.address).await.is_err());
}

#[tokio::test]
async fn a_request_under_way_is_answered() {
    let (arrived, mut arrivals) = tokio::sync::mpsc::channel::<()>(1);
    let go = tokio_util::sync::CancellationToken::new();
    let imds = upstream({
        let go = go.clone();
        move |mut stream| {
            let (arrived, go) = (arrived.clone(), go.clone());
            async move {
                crate::fixture::read_head(&mut stream).await;
                arrived.send(()).await.unwrap();
                go.cancelled().await;
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").await.unwrap();
            }
        }
    })
    .await;
    let gateway = Gateway::start(Routes::new().plain("imds.example", 80, imds).unwrap()).await;
    let mut client = gateway.connect().await;
    client.write_all(b"GET http://imds.example/ HTTP/1.1\r\n\r\n").await.unwrap();
    within(arrivals.recv()).await.unwrap();

    gateway.shutdown.cancel();
    go.cancel();
    let answer = read_all(&mut client).await;
    assert!(answer.ends_with("\r\n\r\ndone"), "{answer}");
    within(gateway.server).await.unwrap();
}
