//! Objects in etcd: guarded writes, consistent reads and lists, watches.

mod continuation;
mod error;
mod etcd;
mod list;
mod objects;
mod watch;

pub(crate) use continuation::Continuation;
pub(crate) use error::StoreError;
pub(crate) use etcd::{Etcd, EtcdError, Record};
pub(crate) use list::{At, ListQuery, Page};
pub(crate) use objects::{Current, Store};
pub(crate) use watch::{Change, StoreWatch, WatchEnd};
