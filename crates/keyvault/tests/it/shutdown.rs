//! The servers end when they are told to, whatever their clients do.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame};
use keyvault::{FaultEffect, Operation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stack::{Stack, VAULT, eventually};

#[tokio::test]
async fn silent_and_slow_clients_do_not_hold_it_up() {
    let stack = Stack::start().await;
    // Connected and silent: no TLS handshake, no HTTP head.
    let silent = (TcpStream::connect(stack.tls).await.unwrap(), TcpStream::connect(stack.plain).await.unwrap());
    // Half a head.
    let mut slow = TcpStream::connect(stack.plain).await.unwrap();
    slow.write_all(b"GET /metadata/identity/oauth2/token HTTP/1.1\r\nHost: 169.254").await.unwrap();
    // An idle keep-alive connection, and a request that hangs.
    stack.token().await;
    stack.inject(Operation::KeyList, FaultEffect::Hang, None);
    let request = stack.client.get(format!("{VAULT}/keys?api-version=7.4")).bearer_auth(stack.token().await);
    let hanging = tokio::spawn(request.send());
    eventually("the request hang", || (stack.control.faults()[0].struck > 0).then_some(())).await;
    stack.stop().await;
    assert!(hanging.await.unwrap().is_err());
    drop((silent, slow));
}

/// A body that is announced and never comes.
struct Never;

impl Body for Never {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

#[tokio::test]
async fn a_body_that_never_comes_does_not_hold_it_up() {
    let stack = Stack::start().await;
    stack.inject(Operation::KeyCreate, FaultEffect::Delay { millis: 0 }, None);
    let request = stack.client.post(format!("{VAULT}/keys/kms/create?api-version=7.4"));
    let request = request.bearer_auth(stack.token().await).header("content-type", "application/json");
    let waiting = tokio::spawn(request.body(reqwest::Body::wrap(Never)).send());
    // Struck: the head has been accepted, and the vault is on its way to the body.
    eventually("the request", || (stack.control.faults()[0].struck > 0).then_some(())).await;
    stack.stop().await;
    assert!(waiting.await.unwrap().is_err());
}

#[tokio::test]
async fn a_request_in_flight_is_answered() {
    let stack = Stack::start().await;
    let mut stream = TcpStream::connect(stack.plain).await.unwrap();
    let id = stack.inject(Operation::ManagedIdentityToken, FaultEffect::Hang, None);
    let head = "GET /metadata/identity/oauth2/token HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    eventually("the request hang", || (stack.control.faults()[0].struck > 0).then_some(())).await;
    stack.control.clear(id);
    stack.stop().await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
}
