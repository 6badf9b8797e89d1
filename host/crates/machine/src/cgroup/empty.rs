use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};

use super::{CgroupError, knob};

/// Longest wait for killed processes to end. A process that waits for a disk can take this long; any other
/// takes a millisecond.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The processes in the group itself; empty if the group does not exist. 0 stands for a process that this PID
/// namespace cannot see.
pub(super) fn pids(group: &Path) -> Vec<i32> {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

/// The groups directly in a group.
pub(super) fn groups_in(group: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(group) else { return Vec::new() };
    let folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let mut found: Vec<PathBuf> = entries.flatten().filter(folder).map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// A group and all groups below it, deepest first.
pub(super) fn tree(group: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = groups_in(group).iter().flat_map(|inner| tree(inner)).collect();
    found.push(group.to_owned());
    found
}

/// Kills every process in these groups (one group in several hierarchies) and waits until all have ended.
/// Returns the number of killed processes.
///
/// v2 kills a group as a whole. Elsewhere each process is opened as a pidfd, looked up once more, and only
/// then signalled, so that a reused number is never hit. The group's `pids.max` bounds a process that forks
/// faster than this loop.
pub(super) fn kill(groups: &[PathBuf]) -> Result<usize, CgroupError> {
    let started = Instant::now();
    let own = getpid();
    let mut killed = BTreeSet::new();
    loop {
        let listed: BTreeSet<i32> = groups.iter().flat_map(|group| pids(group)).collect();
        let Some(first) = groups.iter().find(|group| !pids(group).is_empty()) else { return Ok(killed.len()) };
        // This process never kills itself. The group then cannot be emptied, which is reported below.
        let mut waiting = Vec::new();
        for pid in listed.iter().filter_map(|pid| Pid::from_raw(*pid)).filter(|pid| *pid != own) {
            let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
            let number = pid.as_raw_nonzero().get();
            if groups.iter().any(|group| pids(group).contains(&number)) {
                let _ = pidfd_send_signal(&process, Signal::KILL);
                killed.insert(number);
                waiting.push(process);
            }
        }
        if listed.iter().all(|pid| *pid == own.as_raw_nonzero().get()) || started.elapsed() > TIMEOUT {
            let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            return Err(CgroupError::NotEmpty {
                path: first.clone(),
                pids: listed.into_iter().collect(),
                milliseconds,
            });
        }
        let at_once = groups.iter().map(|group| group.join("cgroup.kill"));
        if !listed.contains(&own.as_raw_nonzero().get()) {
            // `cgroup.kill` also kills processes that were forked since. If the file is missing or the write
            // fails, the signals above have been sent.
            at_once.filter(|file| file.exists()).for_each(|file| drop(knob::write(&file, "1")));
        }
        // An invisible process has no pidfd to wait for, so the wait is short.
        wait_for_one(&waiting, Duration::from_millis(1));
    }
}

/// Waits until one of the processes in a group ends, at most for `at_most`.
pub(super) fn await_end(group: &Path, at_most: Duration) {
    let opened = |pid: i32| pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok();
    let processes: Vec<OwnedFd> = pids(group).into_iter().filter_map(opened).collect();
    if !processes.is_empty() {
        wait_for_one(&processes, at_most);
    }
}

fn wait_for_one(processes: &[OwnedFd], at_most: Duration) {
    let moment = Timespec {
        tv_sec: i64::try_from(at_most.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(at_most.subsec_nanos()),
    };
    let mut fds: Vec<PollFd<'_>> = processes.iter().map(|process| PollFd::new(process, PollFlags::IN)).collect();
    let _ = poll(&mut fds, Some(&moment));
}

/// Removes a group without processes and without groups in it. A missing group is not an error.
///
/// The kernel may report the group as busy for some microseconds after its last process was reaped, hence the
/// retries.
pub(super) fn remove(group: &Path) -> Result<(), CgroupError> {
    let started = Instant::now();
    let mut pause = Duration::from_micros(20);
    loop {
        let cause = match fs::remove_dir(group) {
            Ok(()) => return Ok(()),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(cause) => cause,
        };
        let busy = Errno::from_io_error(&cause) == Some(Errno::BUSY);
        if !busy || !pids(group).is_empty() || !groups_in(group).is_empty() || started.elapsed() > TIMEOUT {
            return Err(CgroupError::Remove { path: group.to_owned(), cause });
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

/// Kills all processes in a tree of groups (one tree in several hierarchies) and removes the tree, deepest
/// first. Returns the number of groups, counted once for all hierarchies, and of killed processes.
pub(super) fn remove_trees(roots: &[PathBuf]) -> Result<(usize, usize), CgroupError> {
    let trees: Vec<Vec<PathBuf>> = roots.iter().map(|root| tree(root)).collect();
    let all: Vec<PathBuf> = trees.iter().flatten().cloned().collect();
    let killed = kill(&all)?;
    // The first hierarchy comes last: if it has no group, no other hierarchy has one.
    for tree in trees.iter().rev() {
        tree.iter().try_for_each(|group| remove(group))?;
    }
    Ok((trees.first().map_or(0, Vec::len), killed))
}
