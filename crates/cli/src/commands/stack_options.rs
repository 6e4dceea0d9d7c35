//! The options that say what a stack is made of, shared by the commands that start one.

use std::fs;
use std::num::NonZeroU8;
use std::path::PathBuf;

use clap::Args;
use harness::etcd::EtcdSource;
use harness::stack::StackConfig;

use crate::failure::Failure;
use crate::locate::runtime_dir;

/// What a stack is made of. What is said here counts more than what the file says.
#[derive(Args, Debug)]
pub(crate) struct StackOptions {
    /// A configuration file (schemas/stack.json)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Seeds the vault with what this file declares (YAML or JSON, see docs/keyvault.md)
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,
    /// The etcd: `auto`, `container`, `process`, or endpoints of one that runs already
    #[arg(long, value_name = "SOURCE")]
    etcd: Option<EtcdSource>,
    /// Members of the etcd cluster
    #[arg(long, value_name = "N")]
    members: Option<NonZeroU8>,
    /// The image for etcd in containers
    #[arg(long, value_name = "IMAGE")]
    etcd_image: Option<String>,
    /// The etcd program for child processes
    #[arg(long, value_name = "FILE")]
    etcd_binary: Option<PathBuf>,
    /// Where in etcd everything is stored
    #[arg(long, value_name = "PREFIX")]
    etcd_prefix: Option<String>,
    /// Takes over keys that are under the prefix of an etcd of yours
    #[arg(long)]
    adopt: bool,
}

impl StackOptions {
    /// The configuration that file and options make.
    pub(crate) fn config(self) -> Result<StackConfig, Failure> {
        let runtime = runtime_dir()?;
        let mut config = match &self.config {
            None => StackConfig::new(runtime),
            Some(path) => {
                let name = path.display().to_string();
                let text = fs::read_to_string(path).map_err(|error| {
                    Failure::usage(anyhow::Error::new(error).context(format!("read the configuration file {name}")))
                })?;
                StackConfig::load(&name, &text, runtime)?
            }
        };
        config.seed = self.seed.or(config.seed);
        let etcd = &mut config.etcd;
        etcd.source = self.etcd.unwrap_or_else(|| etcd.source.clone());
        etcd.members = self.members.unwrap_or(etcd.members);
        etcd.image = self.etcd_image.or_else(|| etcd.image.take());
        etcd.binary = self.etcd_binary.or_else(|| etcd.binary.take());
        etcd.prefix = self.etcd_prefix.unwrap_or_else(|| etcd.prefix.clone());
        etcd.adopt |= self.adopt;
        Ok(config)
    }
}
