//! reqwest through the gateway, as an SDK's transport uses it: TLS checks on, Azure's names.

use std::sync::Arc;

use gateway::Routes;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

use crate::fixture::{Gateway, mirror, upstream};

#[tokio::test]
async fn https_goes_through_with_the_certificate_checked() {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca_params = CertificateParams::new(Vec::new()).unwrap();
    ca_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = ca_params.self_signed(&ca_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["*.vault.azure.net".to_owned()])
        .unwrap()
        .signed_by(&key, &Issuer::new(ca_params, ca_key))
        .unwrap();
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let vault = upstream(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let mut buffer = vec![0; 4096];
            let _ = stream.read(&mut buffer).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").await.unwrap();
            stream.shutdown().await.unwrap();
        }
    })
    .await;
    let gateway = Gateway::start(Routes::new().tls("*.vault.azure.net", 443, vault).unwrap()).await;

    let proxy = || reqwest::Proxy::all(format!("http://{}", gateway.address)).unwrap();
    let trusting = reqwest::Client::builder()
        .proxy(proxy())
        .tls_certs_merge([reqwest::Certificate::from_der(ca.der()).unwrap()])
        .build()
        .unwrap();
    let url = "https://kyanite.vault.azure.net/keys";
    assert_eq!(trusting.get(url).send().await.unwrap().text().await.unwrap(), "ok");

    let doubting = reqwest::Client::builder().proxy(proxy()).build().unwrap();
    let error = doubting.get(url).send().await.unwrap_err();
    assert!(format!("{error:?}").contains("UnknownIssuer"), "{error:?}");

    assert!(trusting.get("https://example.com/").send().await.is_err());
}

#[tokio::test]
async fn plain_http_goes_through_and_the_connection_is_kept() {
    let gateway = Gateway::start(Routes::new().plain("169.254.169.254", 80, mirror().await).unwrap()).await;
    let client =
        reqwest::Client::builder().proxy(reqwest::Proxy::http(format!("http://{}", gateway.address)).unwrap()).build();
    let client = client.unwrap();
    for _ in 0..3 {
        let answer = client.get("http://169.254.169.254/metadata/instance").send().await.unwrap();
        let body = answer.text().await.unwrap();
        assert!(body.starts_with("GET /metadata/instance HTTP/1.1\r\n"), "{body}");
        assert!(body.contains("host: 169.254.169.254\r\n"), "{body}");
    }
    assert_eq!(gateway.counters.snapshot()[0].joined, 3);
}
