//! The file, or its absence.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};
use zeroize::Zeroizing;

use crate::config::ConfigError;
use crate::storage::record::{KeyRecord, SecretRecord};
use crate::vault::{BackupKey, Change, ContentsChange, CryptoError, Key, ObjectName, RsaKey, SecretObject, VaultName};

/// Where changes are made durable.
#[derive(Debug)]
pub(crate) struct Store {
    /// `None`: the state lives in memory only.
    database: Option<Database>,
    /// Read or made when first needed.
    backup_key: OnceLock<BackupKey>,
}

impl Store {
    /// A store that keeps nothing.
    pub(crate) fn in_memory() -> Self {
        Self { database: None, backup_key: OnceLock::new() }
    }

    /// Opens the file in `data_dir`, which is made if it does not exist.
    ///
    /// # Errors
    ///
    /// [`OpenError::DataDir`], [`OpenError::Locked`], [`OpenError::Corrupt`], [`OpenError::Version`].
    pub(crate) fn open(data_dir: &Path) -> Result<Self, OpenError> {
        let path = data_dir.join(FILE_NAME);
        let unusable = |source| OpenError::DataDir { path: path.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(unusable)?;
        // The file must never exist with more rights, so it is made before redb would.
        OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(unusable)?;
        let database = Builder::new().create(&path).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => OpenError::Locked { path: path.clone() },
            error => OpenError::Corrupt { path: path.clone(), source: Some(Box::new(error.into())) },
        })?;
        let corrupt = |source: redb::Error| OpenError::Corrupt { path: path.clone(), source: Some(Box::new(source)) };
        match claim_format(&database).map_err(corrupt)? {
            found if found == FORMAT => Ok(Self { database: Some(database), backup_key: OnceLock::new() }),
            found => Err(OpenError::Version { path, found, expected: FORMAT }),
        }
    }

    /// The keys and the secrets of one vault.
    ///
    /// # Errors
    ///
    /// [`OpenError::Corrupt`] if a record cannot be read.
    pub(crate) fn load(&self, vault: &VaultName, data_dir: &Path) -> Result<(Vec<Key>, Vec<SecretObject>), OpenError> {
        let Some(database) = &self.database else { return Ok((Vec::new(), Vec::new())) };
        let path = || data_dir.join(FILE_NAME);
        let failed = |source| OpenError::Corrupt { path: path(), source: Some(Box::new(source)) };
        let unsound = || OpenError::Corrupt { path: path(), source: None };
        let keys = read_keys(database, vault).map_err(failed)?;
        let secrets = read_secrets(database, vault).map_err(failed)?;
        let keys = keys.into_iter().collect::<Option<_>>().ok_or_else(unsound)?;
        Ok((keys, secrets.into_iter().collect::<Option<_>>().ok_or_else(unsound)?))
    }

    /// Makes changes to one vault durable, all or none. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the file refuses; then nothing has changed.
    pub(crate) fn write(&self, vault: &VaultName, changes: &[ContentsChange]) -> Result<(), StoreError> {
        let Some(database) = &self.database else { return Ok(()) };
        let transaction = database.begin_write().map_err(|source| StoreError::file(source.into()))?;
        {
            let mut keys = transaction.open_table(KEYS).map_err(|source| StoreError::file(source.into()))?;
            let mut material = transaction.open_table(MATERIAL).map_err(|source| StoreError::file(source.into()))?;
            let mut secrets = transaction.open_table(SECRETS).map_err(|source| StoreError::file(source.into()))?;
            for change in changes {
                match change {
                    ContentsChange::Key(Change::Put(key)) => put_key(&mut keys, &mut material, vault, key)?,
                    ContentsChange::Key(Change::Remove(name)) => {
                        remove_key(&mut keys, &mut material, vault, name).map_err(StoreError::file)?;
                    }
                    ContentsChange::Secret(Change::Put(secret)) => put_secret(&mut secrets, vault, secret)?,
                    ContentsChange::Secret(Change::Remove(name)) => {
                        let id = object_id(vault, name.folded());
                        secrets.remove(id.as_str()).map_err(|source| StoreError::file(source.into()))?;
                    }
                }
            }
        }
        transaction.commit().map_err(|source| StoreError::file(source.into()))
    }

    /// The key that Entra signs tokens with, if one was stored. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the file or the key cannot be read.
    pub(crate) fn signing_key(&self) -> Result<Option<RsaKey>, StoreError> {
        match self.own_key(SIGNING_KEY)? {
            None => Ok(None),
            Some(der) => RsaKey::from_pkcs8(&der).map(Some).map_err(|source| StoreError::Key { source }),
        }
    }

    /// Keeps the key that Entra signs tokens with. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the file refuses.
    pub(crate) fn put_signing_key(&self, key: &RsaKey) -> Result<(), StoreError> {
        self.put_own_key(SIGNING_KEY, key.expose())
    }

    /// The key that backups are sealed with; it is made when it is first needed. Blocks on the disk.
    ///
    /// Not to be called by two threads of one vault at once; two vaults that do agree on one key.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot be read, made or stored.
    pub(crate) fn backup_key(&self) -> Result<&BackupKey, StoreError> {
        if let Some(key) = self.backup_key.get() {
            return Ok(key);
        }
        let broken = |source| StoreError::Key { source };
        let key = match self.own_key(BACKUP_KEY)? {
            Some(bytes) => BackupKey::from_bytes(bytes).map_err(broken)?,
            None => BackupKey::generate().map_err(broken)?,
        };
        let key = self.backup_key.get_or_init(|| key);
        self.put_own_key(BACKUP_KEY, key.expose())?;
        Ok(key)
    }

    fn own_key(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let Some(database) = &self.database else { return Ok(None) };
        let read = || -> Result<Option<Zeroizing<Vec<u8>>>, redb::Error> {
            let transaction = database.begin_read()?;
            let table = transaction.open_table(MATERIAL)?;
            Ok(table.get(name)?.map(|bytes| Zeroizing::new(bytes.value().to_vec())))
        };
        read().map_err(StoreError::file)
    }

    fn put_own_key(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let Some(database) = &self.database else { return Ok(()) };
        let write = || -> Result<(), redb::Error> {
            let transaction = database.begin_write()?;
            transaction.open_table(MATERIAL)?.insert(name, bytes)?;
            Ok(transaction.commit()?)
        };
        write().map_err(StoreError::file)
    }
}

