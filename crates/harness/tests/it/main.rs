//! Integration tests of the harness: the real etcd, the real parts, the public API.

mod etcd;
