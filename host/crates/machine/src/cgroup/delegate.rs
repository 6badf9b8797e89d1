use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use super::super::cpu_lease::Hold;
use super::branch::{Branch, slice_of};
use super::claim::{Claim, Claimed, make_folder};
use super::hand_down::SUPERVISORS;
use super::limits::Quota;
use super::mounts::{self, Version};
use super::{CgroupError, Controller, GroupLimits, bounds, empty, knob, name};

/// A part of a tenant's group that belongs to another user, who makes groups and limits in it as in a slice of its own:
/// `<slice>/<tenant>/~user-<number>`. The tenant's group and its limits stay root's.
///
/// The part stays at least as long as this value.
#[derive(Debug)]
pub struct Delegation {
    slice: String,
    _branches: Vec<Branch>,
}

/// The files of a group with which its owner moves processes and hands controllers down, as the kernel's documents name
/// them for delegation. A file of the other version does not exist.
const OF_THE_OWNER: [&str; 4] = ["cgroup.procs", "tasks", "cgroup.threads", "cgroup.subtree_control"];

impl Delegation {
    /// Makes the part of a tenant's group with the tenant's limits in each hierarchy, and gives it to a user and a group.
    /// On v2 this process moves into the part, because the user could not move it there.
    ///
    /// A hierarchy in which no group can be made is left out: whoever uses the part finds out that it has no limits.
    ///
    /// # Errors
    /// A limit does not hold, or a group cannot be given away.
    pub fn make(slice: &str, tenant: &str, user: (u32, u32), limits: &GroupLimits) -> Result<Self, CgroupError> {
        let inner = part_of(slice, tenant, user.0);
        let mut delegation = Self { slice: inner.clone(), _branches: Vec::new() };
        for hierarchy in mounts::of_this_process(Path::new("/")).unwrap_or_default() {
            let mount = hierarchy.mount.clone();
            let mut branch = Branch::new(hierarchy, Some(&inner));
            // The tenant's group may be removed between two steps.
            if let Err(error) = branch.prepare().or_else(|_| branch.prepare()).or_else(|_| branch.prepare()) {
                tracing::debug!(%error, "a hierarchy is left out");
                continue;
            }
            hold_to(&branch, limits)?;
            give(&branch.slice, user)?;
            if branch.version == Version::V2 && !branch.controllers.is_empty() {
                let home = branch.slice.join(SUPERVISORS);
                make_folder(&home)?;
                give(&home, user)?;
                knob::write(&home.join("cgroup.procs"), "0")?;
                // The group of this process is another one now, and a relative slice would begin there.
                let below = branch.slice.strip_prefix(&mount).unwrap_or(&branch.slice);
                delegation.slice = format!("/{}", below.display());
            }
            delegation._branches.push(branch);
        }
        Ok(delegation)
    }

    /// The name of the part, for a process that uses it as its slice.
    #[must_use]
    pub fn slice(&self) -> &str {
        &self.slice
    }

    /// Removes the part of a user, if no process uses it any more, and the tenant's group if nothing else is in it.
    /// Returns whether the part is gone.
    pub fn remove(slice: &str, tenant: &str, user: u32) -> bool {
        let mut gone = true;
        let inner = part_of(slice, tenant, user);
        for hierarchy in mounts::of_this_process(Path::new("/")).unwrap_or_default() {
            let (_, part) = slice_of(&hierarchy, Some(&inner));
            // The lock is held until the group is removed, so that nobody begins to use it meanwhile.
            let Ok(Claimed::Ours(_claim)) = Claim::take(&part, Hold::Alone) else {
                gone &= !part.exists();
                continue;
            };
            if let Err(error) = empty::remove_trees(std::slice::from_ref(&part)) {
                tracing::debug!(%error, "the control group of a tenant stays behind");
                gone = false;
                continue;
            }
            let Some(group) = part.parent().filter(|group| empty::groups_in(group).is_empty()) else { continue };
            if let Ok(Claimed::Ours(_claim)) = Claim::take(group, Hold::Alone) {
                // Somebody may have begun to use it.
                let _ = empty::remove(group);
            }
        }
        gone
    }
}

/// Prefix of the part's name. No folder made from a user's name begins with `~`.
const PART: &str = "~user-";

/// Whether a group is a delegated part.
pub(super) fn is_delegated(group: &Path) -> bool {
    group.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PART))
}

fn part_of(slice: &str, tenant: &str, user: u32) -> String {
    format!("{slice}/{}/{PART}{user}", name::folder_name(tenant))
}

/// Holds the tenant's group to its limits.
fn hold_to(branch: &Branch, limits: &GroupLimits) -> Result<(), CgroupError> {
    let Some(group) = branch.slice.parent() else { return Ok(()) };
    let carries = |controller| branch.controllers.contains(&controller);
    if let Some(bytes) = limits.memory_max.filter(|_| carries(Controller::Memory)) {
        bounds::memory(branch.version, group, bytes, false)?;
    }
    if let Some(share) = limits.cpu_quota.filter(|_| carries(Controller::Cpu)) {
        bounds::cpu(branch.version, group, Quota::new(share)?)?;
    }
    Ok(())
}

fn give(group: &Path, (user, group_of_user): (u32, u32)) -> Result<(), CgroupError> {
    let files = OF_THE_OWNER.iter().map(|file| group.join(file)).filter(|file| file.exists());
    let all: Vec<PathBuf> = files.chain([group.to_owned()]).collect();
    all.into_iter().try_for_each(|path| {
        chown(&path, Some(user), Some(group_of_user)).map_err(|cause| CgroupError::Make { path, cause })
    })
}