/// Why the state cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The configuration does not hold together.
    #[error("start the vault")]
    Config {
        /// What is wrong with it.
        #[source]
        source: ConfigError,
    },
    /// The file is damaged or was never a state file.
    #[error("read the state in {}: it is damaged or no state file; move it away to start afresh", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What the database said, if it was the database.
        #[source]
        source: Option<Box<redb::Error>>,
    },
    /// The directory or the file cannot be made or opened.
    #[error("open {}: check that the directory exists and may be written", path.display())]
    DataDir {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another process has the file open.
    #[error("open {}: another process uses it; stop that one or choose another data directory", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The file is of another format.
    #[error("read {}: it has format {found}, this version reads {expected}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The format that this version reads and writes.
        expected: u64,
    },
}

/// Why a change could not be made durable.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The database failed.
    #[error("write the state file")]
    File {
        #[source]
        source: Box<redb::Error>,
    },
    /// A key could not be written out or read back.
    #[error("convert a key for the state file")]
    Key {
        #[source]
        source: CryptoError,
    },
    /// A record could not be written out.
    #[error("convert a record for the state file")]
    Record {
        #[source]
        source: serde_json::Error,
    },
}

impl StoreError {
    fn file(source: redb::Error) -> Self {
        Self::File { source: Box::new(source) }
    }
}

