//! Secrets on the wire.

mod answer;
mod command;
mod route;
mod wire;

pub(super) use command::SecretCommand;
pub(super) use route::SecretRoute;
