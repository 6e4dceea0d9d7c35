//! The plugin's end of the socket.
//!
//! Azure's plugin removes whatever lies at the path and then binds, with the mode that the umask leaves. Here the mode
//! is 0600 from the first moment, and a file or a living socket that belongs to somebody else stays.

use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_stream::Stream;
use tracing::warn;

use crate::endpoint::{Endpoint, MAX_PATH_BYTES};

/// A bound socket; the stream of its connections is what tonic's `serve_with_incoming` takes.
///
/// A socket file has mode 0600 before it can be seen at its path, replaces a socket that nobody listens on any more,
/// and is removed on drop if the path still leads to it. An abstract socket has no file, no mode and no leftovers.
#[derive(Debug)]
pub struct Listener {
    endpoint: Endpoint,
    /// Held to be dropped, before the socket is closed.
    _file: Option<SocketFile>,
    socket: UnixListener,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Listener {
    pub(crate) async fn bind(endpoint: &Endpoint) -> Result<Self, BindError> {
        let (socket, file) = match endpoint.path() {
            Some(path) => {
                refuse_if_taken(endpoint, path).await?;
                let (socket, file) = bind_file(endpoint, path)?;
                (socket, Some(file))
            }
            None => (bind_abstract(endpoint)?, None),
        };
        Ok(Self { endpoint: endpoint.clone(), _file: file, socket, pause: None })
    }

    /// Where this listens.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl Stream for Listener {
    type Item = io::Result<UnixStream>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(pause) = &mut self.pause {
                if pause.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.pause = None;
            }
            match self.socket.poll_accept(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok((stream, _))) => return Poll::Ready(Some(Ok(stream))),
                // A process that is out of file descriptors must not lose its socket for good: tonic ends its server
                // on an error here.
                Poll::Ready(Err(error)) => {
                    warn!(endpoint = %self.endpoint, %error, "cannot accept a connection, trying again");
                    self.pause = Some(Box::pin(sleep_until(Instant::now() + ACCEPT_PAUSE)));
                }
            }
        }
    }
}

/// Why a socket could not be bound.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another process listens there.
    #[error("listen on {endpoint}: another process answers there, stop it or choose another socket")]
    InUse {
        /// The address asked for.
        endpoint: Endpoint,
    },
    /// The path leads to something that is not a socket; it is left alone.
    #[error("listen on {}: there is a file that is not a socket, remove it or choose another path", path.display())]
    NotSocket {
        /// The path asked for.
        path: PathBuf,
    },
    /// The system refused one of the steps.
    #[error("listen on {endpoint}: cannot {step}")]
    System {
        /// The address asked for.
        endpoint: Endpoint,
        /// What was tried.
        step: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The folder's name leaves no room for the private folder in which the socket is made.
    #[error("listen on {}: the path of its folder is too long for a Unix socket ({MAX_PATH_BYTES} bytes in all)", path.display())]
    TooLong {
        /// The path asked for.
        path: PathBuf,
    },
}

/// The file of our own socket, told from a successor at the same path by device and inode.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| identity(&found) == self.identity)
            && let Err(error) = fs::remove_file(&self.path)
        {
            warn!(path = %self.path.display(), %error, "cannot remove the socket");
        }
    }
}

/// Nothing at the path, or a socket nobody answers on, is fine.
async fn refuse_if_taken(endpoint: &Endpoint, path: &Path) -> Result<(), BindError> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(system(endpoint, "look at what is there", source)),
    };
    if !found.file_type().is_socket() {
        return Err(BindError::NotSocket { path: path.to_owned() });
    }
    match timeout(CONNECT_LIMIT, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        // Gone since we looked.
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // A full backlog also means that somebody is there.
        Ok(Ok(_)) | Err(_) => in_use(endpoint),
        Ok(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => in_use(endpoint),
        Ok(Err(source)) => Err(system(endpoint, "find out whether the socket there is in use", source)),
    }
}

/// Binds inside a new folder that only its owner may enter, sets the mode there, and moves the finished socket to its
/// path. Binding at the path and setting the mode afterwards would leave a moment in which anybody may connect, and
/// the umask, which would prevent it, belongs to the whole process. The move also replaces a stale socket in one step.
fn bind_file(endpoint: &Endpoint, path: &Path) -> Result<(UnixListener, SocketFile), BindError> {
    let folder = PrivateFolder::create_beside(endpoint, path)?;
    let staged = folder.path.join("s");
    if staged.as_os_str().len() > MAX_PATH_BYTES {
        return Err(BindError::TooLong { path: path.to_owned() });
    }
    let socket = UnixListener::bind(&staged).map_err(|source| system(endpoint, "bind the socket", source))?;
    fs::set_permissions(&staged, Permissions::from_mode(0o600))
        .map_err(|source| system(endpoint, "set the socket's mode", source))?;
    let found = fs::symlink_metadata(&staged).map_err(|source| system(endpoint, "look at the socket", source))?;
    fs::rename(&staged, path).map_err(|source| system(endpoint, "move the socket to its place", source))?;
    Ok((socket, SocketFile { path: path.to_owned(), identity: identity(&found) }))
}

fn bind_abstract(endpoint: &Endpoint) -> Result<UnixListener, BindError> {
    UnixListener::bind(endpoint.to_system()).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { endpoint: endpoint.clone() },
        _ => system(endpoint, "bind the socket", source),
    })
}

/// A folder of mode 0700 that is gone, with the socket in it if that was not moved away, when this is dropped.
struct PrivateFolder {
    path: PathBuf,
}

impl PrivateFolder {
    fn create_beside(endpoint: &Endpoint, path: &Path) -> Result<Self, BindError> {
        let parent = path.parent().unwrap_or(Path::new("/"));
        let mut attempt: u16 = 0;
        loop {
            // As short as possible: it counts towards the length of a socket's path.
            let candidate = parent.join(format!(".k{attempt}"));
            match DirBuilder::new().mode(0o700).create(&candidate) {
                Ok(()) => return Ok(Self { path: candidate }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < MAX_ATTEMPTS => attempt += 1,
                Err(source) => return Err(system(endpoint, "create a folder beside it", source)),
            }
        }
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.path.join("s"));
        if let Err(error) = fs::remove_dir(&self.path) {
            warn!(path = %self.path.display(), %error, "cannot remove a private folder");
        }
    }
}

fn identity(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

fn in_use(endpoint: &Endpoint) -> Result<(), BindError> {
    Err(BindError::InUse { endpoint: endpoint.clone() })
}

fn system(endpoint: &Endpoint, step: &'static str, source: io::Error) -> BindError {
    BindError::System { endpoint: endpoint.clone(), step, source }
}

/// How long a socket may take to answer a connection before it counts as in use.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// How long to wait before accepting again after the system refused, as axum and hyper do on a smaller scale.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many names to try for the private folder: only a killed process leaves one behind.
const MAX_ATTEMPTS: u16 = 999;