/// Reads the file's format; writes it if the file is new. Format 1 is read as it is, and is format 2 from then on.
fn claim_format(database: &Database) -> Result<u64, redb::Error> {
    let transaction = database.begin_write()?;
    let found = {
        let mut meta = transaction.open_table(META)?;
        transaction.open_table(KEYS)?;
        transaction.open_table(MATERIAL)?;
        transaction.open_table(SECRETS)?;
        let found = meta.get(FORMAT_FIELD)?.map(|format| format.value());
        match found {
            Some(other) if other != FORMAT_WITH_RSA_KEYS_ONLY => other,
            None | Some(_) => {
                meta.insert(FORMAT_FIELD, FORMAT)?;
                FORMAT
            }
        }
    };
    transaction.commit()?;
    Ok(found)
}

/// The keys of a vault; `None` for each that is not sound.
fn read_keys(database: &Database, vault: &VaultName) -> Result<Vec<Option<Key>>, redb::Error> {
    let transaction = database.begin_read()?;
    let keys = transaction.open_table(KEYS)?;
    let material = transaction.open_table(MATERIAL)?;
    let (start, end) = (format!("{vault}/"), format!("{vault}0"));
    let mut read = Vec::new();
    for entry in keys.range(start.as_str()..end.as_str())? {
        let (id, record) = entry?;
        let material = |version: &str| -> Result<Option<Zeroizing<Vec<u8>>>, redb::Error> {
            let bytes = material.get(format!("{}/{version}", id.value()).as_str())?;
            Ok(bytes.map(|bytes| Zeroizing::new(bytes.value().to_vec())))
        };
        read.push(match serde_json::from_slice::<KeyRecord>(record.value()) {
            Ok(record) => record.into_key(material)?,
            Err(_) => None,
        });
    }
    Ok(read)
}

/// The secrets of a vault; `None` for each that is not sound.
fn read_secrets(database: &Database, vault: &VaultName) -> Result<Vec<Option<SecretObject>>, redb::Error> {
    let transaction = database.begin_read()?;
    let secrets = transaction.open_table(SECRETS)?;
    let (start, end) = (format!("{vault}/"), format!("{vault}0"));
    let mut read = Vec::new();
    for entry in secrets.range(start.as_str()..end.as_str())? {
        let (_, record) = entry?;
        let record = serde_json::from_slice::<SecretRecord>(record.value());
        read.push(record.ok().and_then(SecretRecord::into_secret));
    }
    Ok(read)
}

fn put_secret(
    secrets: &mut redb::Table<'_, &'static str, &'static [u8]>,
    vault: &VaultName,
    secret: &SecretObject,
) -> Result<(), StoreError> {
    let id = object_id(vault, secret.name().folded());
    let record = serde_json::to_vec(&SecretRecord::of(secret)).map_err(|source| StoreError::Record { source })?;
    let record = Zeroizing::new(record);
    secrets.insert(id.as_str(), record.as_slice()).map_err(|source| StoreError::file(source.into()))?;
    Ok(())
}

fn remove_key(
    keys: &mut redb::Table<'_, &'static str, &'static [u8]>,
    material: &mut redb::Table<'_, &'static str, &'static [u8]>,
    vault: &VaultName,
    name: &ObjectName,
) -> Result<(), redb::Error> {
    let id = object_id(vault, name.folded());
    keys.remove(id.as_str())?;
    let range = format!("{id}/")..format!("{id}0");
    material.retain_in::<&str, _>(range.start.as_str()..range.end.as_str(), |_, _| false)?;
    Ok(())
}

