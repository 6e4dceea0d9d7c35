//! What the parts of a stack stand on: directories, certificates, secrets. It stays the same while parts come and go.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clock::Clock;
use kms_api::Endpoint;
use rustls::ServerConfig;

use super::api_server;
use super::azure::AZURE_NAMES;
use super::clock_file::ClockFile;
use super::config::{EncryptionAtRest, StackConfig};
use super::error::StackError;
use super::plugin;
use super::secrets::Secrets;
use crate::pki::Ca;
use crate::runtime::{StackDir, write_public};

/// What the parts of a stack stand on.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) config: StackConfig,
    pub(super) directory: StackDir,
    /// Where state lives: the data directory, or the stack's own.
    pub(super) state: PathBuf,
    pub(super) secrets: Secrets,
    pub(super) ca_pem: String,
    pub(super) ca_file: PathBuf,
    pub(super) vault_tls: Arc<ServerConfig>,
    pub(super) api_server_tls: Arc<ServerConfig>,
    pub(super) socket: Endpoint,
    pub(super) clock_file: ClockFile,
    /// The `EncryptionConfiguration`, where something is encrypted.
    pub(super) encryption_config: Option<PathBuf>,
    /// Keeps a second stack off the same data.
    _lock: Option<File>,
}

impl Ground {
    /// Makes the directories, and what is in them that needs no running part.
    pub(super) fn prepare(mut config: StackConfig) -> Result<Self, StackError> {
        let directory = config.runtime.create()?;
        let (state, lock) = match &config.data_dir {
            Some(path) => {
                let (path, lock) = open_data_dir(path)?;
                config.etcd.data_dir = Some(path.join("etcd"));
                (path, Some(lock))
            }
            None => (directory.path().to_owned(), None),
        };
        let clock_file = ClockFile::new(config.data_dir.as_ref().map(|_| state.join("clock")));
        clock_file.restore(&config.clock)?;
        // Certificates are checked on real time, which is what a new clock shows.
        let now = Clock::new().now();
        let ca = Ca::load_or_create(&state, now)?;
        let mut vault_names = AZURE_NAMES.to_vec();
        vault_names.extend(["localhost", "127.0.0.1"]);
        let vault_tls = ca.server(&vault_names)?;
        let api_server_tls = ca.server(&api_server::NAMES)?;
        let ca_pem = ca.pem();
        let ca_file = directory.path().join("ca.pem");
        write_public(&ca_file, ca_pem.as_bytes())
            .map_err(|source| StackError::File { path: ca_file.clone(), source })?;
        let secrets = Secrets::load_or_generate(&state, directory.path())?;
        let socket = plugin::socket(directory.path())?;
        let encryption_config = match config.encryption {
            EncryptionAtRest::Kms => Some(api_server::write_encryption_config(&socket.to_string(), directory.path())?),
            EncryptionAtRest::None => None,
        };
        Ok(Self {
            config,
            directory,
            state,
            secrets,
            ca_pem,
            ca_file,
            vault_tls,
            api_server_tls,
            socket,
            clock_file,
            encryption_config,
            _lock: lock,
        })
    }
}

/// Makes the data directory, mode 0700, and keeps others off it. The path that comes back is absolute.
fn open_data_dir(path: &Path) -> Result<(PathBuf, File), StackError> {
    let failed = |source| StackError::File { path: path.to_owned(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    let path = path.canonicalize().map_err(failed)?;
    let lock = File::create(path.join("lock")).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok((path, lock)),
        Err(TryLockError::WouldBlock) => Err(StackError::InUse { path }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}
