//! Integration tests of the harness: the real etcd, the real parts, the public API.

mod etcd;
mod inspection;
mod redactor;
mod runs;
mod stack;
mod tour;