fn put_key(
    keys: &mut redb::Table<'_, &'static str, &'static [u8]>,
    material: &mut redb::Table<'_, &'static str, &'static [u8]>,
    vault: &VaultName,
    key: &Key,
) -> Result<(), StoreError> {
    let id = object_id(vault, key.name().folded());
    let record = serde_json::to_vec(&KeyRecord::of(key)).map_err(|source| StoreError::Record { source })?;
    keys.insert(id.as_str(), record.as_slice()).map_err(|source| StoreError::file(source.into()))?;
    for version in key.versions() {
        let id = format!("{id}/{}", version.id);
        // Material never changes, so what is there stays.
        let present = material.get(id.as_str()).map_err(|source| StoreError::file(source.into()))?.is_some();
        if !present {
            let bytes = version.material.expose().map_err(|source| StoreError::Key { source })?;
            material.insert(id.as_str(), bytes.as_slice()).map_err(|source| StoreError::file(source.into()))?;
        }
    }
    Ok(())
}

/// `{vault}/{name}`. Neither name can hold a slash, and `0` is the byte after it, so prefixes are ranges.
fn object_id(vault: &VaultName, folded_name: &str) -> String {
    format!("{vault}/{folded_name}")
}

const FILE_NAME: &str = "keyvault.redb";
/// The format of the file; other formats are refused.
const FORMAT: u64 = 2;
/// The format before this one.
const FORMAT_WITH_RSA_KEYS_ONLY: u64 = 1;
const FORMAT_FIELD: &str = "format";
const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");
const KEYS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("keys");
const SECRETS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("secrets");
/// PKCS#8, or a symmetric key's bytes, by `{vault}/{key}/{version}`; and the emulator's own keys.
const MATERIAL: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("material");
/// Cannot be a vault's key: it has no slash.
const SIGNING_KEY: &str = "entra-signing-key";
/// Neither can this one.
const BACKUP_KEY: &str = "backup-key";

#[cfg(test)]
mod tests {
    use super::*;

    fn file_with(write: impl FnOnce(&redb::WriteTransaction)) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        drop(Store::open(dir.path()).unwrap());
        let database = Database::open(dir.path().join(FILE_NAME)).unwrap();
        let transaction = database.begin_write().unwrap();
        write(&transaction);
        transaction.commit().unwrap();
        dir
    }

    fn load(dir: &Path) -> Result<Vec<Key>, OpenError> {
        Ok(Store::open(dir)?.load(&"kyanite".parse().unwrap(), dir)?.0)
    }

    #[test]
    fn a_file_of_another_format_is_refused() {
        let dir = file_with(|transaction| {
            transaction.open_table(META).unwrap().insert(FORMAT_FIELD, 7).unwrap();
        });
        let error = load(dir.path()).unwrap_err();
        assert!(matches!(error, OpenError::Version { found: 7, expected: FORMAT, .. }), "{error:?}");
        assert!(error.to_string().ends_with("it has format 7, this version reads 2"), "{error}");
    }

    #[test]
    fn a_record_that_cannot_be_read_is_refused() {
        let version = r#"{"id":"00ab34cd56ef78901234567890abcdef","enabled":true,"not_before":null,"expires":null,
            "created":0,"updated":0,"operations":[],"tags":null}"#;
        let no_material = format!(r#"{{"name":"kms","versions":[{version}],"deletion":null}}"#);
        for record in ["", "{}", r#"{"name":"kms","versions":[],"deletion":null}"#, &no_material] {
            let dir = file_with(|transaction| {
                transaction.open_table(KEYS).unwrap().insert("kyanite/kms", record.as_bytes()).unwrap();
            });
            let error = load(dir.path()).unwrap_err();
            assert!(matches!(error, OpenError::Corrupt { source: None, .. }), "{record}: {error:?}");
        }
    }

    #[test]
    fn another_vaults_keys_are_left_alone() {
        let dir = file_with(|transaction| {
            let mut keys = transaction.open_table(KEYS).unwrap();
            // Names around the range of `kyanite/`.
            for id in ["kyanit/kms", "kyanite-2/kms", "kyanitf/kms"] {
                keys.insert(id, b"unreadable".as_slice()).unwrap();
            }
        });
        assert!(load(dir.path()).unwrap().is_empty());
    }
}
