//! The door for unmodified clients: an HTTP forward proxy on loopback that answers for Azure's own names.
//!
//! Azure's tools know their services by fixed names. With `HTTPS_PROXY` and `HTTP_PROXY` set to this server they ask
//! it for `kyanite.vault.azure.net:443` or `http://169.254.169.254/…`, and it joins them to the emulator that answers
//! for that name on this machine. Every other name is refused in one clear sentence, so nothing leaves the machine.
//!
//! It speaks HTTP/1.1 `CONNECT` and absolute-form requests (RFC 9110 section 9.3.6, RFC 9112 section 3.2.2). Each
//! listener is one place in the network: what answers for a name may differ from place to place, so the routes belong
//! to the listener.
//!
//! What it does not do: read TLS. The tunnel's bytes are the client's and the emulator's; certificates are the
//! emulator's.

mod counters;
mod exchange;
mod refusal;
mod routes;
mod server;

pub use counters::{Counters, Traffic};
pub use routes::{PatternError, Routes};
pub use server::serve;
