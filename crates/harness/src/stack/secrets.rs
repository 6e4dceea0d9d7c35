//! Everything that a stack keeps to itself, and where it is kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::StackError;
use super::secret::Token;

/// A stack's own secrets, each in a file of mode 0600.
#[derive(Debug)]
pub(super) struct Secrets {
    /// Of the service principal that may use the vaults. Kept from start to start with the data.
    pub(super) client_secret: Token,
    pub(super) client_secret_file: PathBuf,
    /// The API server's bearer token. Kept with the data too, so that a copied kubeconfig stays good.
    pub(super) api_token: Token,
    /// What a client of `IDENTITY_ENDPOINT` must send.
    pub(super) identity_header: Token,
    /// The control door's token; of this start alone.
    pub(super) control_token: Arc<Token>,
    pub(super) control_token_file: PathBuf,
}

impl Secrets {
    /// `kept` is where secrets live that outlast the stack if its data does, `own` the stack's own directory.
    pub(super) fn load_or_generate(kept: &Path, own: &Path) -> Result<Self, StackError> {
        let load = |path: &Path| {
            Token::load_or_generate(path).map_err(|source| StackError::File { path: path.to_owned(), source })
        };
        let client_secret_file = kept.join("client-secret");
        let control_token_file = own.join("control-token");
        Ok(Self {
            client_secret: load(&client_secret_file)?,
            client_secret_file,
            api_token: load(&kept.join("api-token"))?,
            identity_header: load(&kept.join("identity-header"))?,
            control_token: Arc::new(load(&control_token_file)?),
            control_token_file,
        })
    }
}
