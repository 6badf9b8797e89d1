use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use landlock::{ABI, AccessFs, BitFlags, LandlockStatus, PathBeneath, PathFd, RulesetCreatedAttr};

use super::error::LockdownError;
use super::ruleset::{NEWEST, allow_ports, deny_all};

/// The files and ports that the process of a tenant's job may still reach, with everything that it starts: its workers, its compiler, its
/// devices. The kernel follows symbolic links before it decides, so a link in a folder of the tenant leads nowhere
/// else.
#[derive(Debug, Clone, Default)]
pub struct JobFence {
    /// Files and folders. A path that does not exist is left out.
    pub paths: Vec<(PathBuf, Reach)>,
    /// Addresses to whose ports it may connect. The sandbox holds guests to the addresses.
    pub connect: Vec<SocketAddr>,
}

/// The use of a file, or of all files in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Read.
    Read,
    /// Read and run: programs and libraries.
    Run,
    /// Read, write, make and remove.
    Write,
    /// Read, and write files that exist: devices, control files.
    Update,
    /// Make and remove folders: control groups.
    Folders,
}

impl Reach {
    fn access(self, of_file: bool) -> BitFlags<AccessFs> {
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let update = read | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
        let access = match self {
            Self::Read => read,
            Self::Run => read | AccessFs::Execute,
            Self::Update => update,
            Self::Folders => AccessFs::MakeDir | AccessFs::RemoveDir,
            Self::Write => {
                update
                    | AccessFs::MakeReg
                    | AccessFs::MakeDir
                    | AccessFs::MakeSym
                    | AccessFs::MakeSock
                    | AccessFs::RemoveFile
                    | AccessFs::RemoveDir
                    | AccessFs::Refer
            }
        };
        if of_file { access & AccessFs::from_file(NEWEST) } else { access }
    }
}

impl JobFence {
    /// Raises the fence for this process, which must have no other thread yet. It cannot be undone.
    ///
    /// # Errors
    /// The kernel has no landlock, or does not enforce all of it; a path cannot be opened; there are other threads.
    pub fn raise(&self) -> Result<(), LockdownError> {
        let count = std::fs::read_dir("/proc/self/task").map_err(LockdownError::step("count its threads"))?.count();
        if count != 1 {
            return Err(LockdownError::ThreadsRunning { count });
        }
        let mut ruleset = deny_all()?;
        for (path, reach) in &self.paths {
            if let Some((opened, of_file)) = open(path)? {
                ruleset = ruleset.add_rule(PathBeneath::new(opened, reach.access(of_file)))?;
            }
        }
        match allow_ports(ruleset, &self.connect)?.restrict_self()?.landlock {
            // Version 4 is the first one that holds TCP.
            LandlockStatus::Available { effective_abi, .. } if effective_abi >= ABI::V4 => Ok(()),
            _ => Err(LockdownError::NotHolding { what: "reaches files and ports that it was not granted".to_owned() }),
        }
    }
}

fn open(path: &Path) -> Result<Option<(PathFd, bool)>, LockdownError> {
    let refused = |reason: String| LockdownError::Folder { folder: path.to_owned(), reason };
    let of_file = match std::fs::metadata(path) {
        Ok(metadata) => !metadata.is_dir(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(error.to_string())),
    };
    PathFd::new(path).map(|opened| Some((opened, of_file))).map_err(|error| refused(error.to_string()))
}
