//! Keys on the wire.

mod answer;
mod command;
mod crypt;
mod import;
mod key_type;
mod rotation;
mod route;
mod wire;

pub(super) use command::KeyCommand;
#[cfg(test)]
pub(super) use route::Crypt;
pub(super) use route::KeyRoute;
