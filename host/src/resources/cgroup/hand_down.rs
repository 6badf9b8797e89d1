use std::io;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::getpid;

use super::claim::make_folder;
use super::{CgroupError, Controller, knob};

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
    let missing = |controller: &Controller| !handed_down(group).contains(controller);
    has(group)
        .into_iter()
        .filter(missing)
        .filter_map(|controller| Some((controller, give(group, controller).err()?)))
        .collect()
}

fn give(group: &Path, controller: Controller) -> Result<(), CgroupError> {
    let file = group.join("cgroup.subtree_control");
    let order = format!("+{controller}");
    if let Err(error) = knob::write(&file, &order) {
        if !is_busy(&error) || !move_aside(group)? {
            return Err(explained(group, controller, error));
        }
        knob::write(&file, &order).map_err(|error| explained(group, controller, error))?;
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

/// Says who stands in the way, where it is somebody.
fn explained(group: &Path, controller: Controller, error: CgroupError) -> CgroupError {
    if !is_busy(&error) {
        return error;
    }
    let others = super::empty::pids(group);
    let why = match others.as_slice() {
        [] => "the kernel says it is busy".to_owned(),
        [pid] => format!("process {pid} is in it, and only a group without processes can"),
        [pid, ..] => {
            format!("{} processes are in it (process {pid}, say), and only a group without processes can", others.len())
        }
    };
    CgroupError::NotHandedDown { path: group.to_owned(), controller, why }
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
