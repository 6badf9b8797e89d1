use std::path::{Path, PathBuf};

use super::branch::HOST;
use super::hand_down::SUPERVISORS;
use super::level::Level;
use super::{CgroupError, Group, GroupLimits, knob, mounts};

/// The place of this process in the group of a pipeline, beside its instances. The limits of the tenant and of the
/// pipeline then hold for this process too: for its sources and sinks, its queues and its copies.
///
/// Dropping it moves the process back to the groups in which it was, and removes the group. Drop it before the
/// pipeline's group.
#[derive(Debug)]
pub struct HostSeat {
    group: Group,
    /// The folder in each hierarchy in which this process was, in the order of the group's folders.
    before: Vec<PathBuf>,
}

impl Group {
    /// Moves this process, with all its threads, into a group of its own in a pipeline's group. Without cgroups on the
    /// machine, nothing is moved.
    ///
    /// # Errors
    /// If the group cannot be made, or the kernel refuses to move the process. It is then where it was before.
    pub fn seat_host(&self) -> Result<HostSeat, CgroupError> {
        self.must_be(Level::Pipeline, "host")?;
        let tree = &self.held.tree;
        let own = mounts::of_this_process(Path::new("/")).unwrap_or_default();
        let before = tree.branches.iter().map(|branch| {
            let own = own.iter().find(|hierarchy| hierarchy.line == branch.line);
            own.map_or_else(|| branch.base.clone(), |hierarchy| hierarchy.own.clone())
        });
        let before = before.collect();
        let group = Self::make(tree, Some(&self.held), Level::Instance, HOST, &GroupLimits::default())?;
        let folders = group.held.folders();
        // From here on, a drop moves the process back.
        let seat = HostSeat { group, before };
        folders.iter().try_for_each(|folder| enter(folder))?;
        Ok(seat)
    }
}

fn enter(folder: &Path) -> Result<(), CgroupError> {
    knob::write(&folder.join("cgroup.procs"), "0")
}

impl HostSeat {
    /// Path of the group: `tenant/pipeline/host`.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.group.path()
    }
}

impl Drop for HostSeat {
    fn drop(&mut self) {
        for (branch, before) in self.group.held.tree.branches.iter().zip(&self.before) {
            // The group of supervisors is removed when it is empty.
            let aside = |above: &Path| {
                let aside = above.join(SUPERVISORS);
                branch.make(&aside).and_then(|_| enter(&aside))
            };
            // A slice that was delegated is all that its user may move in.
            let moved = enter(before).or_else(|_| aside(&branch.base)).or_else(|_| aside(&branch.slice));
            if let Err(error) = moved {
                tracing::warn!(group = %before.display(), %error, "this process stays in the cgroup of its pipeline");
            }
        }
    }
}
