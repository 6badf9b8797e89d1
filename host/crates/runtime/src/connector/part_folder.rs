use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom};
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, openat, renameat, renameat_with, unlinkat};
use rustix::io::Errno;

use super::identity::FileId;
use super::output_place::Replaced;
use super::part_names::PartNames;
use super::partial_file::{id_under, new_file, open_folder, remove_leftover, require_lock};
use super::saved_parts::SavedPart;
use super::{ConnectorError, PathGuard};
use sage_text::plain_path;

/// The folder in which an output has its parts.
///
/// A part is `NAME.partial` until it is published, and never changes behind that: no part takes the name of another
/// file. All names are looked up in the folder that was opened first, even if that folder is moved.
#[derive(Debug)]
pub(super) struct PartFolder {
    names: PartNames,
    folder: File,
    guard: Arc<PathGuard>,
}

/// The numbers of the parts that are there.
#[derive(Debug, Default)]
pub(super) struct FoundParts {
    pub(super) published: BTreeSet<u64>,
    pub(super) unpublished: BTreeSet<u64>,
}

/// Where a saved part was found.
#[derive(Debug)]
pub(super) enum Reopened {
    /// Cut back to its saved bytes.
    Open(File),
    /// It was published later.
    Published,
}

/// Number of attempts at a name, if other processes create and remove it at the same time.
const ATTEMPTS: usize = 100;

impl PartFolder {
    pub(super) fn open(names: PartNames, guard: Arc<PathGuard>) -> Result<Self, ConnectorError> {
        let cannot = |cause| ConnectorError::caused(format!("cannot open \"{}\"", plain_path(&names.folder)), cause);
        // A folder that cannot be read has parts that nobody knows: `found` refuses it.
        let (folder, _) = open_folder(&names.folder).map_err(cannot)?;
        Ok(Self { names, folder, guard })
    }

    /// The path of a part, for messages.
    pub(super) fn shown(&self, number: u64) -> String {
        plain_path(&self.names.path(number))
    }

    fn shown_partial(&self, number: u64) -> String {
        format!("{}.partial", self.shown(number))
    }

    /// The parts that are there, of this and of earlier runs.
    pub(super) fn found(&self) -> Result<FoundParts, ConnectorError> {
        let cannot = |cause: io::Error| {
            let what = format!("cannot list \"{}\", whose parts have to be known", plain_path(&self.names.folder));
            ConnectorError::caused(what, cause)
        };
        let mut found = FoundParts::default();
        for entry in fs::read_dir(&self.names.folder).map_err(cannot)? {
            let name = entry.map_err(cannot)?.file_name();
            found.published.extend(self.names.number(&name));
            found.unpublished.extend(self.names.number_of_partial(&name));
        }
        Ok(found)
    }

    /// Makes a part, for this run alone.
    pub(super) fn create(&self, number: u64) -> Result<(FileId, File), ConnectorError> {
        if number > PartNames::MOST {
            let what = format!("\"{}\" would be more than {} parts", self.shown(number), PartNames::MOST);
            return Err(ConnectorError::new(what).hint("give the output another path"));
        }
        let (partial, shown) = (self.names.partial(number), self.shown_partial(number));
        let cannot = |cause: io::Error| ConnectorError::caused(format!("cannot write to \"{shown}\""), cause);
        let place = Replaced { path: self.names.path(number), folder: self.names.folder.clone(), old: None };
        for _ in 0..ATTEMPTS {
            let Some(file) = new_file(&self.folder, &partial, &place).map_err(cannot)? else {
                remove_leftover(&self.folder, &partial, &shown)?;
                continue;
            };
            require_lock(&file, &shown)?;
            let id = FileId::of_open(&file).map_err(cannot)?;
            // Another run may have taken the file for a leftover just before it was locked.
            if id_under(&self.folder, &partial).map_err(cannot)? == Some(id) {
                return Ok((id, file));
            }
        }
        Err(ConnectorError::new(format!("\"{shown}\" is made and removed by others all the time")))
    }

