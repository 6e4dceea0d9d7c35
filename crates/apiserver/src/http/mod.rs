//! Requests to answers: routes, queries, content types, the listener.

mod accept;
mod delete_options;
mod options;
mod path;
mod query;
mod reply;
mod respond;
mod router;
mod serve;

pub(crate) use accept::Shape;
pub(crate) use delete_options::DeleteOptions;
pub(crate) use options::{WriteKind, WriteOptions, list_query, watch_options};
pub(crate) use path::Target;
pub(crate) use query::Query;
pub(crate) use reply::{Answer, Reply};
pub(crate) use respond::{Form, partial};
pub(crate) use router::ApiRequest;
pub use serve::serve;
