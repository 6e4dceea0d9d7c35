//! Faults through the control door, as a client meets them.

use std::num::NonZeroU32;
use std::time::Instant;

use keyvault::{Fault, FaultEffect, Operation};
use reqwest::StatusCode;
use serde_json::json;

use crate::stack::{CLIENT_ID, Stack, VAULT, client, eventually, json_of};

fn refuse(status: u16) -> FaultEffect {
    FaultEffect::Refuse { status, code: None, inner_code: None, message: None, retry_after_seconds: None }
}

#[tokio::test]
async fn a_refusal_strikes_as_often_as_it_should_and_spares_the_probe() {
    let stack = Stack::start().await;
    stack.create("kms").await;
    stack.inject(Operation::KeyEncrypt, refuse(429), Some(1));
    let url = format!("{VAULT}/keys/kms/encrypt?api-version=7.4");
    assert_eq!(stack.client.post(&url).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let body = json!({ "alg": "RSA-OAEP-256", "value": "c2VlZA" });
    let response = stack.send("POST", "/keys/kms/encrypt", Some(body.clone())).await;
    assert_eq!(response.headers().get("retry-after"), None);
    let (status, refused) = json_of(response).await;
    assert_eq!((status, &refused["error"]["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!("Throttled")));
    assert_eq!(stack.call("POST", "/keys/kms/encrypt", body).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_dropped_connection_gives_no_answer() {
    let stack = Stack::start().await;
    stack.token().await;
    stack.inject(Operation::KeyList, FaultEffect::Drop, None);
    let request = stack.client.get(format!("{VAULT}/keys?api-version=7.4")).bearer_auth(stack.token().await);
    let error = request.send().await.unwrap_err();
    assert!(error.is_request() && !error.is_timeout(), "{error:?}");
    stack.control.clear_all();
    assert_eq!(stack.bare("GET", "/keys").await.0, StatusCode::OK);
    let lost = stack.control.counts().into_iter().find(|count| count.status.is_none()).unwrap();
    assert_eq!((lost.operation, lost.count >= 1), (Operation::KeyList, true));
}

#[tokio::test]
async fn an_answer_may_break_off_in_the_middle() {
    let stack = Stack::start().await;
    stack.token().await;
    let whole = stack.bare("GET", "/keys").await.1.to_string().len();
    let old = client(&stack.authority, stack.tls).http1_only().build().unwrap();
    for (client, bytes) in [(&old, 5), (&old, 0)] {
        let fault = Fault { count: NonZeroU32::new(1), ..Fault::new(FaultEffect::Truncate { bytes }) };
        stack.control.inject(fault).unwrap();
        let request = client.get(format!("{VAULT}/keys?api-version=7.4")).bearer_auth(stack.token().await);
        let mut response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.content_length(), u64::try_from(whole).ok(), "it announces more than comes");
        let mut read = 0;
        let error = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => read += chunk.len(),
                Ok(None) => panic!("the answer ended as if it were whole"),
                Err(error) => break error,
            }
        };
        assert!(read <= bytes, "{read} bytes came: {error:?}");
    }
    // HTTP/2 resets the stream, before the head of the answer if that has not been sent.
    let fault = Fault { count: NonZeroU32::new(1), ..Fault::new(FaultEffect::Truncate { bytes: 5 }) };
    stack.control.inject(fault).unwrap();
    let request = stack.client.get(format!("{VAULT}/keys?api-version=7.4")).bearer_auth(stack.token().await);
    let read = async { request.send().await?.bytes().await };
    read.await.expect_err("the stream is reset");
}

#[tokio::test]
async fn a_fault_on_one_key_of_one_caller_spares_the_others() {
    let stack = Stack::start().await;
    stack.create("kms").await;
    let fault = Fault {
        object: Some("KMS".to_owned()),
        caller: Some(CLIENT_ID.to_owned()),
        vault: Some("kyanite".to_owned()),
        ..Fault::new(refuse(503))
    };
    let id = stack.control.inject(fault).unwrap();
    assert_eq!(stack.bare("GET", "/keys/kms").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(stack.bare("GET", "/keys/other").await.0, StatusCode::NOT_FOUND);
    stack.control.clear(id);
    assert_eq!(stack.bare("GET", "/keys/kms").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_hang_lasts_until_it_is_cleared() {
    let stack = Stack::start().await;
    stack.token().await;
    let id = stack.inject(Operation::KeyList, FaultEffect::Hang, None);
    let request = stack.client.get(format!("{VAULT}/keys?api-version=7.4")).bearer_auth(stack.token().await);
    let waiting = tokio::spawn(request.send());
    eventually("the request hang", || (stack.control.faults()[0].struck > 0).then_some(())).await;
    assert!(!waiting.is_finished());
    assert!(stack.control.clear(id));
    assert_eq!(waiting.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn an_outage_of_everything_reaches_every_endpoint() {
    let stack = Stack::start().await;
    stack.token().await;
    let count = NonZeroU32::new(3);
    stack.control.inject(Fault { count, ..Fault::new(refuse(503)) }).unwrap();
    assert_eq!(stack.bare("GET", "/keys").await.0, StatusCode::SERVICE_UNAVAILABLE);
    let token = stack.token_request(&[("scope", "https://vault.azure.net/.default")]).send().await.unwrap();
    assert_eq!(json_of(token).await.1["error"], "temporarily_unavailable");
    let url = format!("http://{}/metadata/identity/oauth2/token", stack.plain);
    assert_eq!(stack.client.get(&url).send().await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(stack.bare("GET", "/keys").await.0, StatusCode::OK, "the count is used up");
}

#[tokio::test]
async fn latency_is_added() {
    let stack = Stack::start().await;
    stack.token().await;
    stack.inject(Operation::KeyList, FaultEffect::Delay { millis: 50 }, Some(1));
    let started = Instant::now();
    assert_eq!(stack.bare("GET", "/keys").await.0, StatusCode::OK);
    assert!(started.elapsed().as_millis() >= 50);
    assert!(stack.control.requests(1)[0].duration_micros >= 50_000);
}

#[tokio::test]
async fn a_client_that_gives_up_is_counted() {
    let stack = Stack::start().await;
    stack.token().await;
    stack.inject(Operation::KeyList, FaultEffect::Hang, None);
    let request = stack.client.get(format!("{VAULT}/keys?api-version=7.4")).bearer_auth(stack.token().await);
    let waiting = tokio::spawn(request.send());
    eventually("the request hang", || (stack.control.faults()[0].struck > 0).then_some(())).await;
    waiting.abort();
    let lost = || stack.control.counts().into_iter().find(|count| count.status.is_none());
    assert_eq!(eventually("the request end", lost).await.operation, Operation::KeyList);
}
