use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::getpid;

use super::claim::make_folder;
use super::{CgroupError, Controller, knob};

/// Longest wait for a supervisor to end after it has moved back.
const TIMEOUT: Duration = Duration::from_millis(100);

/// The group for processes that must leave their own group so that it can hand controllers down.
pub(super) const SUPERVISORS: &str = "sage-host-supervisor";

/// The controllers of a v2 group, which the group could hand down.
pub(super) fn has(group: &Path) -> Vec<Controller> {
    listed(&group.join("cgroup.controllers"))
}

fn handed_down(group: &Path) -> Vec<Controller> {
    listed(&group.join("cgroup.subtree_control"))
}

fn listed(file: &Path) -> Vec<Controller> {
    let text = knob::read(file).unwrap_or_default();
    Controller::ALL.into_iter().filter(|controller| text.split(' ').any(|word| word == controller.name())).collect()
}

/// Makes a v2 group hand all of its controllers down to the groups in it, and reads the result back. Without
/// this, a group below has no file to write a limit to.
///
/// Only a group without processes may hand controllers down (except the root). If only this process is in the
/// way, it moves aside, into a group beside the slice. Returns the controllers that could not be handed down,
/// each with the reason.
pub(super) fn hand_down(group: &Path) -> Vec<(Controller, CgroupError)> {
    let mut refused = Vec::new();
    let mut in_the_way = None;
    for controller in has(group) {
        if handed_down(group).contains(&controller) {
            continue;
        }
        // After the first process in the way, no other controller is tried. Some controllers can be handed
        // down from a group with processes, but then no process can enter the groups in it.
        let outcome = if in_the_way.is_none() { give(group, controller) } else { Ok(()) };
        if outcome.as_ref().is_err_and(is_busy) {
            in_the_way = Some(who_is_in(group));
        }
        match (outcome, &in_the_way) {
            (_, Some(why)) => {
                let why = why.clone();
                refused.push((controller, CgroupError::NotHandedDown { path: group.to_owned(), controller, why }));
            }
            (Err(error), None) => refused.push((controller, error)),
            (Ok(()), None) => {}
        }
    }
    refused
}

fn give(group: &Path, controller: Controller) -> Result<(), CgroupError> {
    let file = group.join("cgroup.subtree_control");
    let order = format!("+{controller}");
    let started = Instant::now();
    while let Err(error) = knob::write(&file, &order) {
        if !is_busy(&error) || started.elapsed() > TIMEOUT {
            return Err(error);
        }
        if !move_aside(group)? {
            // Another thread of this process has just moved it, or a supervisor that is about to end has just
            // moved back.
            super::empty::await_end(group, TIMEOUT);
        }
    }
    if handed_down(group).contains(&controller) {
        Ok(())
    } else {
        let why = "the kernel accepted the command and ignored it".to_owned();
        Err(CgroupError::NotHandedDown { path: group.to_owned(), controller, why })
    }
}

fn is_busy(error: &CgroupError) -> bool {
    matches!(error, CgroupError::Write { cause, .. } if Errno::from_io_error(cause) == Some(Errno::BUSY))
}

fn who_is_in(group: &Path) -> String {
    match super::empty::pids(group).as_slice() {
        [] => "the kernel says it is busy".to_owned(),
        [pid] => format!("process {pid} is in it, and only a group without processes can"),
        [pid, .., _] => format!("processes are in it ({pid}, say), and only a group without processes can"),
    }
}

/// Moves this process out of a group, into a group inside it. Returns `false` if the process was not in the
/// group.
fn move_aside(group: &Path) -> Result<bool, CgroupError> {
    let own = getpid().as_raw_nonzero().get();
    if !super::empty::pids(group).contains(&own) {
        return Ok(false);
    }
    let aside = group.join(SUPERVISORS);
    loop {
        make_folder(&aside)?;
        match knob::write(&aside.join("cgroup.procs"), "0") {
            Ok(()) => return Ok(true),
            // Another supervisor, the last in that group, has just left and removed it.
            Err(CgroupError::Write { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

/// Undoes [`hand_down`] and the move, if only supervisors are left in the group. Does nothing if others have
/// groups in it too: removing a controller would remove their limits.
pub(super) fn move_back(group: &Path) {
    let aside = group.join(SUPERVISORS);
    let own = getpid().as_raw_nonzero().get();
    let supervisors = super::empty::pids(&aside);
    if supervisors != [own] {
        // The group is empty, or another supervisor will do this later. The kernel removes the folder only if
        // it is empty.
        let _ = std::fs::remove_dir(&aside);
        return;
    }
    if super::empty::groups_in(group) != [aside.clone()] {
        return;
    }
    // Each step may fail without harm. Then this process stays where it is, and the next supervisor finds the
    // group.
    for controller in handed_down(group) {
        let _ = knob::write(&group.join("cgroup.subtree_control"), &format!("-{controller}"));
    }
    if knob::write(&group.join("cgroup.procs"), "0").is_ok() {
        let _ = super::empty::remove(&aside);
    }
}
