//! `EncryptionConfiguration` of `apiserver.config.k8s.io/v1`: the file that `--encryption-provider-config` names.

mod duration;
mod file;
mod problem;
mod resource;
mod rule;
mod validation;
mod yaml;

pub use problem::{ConfigProblem, ConfigProblems};
pub use resource::GroupResource;
pub use rule::{EncryptionConfiguration, KmsProvider, Provider, Rule};
