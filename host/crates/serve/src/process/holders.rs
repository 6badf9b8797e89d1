use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// The process that has a job's lock open, if it is the job's own process: its working folder is the job's folder.
///
/// The descriptor names that very process: it is opened first and the process is examined again afterwards, so a number
/// that was given to another process meanwhile is noticed.
#[must_use]
pub fn holder(folder: &Path, lock: &Path) -> Option<OwnedFd> {
    let processes = fs::read_dir("/proc").ok()?.filter_map(|entry| number(&entry.ok()?.path()));
    processes.into_iter().find_map(|number| open(number, folder, lock))
}

/// The same for many jobs at once: the descriptors by the folders of the jobs. `lock` is the name of the lock's file.
#[must_use]
pub fn holders(folders: &HashSet<PathBuf>, lock: &str) -> HashMap<PathBuf, OwnedFd> {
    let mut found = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(number) = number(&entry.path()) else { continue };
        let Ok(folder) = fs::read_link(format!("/proc/{number}/cwd")) else { continue };
        if folders.contains(&folder)
            && let Some(process) = open(number, &folder, &folder.join(lock))
        {
            found.insert(folder, process);
        }
    }
    found
}

fn number(process: &Path) -> Option<i32> {
    process.file_name()?.to_str()?.parse().ok()
}

fn open(number: i32, folder: &Path, lock: &Path) -> Option<OwnedFd> {
    if !is_holder(number, folder, lock) {
        return None;
    }
    let process = pidfd_open(Pid::from_raw(number)?, PidfdFlags::empty()).ok()?;
    is_holder(number, folder, lock).then_some(process)
}

fn is_holder(number: i32, folder: &Path, lock: &Path) -> bool {
    if fs::read_link(format!("/proc/{number}/cwd")).is_ok_and(|cwd| cwd == folder) {
        let files = fs::read_dir(format!("/proc/{number}/fd")).into_iter().flatten().flatten();
        return files.into_iter().any(|file| fs::read_link(file.path()).is_ok_and(|path| path == lock));
    }
    false
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use rustix::process::{Signal, pidfd_send_signal};
    use sage_jobs::AliveLock;

    use super::*;

    #[test]
    fn the_process_that_was_given_a_lock_is_found_and_no_other() {
        let root = tempfile::tempdir().unwrap();
        let folder = fs::canonicalize(root.path()).unwrap();
        let path = folder.join("alive.lock");
        assert!(holder(&folder, &path).is_none());
        let lock = AliveLock::take(&path).unwrap();
        assert!(holder(&folder, &path).is_none(), "this process works in another folder");
        let mut child = Command::new("sleep")
            .arg("60")
            .current_dir(&folder)
            .stdin(lock.hand_over())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let found = holders(&HashSet::from([folder.clone()]), "alive.lock").remove(&folder).unwrap();
        pidfd_send_signal(&found, Signal::KILL).unwrap();
        child.wait().unwrap();
        assert!(holder(&folder, &path).is_none());
    }
}
