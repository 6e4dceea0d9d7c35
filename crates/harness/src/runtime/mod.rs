//! Where running stacks of one user live on disk, and how they are found again.
//!
//! Below the base directory (`$XDG_RUNTIME_DIR/kyanite`, else `/tmp/kyanite-{uid}`; the caller decides) each stack has
//! a directory of its own, which holds everything that exists only while it runs: certificates, the client secret,
//! tokens, sockets, a throw-away etcd's data, its ready file. The stack keeps a lock on it; the kernel frees the lock
//! when the process ends, however it ends, so a directory without a locked lock is what a killed stack left behind.

mod directory;
mod files;
mod stale;

pub use directory::{Running, RuntimeDir, RuntimeError, StackDir, user_id};
pub(crate) use files::{write_private, write_public};
