use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::error::{StoreError, failed};
use crate::locked_folder::make;
use crate::store::Store;

/// A request for a savepoint, which another process leaves in the folder of checkpoints of a run.
///
/// ```text
/// asker ── NAME.request ─▶ run ── savepoints/NAME, or NAME.error ──▶ NAME.request is removed ──▶ asker
/// ```
///
/// A file and not a signal, because a program that does not know the request would end by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavepointRequest {
    /// The name of the savepoint.
    pub name: String,
    /// Whether the run stops behind it.
    pub stops: bool,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestState {
    /// The run has not answered it.
    Waits,
    /// The savepoint is there.
    Done(PathBuf),
    /// The run could not make it.
    Failed(String),
}

const REQUEST: &str = ".request";
const ERROR: &str = ".error";
/// What a request says if the run is to stop.
const STOP: &str = "stop\n";

impl SavepointRequest {
    /// Leaves the request.
    ///
    /// # Errors
    /// [`StoreError::Exists`]; errors of the disk.
    pub fn leave(&self, folder: &Path) -> Result<(), StoreError> {
        let path = Store::savepoint_path(folder, &self.name);
        if path.exists() {
            return Err(StoreError::Exists { path });
        }
        if let Some(savepoints) = path.parent() {
            make(savepoints)?;
        }
        let _ = fs::remove_file(file(folder, &self.name, ERROR));
        let request = file(folder, &self.name, REQUEST);
        let mut written = match File::options().write(true).create_new(true).mode(0o600).open(&request) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(StoreError::Exists { path }),
            opened => opened.map_err(failed("make", &request))?,
        };
        // A reader that sees an empty file first makes a savepoint and goes on, so the text is written at once.
        written.write_all(if self.stops { STOP } else { "\n" }.as_bytes()).map_err(failed("write", &request))
    }

    /// The requests of a folder that wait for an answer.
    #[must_use]
    pub fn waiting(folder: &Path) -> Vec<Self> {
        // A folder without savepoints has no requests, and one that cannot be read shows none.
        let Ok(entries) = fs::read_dir(Store::savepoint_path(folder, "")) else { return Vec::new() };
        let request = |entry: fs::DirEntry| {
            let name = entry.file_name().to_str()?.strip_suffix(REQUEST)?.to_owned();
            let text = fs::read_to_string(entry.path()).ok()?;
            (!text.is_empty()).then(|| Self { name, stops: text == STOP })
        };
        entries.filter_map(|entry| request(entry.ok()?)).collect()
    }

    /// Answers the request, which then no longer waits.
    pub fn answer(&self, folder: &Path, outcome: Result<(), &str>) {
        if let Err(reason) = outcome
            && let Err(error) = fs::write(file(folder, &self.name, ERROR), reason)
        {
            tracing::warn!(%error, reason, "a request for a savepoint cannot be answered");
        }
        self.withdraw(folder);
    }

    /// Takes the request back.
    pub fn withdraw(&self, folder: &Path) {
        // Whoever looks next finds the request gone, whoever removed it.
        let _ = fs::remove_file(file(folder, &self.name, REQUEST));
    }

    /// What became of the request.
    #[must_use]
    pub fn state(&self, folder: &Path) -> RequestState {
        if file(folder, &self.name, REQUEST).exists() {
            return RequestState::Waits;
        }
        let path = Store::savepoint_path(folder, &self.name);
        if path.exists() {
            return RequestState::Done(path);
        }
        let error = file(folder, &self.name, ERROR);
        let reason = fs::read_to_string(&error).unwrap_or_else(|_| "the request is gone".to_owned());
        let _ = fs::remove_file(error);
        RequestState::Failed(reason)
    }
}

fn file(folder: &Path, name: &str, end: &str) -> PathBuf {
    Store::savepoint_path(folder, &format!("{name}{end}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_waits_until_it_is_answered() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path();
        assert_eq!(SavepointRequest::waiting(folder), []);
        for (name, stops) in [("a", false), ("b", true)] {
            let request = SavepointRequest { name: name.to_owned(), stops };
            request.leave(folder).unwrap();
            assert!(matches!(request.leave(folder), Err(StoreError::Exists { .. })));
            assert_eq!(SavepointRequest::waiting(folder), std::slice::from_ref(&request));
            assert_eq!(request.state(folder), RequestState::Waits);
            request.answer(folder, Err("no room"));
            assert_eq!(SavepointRequest::waiting(folder), []);
            assert_eq!(request.state(folder), RequestState::Failed("no room".to_owned()));
            request.leave(folder).unwrap();
            let path = Store::savepoint_path(folder, name);
            fs::create_dir(&path).unwrap();
            request.answer(folder, Ok(()));
            assert_eq!(request.state(folder), RequestState::Done(path));
            assert!(matches!(request.leave(folder), Err(StoreError::Exists { .. })));
        }
    }
}
