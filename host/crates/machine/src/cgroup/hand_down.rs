use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::getpid;

use super::claim::make_folder;
use super::{CgroupError, Controller, knob};

/// How long a supervisor may take to end after it has moved back.
const PATIENCE: Duration = Duration::from_millis(100);

/// Where the processes of a group go that must hold none so that it can hand controllers down.
pub(super) const SUPERVISORS: &str = "sage-host-supervisor";

/// The controllers that a v2 group has, which is what it could hand down.
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

/// Makes a v2 group give everything that it has to the groups in it, and reads that back. Without this a group below has no file to write a
/// limit to.
///
/// Only a group without processes may do so (the root is excepted). Where this process is what stands in the way, it moves
/// aside, into a group beside the slice. What could not be handed down is returned, each with its reason.
pub(super) fn hand_down(group: &Path) -> Vec<(Controller, CgroupError)> {
    let mut refused = Vec::new();
    let mut in_the_way = None;
    for controller in has(group) {
        if handed_down(group).contains(&controller) {
            continue;
        }
        // Once somebody stands in the way nothing more is tried: a part of the controllers may be handed down from a group with processes,
        // but then no process can enter the groups in it.
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
        if !is_busy(&error) || started.elapsed() > PATIENCE {
            return Err(error);
        }
        if !move_aside(group)? {
            // Another thread of this process has just moved it, or a supervisor that is at its end has just moved back.
            super::empty::await_end(group, PATIENCE);
        }
    }
    if handed_down(group).contains(&controller) {
        Ok(())
    } else {
        let why = "the kernel took the order and did not follow it".to_owned();
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

/// Moves this process out of a group, into one within. `false` when it was not in there.
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
            // Another supervisor, the last one in there, has just left and removed it.
            Err(CgroupError::Write { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

/// Undoes [`hand_down`] and the moving aside, once nothing of ours is left in the group but the supervisors. Does nothing where others
/// have groups in there too: taking a controller away from them would take their limits away.
pub(super) fn move_back(group: &Path) {
    let aside = group.join(SUPERVISORS);
    let own = getpid().as_raw_nonzero().get();
    let supervisors = super::empty::pids(&aside);
    if supervisors != [own] {
        // Nobody is in there, or somebody else who will do this. The kernel lets go of it only if it is empty.
        let _ = std::fs::remove_dir(&aside);
        return;
    }
    if super::empty::groups_in(group) != [aside.clone()] {
        return;
    }
    // Each may fail without harm: then this process stays where it is, and the next supervisor finds the group.
    for controller in handed_down(group) {
        let _ = knob::write(&group.join("cgroup.subtree_control"), &format!("-{controller}"));
    }
    if knob::write(&group.join("cgroup.procs"), "0").is_ok() {
        let _ = super::empty::remove(&aside);
    }
}
