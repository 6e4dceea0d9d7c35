//! A part that runs by itself.

use std::path::PathBuf;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::ready::ReadyFile;
use crate::stack::{Part, StackError, Tasks};

/// A part that runs by itself. Dropping it ends it at once.
#[derive(Debug)]
pub struct RunningPart {
    ready: ReadyFile,
    ready_file: Option<PathBuf>,
    tasks: Tasks,
    alarmed: UnboundedReceiver<Part>,
}

impl RunningPart {
    /// Writes the ready file, if one is wanted.
    pub(super) fn new(
        ready: ReadyFile,
        ready_file: Option<PathBuf>,
        tasks: Tasks,
        alarmed: UnboundedReceiver<Part>,
    ) -> Result<Self, StackError> {
        if let Some(path) = &ready_file {
            ready.write(path).map_err(|source| StackError::File { path: path.clone(), source })?;
        }
        Ok(Self { ready, ready_file, tasks, alarmed })
    }

    /// What the part chose: its addresses and files.
    pub fn ready(&self) -> &ReadyFile {
        &self.ready
    }

    /// Waits until the part ends by itself, and says so. Waits for ever while it runs.
    pub async fn failed(&mut self) -> StackError {
        match self.alarmed.recv().await {
            Some(part) => StackError::Ended { part },
            None => std::future::pending().await,
        }
    }

    /// Ends the part; requests that are being served get a moment to their end.
    pub async fn stop(self) {
        if let Some(path) = &self.ready_file {
            // It may have been removed by hand.
            let _ = std::fs::remove_file(path);
        }
        self.tasks.stop().await;
    }
}
