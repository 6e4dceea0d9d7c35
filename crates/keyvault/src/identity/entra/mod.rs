//! Entra's endpoints, and the credentials that clients send to them.

mod credentials;
mod endpoint;

pub(crate) use endpoint::{EntraRoute, LOGIN_HOSTS};
