use std::ffi::{OsStr, OsString};
use std::fs::{self, FileType};
use std::io;
use std::path::{Path, PathBuf};

use super::ConnectorError;
use super::identity::FileId;
use super::pattern::{Part, Pattern, is_hidden, is_partial};
use sage_text::plain_path;

/// A walk through the folders that a pattern names.
///
/// Hidden names are left out unless the part of the pattern begins with a dot, and so are unfinished outputs
/// (`*.partial`). After a `**`, a link to a folder is left out unless the pattern has its exact name, because
/// such links lead in circles and to files that are found elsewhere. Before a `**`, links to folders are
/// followed.
#[derive(Debug, Default)]
pub(super) struct Walk {
    found: Vec<PathBuf>,
    /// Folders in which files were searched; sorted.
    ends: Vec<FileId>,
    /// Last part of the pattern, which the files' names must match.
    last: Option<Part>,
    left_out: usize,
}

impl Walk {
    /// Walks through the folders; blocks as long as the disk takes.
    ///
    /// # Errors
    /// A folder may not be read, or is no folder.
    pub(super) fn through(pattern: &Pattern) -> Result<Self, ConnectorError> {
        let mut walk = Self { last: pattern.parts.last().cloned(), ..Self::default() };
        walk.step(Path::new(""), &pattern.parts, Place::Named)?;
        walk.found.sort();
        walk.found.dedup();
        walk.ends.sort_unstable();
        walk.ends.dedup();
        Ok(walk)
    }

    /// The files that were found, sorted.
    pub(super) fn found(&self) -> &[PathBuf] {
        &self.found
    }

    /// Number of matching names that were left out.
    pub(super) fn left_out(&self) -> usize {
        self.left_out
    }

    /// Whether a file with this name in this folder would be found if it existed.
    pub(super) fn would_find(&self, folder: FileId, name: &OsStr) -> bool {
        self.ends.binary_search(&folder).is_ok()
            && !is_partial(name)
            && match &self.last {
                Some(Part::Literal(literal)) => literal == name,
                Some(Part::Wild(wild)) => wild.matches(name),
                Some(Part::Folders) | None => false,
            }
    }

    fn step(&mut self, at: &Path, parts: &[Part], place: Place) -> Result<(), ConnectorError> {
        match parts {
            [] | [Part::Folders] => Ok(()),
            [Part::Literal(name)] => self.file_of_name(at, name),
            [Part::Literal(name), rest @ ..] => self.folder_of_name(at, name, rest, place),
            [Part::Wild(_)] => self.files_that_match(at, parts),
            [Part::Wild(wild), rest @ ..] => {
                for entry in entries(at)? {
                    if wild.matches(&entry.name) && self.is_folder(&entry, place)? {
                        self.step(&entry.path, rest, place)?;
                    }
                }
                Ok(())
            }
            [Part::Folders, rest @ ..] => {
                self.step(at, rest, Place::BelowFolders)?;
                for entry in entries(at)? {
                    if !is_hidden(&entry.name) && self.is_folder(&entry, Place::BelowFolders)? {
                        self.step(&entry.path, parts, Place::BelowFolders)?;
                    }
                }
                Ok(())
            }
        }
    }

    fn file_of_name(&mut self, at: &Path, name: &OsStr) -> Result<(), ConnectorError> {
        self.end(at)?;
        let path = at.join(name);
        match fs::symlink_metadata(&path) {
            Ok(metadata) => {
                let entry = Entry { name: name.to_owned(), path, kind: metadata.file_type() };
                self.take(entry)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(cannot_look(&path, error)),
        }
    }

    fn folder_of_name(&mut self, at: &Path, name: &OsStr, rest: &[Part], place: Place) -> Result<(), ConnectorError> {
        let path = at.join(name);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => self.step(&path, rest, place),
            Ok(_) if place == Place::Named => Err(cannot_look(&path, io::Error::from_raw_os_error(libc::ENOTDIR))),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(cannot_look(&path, error)),
        }
    }

    fn files_that_match(&mut self, at: &Path, parts: &[Part]) -> Result<(), ConnectorError> {
        let [Part::Wild(wild)] = parts else { return Ok(()) };
        self.end(at)?;
        for entry in entries(at)? {
            if wild.matches(&entry.name) {
                self.take(entry)?;
            }
        }
        Ok(())
    }

    /// Takes a matching name, if it names a file that is no unfinished output.
    fn take(&mut self, entry: Entry) -> Result<(), ConnectorError> {
        if is_partial(&entry.name) {
            self.left_out += 1;
            return Ok(());
        }
        if !entry.leads_to_folder()? {
            self.found.push(entry.path);
        }
        Ok(())
    }

    fn is_folder(&mut self, entry: &Entry, place: Place) -> Result<bool, ConnectorError> {
        let folder = entry.leads_to_folder()?;
        if folder && entry.kind.is_symlink() && place == Place::BelowFolders {
            self.left_out += 1;
            return Ok(false);
        }
        Ok(folder)
    }

    fn end(&mut self, at: &Path) -> Result<(), ConnectorError> {
        let metadata = fs::metadata(here(at)).map_err(|error| cannot_look(at, error))?;
        self.ends.push(FileId::of(&metadata));
        Ok(())
    }
}

/// Whether the pattern led here by names and wildcards alone, or through a `**`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Named,
    BelowFolders,
}

struct Entry {
    name: OsString,
    path: PathBuf,
    kind: FileType,
}

impl Entry {
    /// Whether the entry is a folder, or a link to one. A dangling link counts as a file, and opening it fails.
    fn leads_to_folder(&self) -> Result<bool, ConnectorError> {
        if !self.kind.is_symlink() {
            return Ok(self.kind.is_dir());
        }
        match fs::metadata(&self.path) {
            Ok(metadata) => Ok(metadata.is_dir()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(cannot_look(&self.path, error)),
        }
    }
}

fn here(at: &Path) -> &Path {
    if at.as_os_str().is_empty() { Path::new(".") } else { at }
}

fn entries(at: &Path) -> Result<Vec<Entry>, ConnectorError> {
    let read = || -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(here(at))? {
            let entry = entry?;
            let (name, kind) = (entry.file_name(), entry.file_type());
            match kind {
                Ok(kind) => entries.push(Entry { path: at.join(&name), name, kind }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(entries)
    };
    match read() {
        // The folder has been removed since its parent was read.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries.map_err(|error| cannot_look(at, error)),
    }
}

pub(super) fn cannot_look(at: &Path, error: io::Error) -> ConnectorError {
    let denied = error.kind() == io::ErrorKind::PermissionDenied;
    let error = ConnectorError::caused(format!("cannot look at \"{}\"", plain_path(here(at))), error);
    if denied {
        error.hint("no folder below a pattern is skipped: let the host read it, or write a pattern that leaves it out")
    } else {
        error
    }
}