    /// Goes on with the part that an earlier run was writing, behind its saved bytes.
    pub(super) fn reopen(&self, part: SavedPart) -> Result<Reopened, ConnectorError> {
        let (partial, shown) = (self.names.partial(part.number), self.shown_partial(part.number));
        let cannot = |cause: io::Error| ConnectorError::caused(format!("cannot go on with \"{shown}\""), cause);
        let hint = "restore the file, or start anew: --from none";
        if id_under(&self.folder, &partial).map_err(cannot)? != Some(part.id) {
            if id_under(&self.folder, &self.names.name(part.number)).map_err(cannot)? == Some(part.id) {
                return Ok(Reopened::Published);
            }
            let what = format!("\"{shown}\" is gone, which has records of the run to go on with");
            return Err(ConnectorError::new(what).hint(hint));
        }
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.folder, &partial, flags, Mode::empty()).map_err(|error| cannot(error.into()))?;
        let mut file = File::from(file);
        require_lock(&file, &shown)?;
        let (id, bytes) = (FileId::of_open(&file).map_err(cannot)?, file.metadata().map_err(cannot)?.len());
        if id != part.id || bytes < part.bytes {
            let what = format!("\"{shown}\" has {bytes} bytes, and had {} at the last epoch", part.bytes);
            return Err(ConnectorError::new(what).hint(hint));
        }
        file.set_len(part.bytes).map_err(cannot)?;
        file.seek(SeekFrom::Start(part.bytes)).map_err(cannot)?;
        Ok(Reopened::Open(file))
    }

    /// Gives a part its name. `false` if the part has neither name, because another program took it.
    pub(super) fn publish(&self, part: SavedPart) -> Result<bool, ConnectorError> {
        let (partial, name) = (self.names.partial(part.number), self.names.name(part.number));
        let cannot = |cause: io::Error| {
            ConnectorError::caused(format!("cannot finish \"{}\"", self.shown_partial(part.number)), cause)
        };
        let under = |name: &OsString| id_under(&self.folder, name).map_err(cannot);
        if under(&partial)? != Some(part.id) {
            return Ok(under(&name)? == Some(part.id));
        }
        self.guard.require_not_read(part.id, &self.shown(part.number))?;
        let renamed = match renameat_with(&self.folder, &partial, &self.folder, &name, RenameFlags::NOREPLACE) {
            // The file system cannot do it in one step.
            Err(Errno::INVAL | Errno::NOSYS) if under(&name)?.is_none() => {
                renameat(&self.folder, &partial, &self.folder, &name)
            }
            Err(Errno::INVAL | Errno::NOSYS) => Err(Errno::EXIST),
            renamed => renamed,
        };
        match renamed {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => {
                let shown = self.shown(part.number);
                let what = format!("\"{shown}\" was made by another program, and a part takes the place of no file");
                Err(ConnectorError::new(what).hint("move it away, and let nothing else write files of that name"))
            }
            Err(error) => Err(cannot(error.into())),
        }
    }

    /// Removes a part that is not published, unless a run has it.
    pub(super) fn remove(&self, number: u64) -> Result<(), ConnectorError> {
        remove_leftover(&self.folder, &self.names.partial(number), &self.shown_partial(number))
    }

    /// Removes a part that this run has locked, if it still has its name.
    pub(super) fn remove_own(&self, number: u64, id: FileId) {
        let partial = self.names.partial(number);
        if id_under(&self.folder, &partial).is_ok_and(|found| found == Some(id)) {
            // A part without records does no harm: the next run removes it.
            let _ = unlinkat(&self.folder, &partial, AtFlags::empty());
        }
    }

    /// Makes the names durable.
    pub(super) fn sync(&self) -> Result<(), ConnectorError> {
        let cannot =
            |cause| ConnectorError::caused(format!("cannot sync \"{}\"", plain_path(&self.names.folder)), cause);
        self.folder.sync_all().map_err(cannot)
    }
}
