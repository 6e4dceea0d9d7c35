//! One KMS v2 provider without its wire: seed, health, cache, and the values it seals and opens.
//!
//! Sans-I/O: where the plugin must be asked, a value says so and the caller hands the answer back. The caller is
//! `apiserver::encryption`.

mod health;
mod lifecycle;
mod provider;
mod writer;

pub use health::{GenerateError, HealthError, RotateError, StatusProblem};
pub use lifecycle::{
    CHECK_INTERVAL, Check, EncryptAnswer, HEALTHY_TTL, PendingSeed, RETRY_INTERVAL, StatusAnswer, UNHEALTHY_TTL,
    WRITE_GRACE,
};
pub use provider::{Kms, OpenError, Opened, Opener, PendingRead, Read};
pub use writer::{SealError, Writer};
