use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use rustix::fs::{Stat, fstat, major, minor};
use serde::Serialize;

/// The holder of a lock, as the kernel reports it. A lock file's text is less reliable: any user who may
/// write to the file can write any name into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LockHolder {
    /// Number of the process, in this process's PID namespace.
    pub pid: u32,
    /// The process's user id; `None` if the process has ended in the meantime.
    pub user: Option<u32>,
    /// Whether the process is stopped, for example by Ctrl-Z. It keeps the lock until it goes on.
    pub stopped: bool,
}

impl LockHolder {
    /// The process that holds the flock of this file, by itself or by a descriptor that it passed on. `None`
    /// if the kernel does not report the process, for example one outside of this PID namespace.
    pub fn of(file: impl AsFd) -> Option<Self> {
        let pid = holder_in(&fs::read_to_string("/proc/locks").ok()?, &fstat(file).ok()?)?;
        let user = fs::metadata(format!("/proc/{pid}")).ok().map(|process| process.uid());
        Some(Self { pid, user, stopped: is_stopped(pid) })
    }
}

impl std::fmt::Display for LockHolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {}", self.pid)?;
        self.user.map_or(Ok(()), |user| write!(f, " of user {user}"))?;
        let pid = self.pid;
        if self.stopped { write!(f, ", which is stopped (`kill -CONT {pid}` lets it go on),") } else { Ok(()) }
    }
}

/// Whether the kernel reports the process as stopped by a signal or by a debugger.
fn is_stopped(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    matches!(stat.rsplit(')').next().map(str::trim_start).and_then(|state| state.chars().next()), Some('T' | 't'))
}

/// Finds the holder in the text of /proc/locks, with lines like `1: FLOCK  ADVISORY  WRITE 708 00:1c:1037 0
/// EOF`. A line of a waiting process has `->` as its second word.
fn holder_in(locks: &str, file: &Stat) -> Option<u32> {
    let (major, minor) = (major(file.st_dev), minor(file.st_dev));
    let place = format!("{major:02x}:{minor:02x}:{}", file.st_ino);
    // Some file systems report another device number here than in `stat`. Then only the inode is compared.
    let inode = format!(":{}", file.st_ino);
    let flocks = || {
        locks.lines().filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [_, "FLOCK", _, _, pid, place, ..] => Some((pid.parse().ok().filter(|pid| *pid > 0)?, *place)),
                _ => None,
            }
        })
    };
    let exact = flocks().find(|(_, at)| *at == place);
    exact.or_else(|| flocks().find(|(_, at)| at.ends_with(&inode))).map(|(pid, _)| pid)
}

#[cfg(test)]
mod tests {
    use rustix::fs::{FlockOperation, flock};

    use super::*;

    #[test]
    fn whoever_holds_a_lock_is_named_by_the_kernel() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(LockHolder::of(file.as_file()), None, "no process holds it");
        flock(file.as_file(), FlockOperation::LockExclusive).unwrap();
        let me =
            LockHolder { pid: std::process::id(), user: Some(rustix::process::geteuid().as_raw()), stopped: false };
        let found = LockHolder::of(std::fs::File::open(file.path()).unwrap());
        assert_eq!(found, Some(me));
        assert_eq!(me.to_string(), format!("process {} of user {}", me.pid, me.user.unwrap()));
    }

    #[test]
    fn a_holder_that_is_stopped_is_told_with_what_lets_it_go_on() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        assert!(!is_stopped(child.id()));
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
        rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::UNTRACED).unwrap();
        let holder = LockHolder { pid: child.id(), user: None, stopped: is_stopped(child.id()) };
        child.kill().unwrap();
        child.wait().unwrap();
        let pid = holder.pid;
        assert_eq!(holder.to_string(), format!("process {pid}, which is stopped (`kill -CONT {pid}` lets it go on),"));
    }

    #[test]
    fn those_who_wait_and_locks_of_other_kinds_and_files_are_not_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let stat = fstat(file.as_file()).unwrap();
        let (major, minor, inode) = (major(stat.st_dev), minor(stat.st_dev), stat.st_ino);
        let text = format!(
            "1: POSIX  ADVISORY  WRITE 11 {major:02x}:{minor:02x}:{inode} 0 EOF\n\
             2: FLOCK  ADVISORY  WRITE 12 {major:02x}:{minor:02x}:1{inode} 0 EOF\n\
             3: FLOCK  ADVISORY  WRITE 0 {major:02x}:{minor:02x}:{inode} 0 EOF\n\
             4: FLOCK  ADVISORY  READ  13 {major:02x}:{minor:02x}:{inode} 0 EOF\n\
             4: -> FLOCK  ADVISORY  WRITE 14 {major:02x}:{minor:02x}:{inode} 0 EOF\n\
             nonsense\n"
        );
        assert_eq!(holder_in(&text, &stat), Some(13));
        let elsewhere = format!("1: FLOCK ADVISORY WRITE 15 fe:99:{inode} 0 EOF\n");
        assert_eq!(holder_in(&elsewhere, &stat), Some(15), "another device number for the same inode");
        assert_eq!(holder_in("", &stat), None);
    }
}
