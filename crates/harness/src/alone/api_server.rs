//! The API server by itself, over an etcd that somebody else runs.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use apiserver::{ApiServer, Credential, EncryptionReload};
use clock::Clock;
use envelope::ParseOptions;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::running::RunningPart;
use crate::etcd::EtcdSource;
use crate::pki::Ca;
use crate::ready::ReadyFile;
use crate::runtime::{write_private, write_public};
use crate::stack::{API_SERVER_NAMES, Part, StackError, Tasks, Token, kubeconfig, read_encryption_config};

/// What the API server is started with, where it runs by itself. Fields are named as kube-apiserver's options.
#[derive(Clone, Debug)]
pub struct ApiServerAlone {
    /// Endpoints of etcd, `http://...`, separated by commas.
    pub etcd_servers: String,
    /// Everything is stored under this prefix.
    pub etcd_prefix: String,
    /// The `EncryptionConfiguration`; without it nothing is encrypted.
    pub encryption_provider_config: Option<PathBuf>,
    /// Whether changes of that file are followed while the server runs.
    pub encryption_provider_config_automatic_reload: bool,
    /// `--feature-gates=KMSv1=true`: the file may name KMS v1 providers.
    pub kms_v1: bool,
    /// Address to listen on.
    pub bind_address: IpAddr,
    /// Port to listen on; 0 is any that is free.
    pub secure_port: u16,
    /// Directory of the certificate authority (made if there is none), `ca.crt` and the kubeconfig.
    pub cert_dir: PathBuf,
    /// A static token file; without it a token is made and kept in the certificate directory.
    pub token_auth_file: Option<PathBuf>,
    /// Where to write what was chosen.
    pub ready_file: Option<PathBuf>,
}

impl ApiServerAlone {
    /// Starts the API server.
    ///
    /// # Errors
    ///
    /// [`StackError::EtcdServers`], [`StackError::EncryptionConfig`] and [`StackError::TokenFile`] for what was given;
    /// otherwise [`StackError::File`], [`StackError::Listen`], [`StackError::Pki`] and [`StackError::ApiServer`].
    pub async fn start(self) -> Result<RunningPart, StackError> {
        let endpoints = match self.etcd_servers.parse() {
            Ok(EtcdSource::Endpoints(endpoints)) => endpoints,
            Ok(_) => return Err(StackError::EtcdServers { text: self.etcd_servers, source: None }),
            Err(error) => return Err(StackError::EtcdServers { text: self.etcd_servers, source: Some(error) }),
        };
        let options = ParseOptions { kms_v1: self.kms_v1, reload: self.encryption_provider_config_automatic_reload };
        let file = self.encryption_provider_config.as_deref();
        let encryption = file.map(|file| read_encryption_config(file, options)).transpose()?;
        let encryption_reload =
            file.filter(|_| options.reload).map(|file| EncryptionReload { file: file.to_owned(), options });
        let clock = Clock::new();
        let directory = open_cert_dir(&self.cert_dir)?;
        let ca = Ca::load_or_create(&directory, clock.now())?;
        let own_address = self.bind_address.to_string();
        let mut names = API_SERVER_NAMES.to_vec();
        if !self.bind_address.is_unspecified() {
            names.push(&own_address);
        }
        let tls = ca.server(&names)?;
        let credentials = self.credentials(&directory)?;
        let token = credentials.first().map(|first| first.token.expose().to_owned()).unwrap_or_default();

        let address = (self.bind_address, self.secure_port).into();
        let failed = |source| StackError::Listen { part: "API server", address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let mut config = apiserver::Config::new(endpoints.clone(), clock);
        config.etcd_prefix = self.etcd_prefix.trim_end_matches('/').to_owned();
        config.encryption = encryption;
        config.encryption_reload = encryption_reload;
        config.credentials = credentials;
        let server = ApiServer::start(config).await.map_err(|error| StackError::ApiServer(error.into()))?;
        let (alarms, alarmed) = mpsc::unbounded_channel();
        let mut tasks = Tasks::new(Part::ApiServer, &alarms);
        let shutdown = tasks.shutdown();
        tasks.spawn(async move {
            if let Err(error) = apiserver::serve(listener, tls, server, shutdown).await {
                tracing::error!(%error, "the API server ended");
            }
        });

        let host = if self.bind_address.is_unspecified() { "127.0.0.1".to_owned() } else { own_address };
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let pem = ca.pem();
        let ca_file = directory.join("ca.crt");
        write_public(&ca_file, pem.as_bytes()).map_err(|source| StackError::File { path: ca_file.clone(), source })?;
        let kubeconfig_file = directory.join("kubeconfig");
        let text = kubeconfig(&format!("https://{host}:{port}"), &pem, &token);
        write_private(&kubeconfig_file, text.as_bytes())
            .map_err(|source| StackError::File { path: kubeconfig_file.clone(), source })?;
        let ready = ReadyFile {
            kubeconfig: Some(kubeconfig_file),
            ca: Some(ca_file),
            etcd: endpoints,
            encryption_config: self.encryption_provider_config.map(|path| path.canonicalize().unwrap_or(path)),
            ..ReadyFile::default()
        };
        RunningPart::new(ready, self.ready_file, tasks, alarmed)
    }

    /// Who may use the server: the users of the token file, else one whose token is kept in the directory.
    fn credentials(&self, directory: &Path) -> Result<Vec<Credential>, StackError> {
        let (path, text) = if let Some(path) = &self.token_auth_file {
            let text = fs::read_to_string(path).map_err(|source| StackError::File { path: path.clone(), source })?;
            (path.clone(), text)
        } else {
            let path = directory.join("token");
            let token = Token::load_or_generate(&path);
            let token = token.map_err(|source| StackError::File { path: path.clone(), source })?;
            (path, format!("{},kyanite-admin,kyanite-admin,system:masters", token.expose()))
        };
        let read = Credential::parse_token_file(&text);
        let credentials = read.map_err(|source| StackError::TokenFile { path: path.clone(), source: source.into() })?;
        if credentials.is_empty() {
            let source = "there is no token in it".into();
            return Err(StackError::TokenFile { path, source });
        }
        Ok(credentials)
    }
}

/// Makes the directory, mode 0700, if there is none. The path that comes back is absolute.
fn open_cert_dir(path: &Path) -> Result<PathBuf, StackError> {
    let failed = |source| StackError::File { path: path.to_owned(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    path.canonicalize().map_err(failed)
}
