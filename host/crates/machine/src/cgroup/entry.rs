use std::io;
use std::os::fd::OwnedFd;

/// The open entry of a group: one descriptor of `cgroup.procs` in each hierarchy, closed on exec.
///
/// [`super::Group::entry`] makes it in the parent; the child uses it between fork and exec:
///
/// ```no_run
/// # use std::process::Command; use std::os::unix::process::CommandExt;
/// # fn start(group: &sage_machine::cgroup::Group, mut worker: Command) -> Result<(), Box<dyn std::error::Error>> {
/// let entry = group.entry()?;
/// // SAFETY: entering only calls write(2), which is async-signal-safe.
/// unsafe { worker.pre_exec(move || entry.enter()) };
/// worker.spawn()?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct GroupEntry {
    pub(super) doors: Vec<OwnedFd>,
}

impl GroupEntry {
    /// Moves the calling process, with all its threads, into the group. Async-signal-safe: one write(2) for
    /// each hierarchy, no allocation, no lock.
    ///
    /// # Errors
    /// If the kernel refuses: the group does not exist, its cpuset is empty, or this process may not move
    /// into it. The process may then be in the group in some hierarchies and not in others, and must not
    /// continue.
    pub fn enter(&self) -> io::Result<()> {
        for door in &self.doors {
            rustix::io::write(door, b"0")?;
        }
        Ok(())
    }
}
