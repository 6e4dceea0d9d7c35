//! Upstream's unit tests of encryption at rest, by their names; `docs/upstream-tests.md` maps all of them.

mod aes;
mod encryptionconfig;
mod kms_v1;
mod kms_v2;
mod rotate;
mod secretbox;
mod transformer;
mod validation;

pub(crate) use encryptionconfig::open;
