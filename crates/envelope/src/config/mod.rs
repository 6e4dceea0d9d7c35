//! `EncryptionConfiguration` of `apiserver.config.k8s.io/v1`: the file that `--encryption-provider-config` names.

mod duration;
mod file;
mod key;
mod problem;
mod resource;
mod rule;
mod validation;
mod yaml;

pub use problem::{ConfigProblem, ConfigProblems};
pub use resource::GroupResource;
pub use rule::{EncryptionConfiguration, KmsProvider, KmsVersion, ParseOptions, Provider, Rule};
