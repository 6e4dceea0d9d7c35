//! A running gateway, and the peers behind and in front of it.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use gateway::{Counters, Routes};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) counters: Counters,
    pub(crate) shutdown: CancellationToken,
    pub(crate) server: JoinHandle<()>,
}

impl Gateway {
    pub(crate) async fn start(routes: Routes) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let counters = routes.counters();
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(gateway::serve(listener, routes, shutdown.clone()));
        Self { address, counters, shutdown, server }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends `request`, closes the sending half, and gives all that comes back.
    pub(crate) async fn ask(&self, request: &str) -> String {
        let mut client = self.connect().await;
        client.write_all(request.as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        read_all(&mut client).await
    }

    /// A tunnel to `target`, with the answer's head read off.
    pub(crate) async fn tunnel(&self, target: &str) -> TcpStream {
        let mut client = self.connect().await;
        client.write_all(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").as_bytes()).await.unwrap();
        let head = read_head(&mut client).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        client
    }
}

/// A listener whose every connection is given to `serve`.
pub(crate) async fn upstream<F, S>(serve: S) -> SocketAddr
where
    S: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// An HTTP server that answers every request with the head it read, and closes.
pub(crate) async fn mirror() -> SocketAddr {
    upstream(|mut stream| async move {
        let head = read_head(&mut stream).await;
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close, X-Private\r\nX-Private: 1\r\n\r\n{head}",
            head.len()
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await
}

/// An address at which nothing listens.
pub(crate) async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

pub(crate) async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within(stream.read_u8()).await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

pub(crate) async fn read_all(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    within(stream.read_to_string(&mut text)).await.unwrap();
    text
}

/// Fails the test instead of hanging it.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("done within 30 s")
}
