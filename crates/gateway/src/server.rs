//! The listener: takes connections, bounds what a client may make us wait for or hold, and ends cleanly.

use std::convert::Infallible;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::exchange::Exchange;
use crate::routes::Routes;

/// Serves a forward proxy for `routes` on `listener` until `shutdown` is cancelled.
///
/// Requests and tunnels that are open then have a second to end, which they do if the emulators behind them stop too;
/// what is left is cut.
///
/// A request's head may have 16 KiB and must be complete within 10 s. What is not HTTP gets a bare 400.
pub async fn serve(listener: TcpListener, routes: Routes, shutdown: CancellationToken) {
    let exchange = Exchange { routes, tasks: TaskTracker::new(), cut: CancellationToken::new() };
    while let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((client, _)) => {
                exchange.tasks.spawn(converse(client, exchange.clone(), shutdown.clone()));
            }
            // Mostly a lack of file descriptors, which other connections give back in time.
            Err(error) => {
                warn!(%error, "cannot accept a connection, trying again");
                shutdown.run_until_cancelled(sleep_until(Instant::now() + ACCEPT_PAUSE)).await;
            }
        }
    }
    drop(listener);
    exchange.tasks.close();
    if timeout(GRACE, exchange.tasks.wait()).await.is_err() {
        exchange.cut.cancel();
        exchange.tasks.wait().await;
    }
}

/// The requests of one connection, one after the other, up to a tunnel.
async fn converse(client: TcpStream, exchange: Exchange, shutdown: CancellationToken) {
    if let Err(error) = client.set_nodelay(true) {
        debug!(%error, "cannot switch off Nagle's algorithm");
    }
    let cut = exchange.cut.clone();
    let service = service_fn(move |request| {
        let exchange = exchange.clone();
        async move { Ok::<_, Infallible>(exchange.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .half_close(true)
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(MAX_HEAD_BYTES)
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(client), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            cut.run_until_cancelled(connection).await
        }
    };
    if let Some(Err(error)) = ended {
        debug!(%error, "connection ended early");
    }
}

/// How long open requests and tunnels may go on after the end was announced.
const GRACE: Duration = Duration::from_secs(1);

/// How long a request's head may take to arrive.
const HEAD_LIMIT: Duration = Duration::from_secs(10);

/// How large a request's head may be, and what is buffered of a body.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// How long to wait before accepting again after the system refused.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
