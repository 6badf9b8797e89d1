use std::net::SocketAddr;

use landlock::{AccessFs, BitFlags, LandlockStatus, PathBeneath, PathFd, RulesetCreatedAttr};

use super::error::LockdownError;
use super::missing::Missing;
use super::ruleset::{allow_ports, deny_all};
use sage_plan::FolderGrant;

/// The files that a device process may open in addition to its granted folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Device {
    /// Every file, for reading. The system call filter of the second step ends this.
    Cpu,
    /// Every file for reading, and the files below `/dev` for writing.
    Driven,
}

/// Restricts this thread and its later threads. Files: only these folders and the files that a device needs.
/// TCP: only these ports. Signals and abstract sockets: only the own process. Returns the kernel's landlock
/// version (0 means none) and the restrictions that the kernel cannot enforce.
pub(super) fn raise(
    folders: &[FolderGrant],
    connect: &[SocketAddr],
    device: Option<Device>,
) -> Result<(u32, Vec<Missing>), LockdownError> {
    let mut ruleset = deny_all()?;
    for folder in folders {
        let opened = PathFd::new(&folder.host)
            .map_err(|error| LockdownError::Folder { folder: folder.host.clone(), reason: error.to_string() })?;
        ruleset = ruleset.add_rule(PathBeneath::new(opened, beneath(folder.write)))?;
    }
    if let Some(device) = device {
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let write = read | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
        let shared_memory = AccessFs::MakeReg | AccessFs::RemoveFile;
        let all = [("/", read), ("/dev", write), ("/dev/shm", write | shared_memory)];
        for (folder, access) in all.into_iter().take(if device == Device::Cpu { 1 } else { 3 }) {
            // A missing folder needs no rule.
            if let Ok(opened) = PathFd::new(folder) {
                ruleset = ruleset.add_rule(PathBeneath::new(opened, access))?;
            }
        }
    }
    let version = match allow_ports(ruleset, connect)?.restrict_self()?.landlock {
        LandlockStatus::Available { effective_abi, kernel_abi } => {
            kernel_abi.and_then(|abi| u32::try_from(abi).ok()).unwrap_or(effective_abi as u32)
        }
        LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => 0,
    };
    Ok((version, missing_in(version)))
}

fn beneath(write: bool) -> BitFlags<AccessFs> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    if !write {
        return read;
    }
    read | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::MakeSym
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::Refer
}

/// The landlock version in which each restriction was added:
/// <https://docs.kernel.org/userspace-api/landlock.html#previous-limitations>.
fn missing_in(version: u32) -> Vec<Missing> {
    [(1, Missing::FileFence), (3, Missing::TruncateFence), (4, Missing::TcpFence), (6, Missing::SignalFence)]
        .into_iter()
        .filter(|(since, _)| version < *since)
        .map(|(_, missing)| missing)
        .collect()
}
