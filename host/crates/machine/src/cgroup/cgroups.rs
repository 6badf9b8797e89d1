use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::branch::Branch;
use super::control::{Composition, Control, Controls};
use super::group::Group;
use super::level::Level;
use super::mounts::{self, Version};
use super::sweep::{self, Swept};
use super::tree::Tree;
use super::{CgroupError, GroupLimits, canary};

/// The control groups that this process can use, found by trying.
///
/// Cloning is cheap. When the last clone and the last [`Group`] are dropped, the slice is removed, unless
/// another sage-host uses it.
#[derive(Debug, Clone)]
pub struct Cgroups {
    pub(super) tree: Arc<Tree>,
}

impl Cgroups {
    /// Detects the usable control groups with a canary: the function makes a group, writes each limit and
    /// reads it back, starts a process in the group, checks that it is there, and removes everything. Takes a
    /// few milliseconds and waits for nothing. Detection never fails: [`Cgroups::controls`] gives the reason
    /// for each control that is not available.
    ///
    /// `slice` names the parent of all groups, `sage-host` if `None`: below this process's own group in each
    /// hierarchy, or, with a leading `/`, below each hierarchy's root. On v2 this process may have to move
    /// itself into a group beside the slice, so that its own group can hand controllers down; it moves back
    /// at the end.
    #[must_use]
    pub fn detect(slice: Option<&str>) -> Self {
        let branches = match mounts::of_this_process(Path::new("/")) {
            Ok(hierarchies) => hierarchies.into_iter().map(|hierarchy| Branch::new(hierarchy, slice)).collect(),
            Err(cause) => return Self::none(&format!("cannot read where the cgroups are: {cause}")),
        };
        Self::try_out(branches)
    }

    /// No control groups, for the reason `why`: every limit is refused, and every group is an empty one.
    #[must_use]
    pub fn none(why: &str) -> Self {
        let controls =
            Controls::each(|controller| Control::fails(format!("cgroup {controller}"), why.to_owned(), None));
        Self { tree: Arc::new(Tree { branches: Vec::new(), controls, composition: Composition::None }) }
    }

    pub(super) fn try_out(branches: Vec<Branch>) -> Self {
        let (branches, controls) = canary::send(branches);
        let composition = compose(&branches, &controls);
        Self { tree: Arc::new(Tree { branches, controls, composition }) }
    }

    /// The available controls with their mechanisms, and advice for the others.
    #[must_use]
    pub fn controls(&self) -> &Controls {
        &self.tree.controls
    }

    /// The cgroup versions that this machine uses.
    #[must_use]
    pub fn composition(&self) -> Composition {
        self.tree.composition
    }

    /// The slice's folders, one for each hierarchy in use. For messages.
    #[must_use]
    pub fn slices(&self) -> Vec<PathBuf> {
        self.tree.branches.iter().map(|branch| branch.slice.clone()).collect()
    }

    /// A tenant's group, with its ceilings. All sage-hosts of the slice share it: a limit replaces the limit
    /// that another one set.
    ///
    /// # Errors
    /// If the group cannot be made, or a limit is not available or does not hold.
    pub fn tenant(&self, tenant: &str, limits: &GroupLimits) -> Result<Group, CgroupError> {
        Group::make(&self.tree, None, Level::Tenant, &super::name::folder_name(tenant), limits)
    }

    /// Kills and removes the groups and processes that ended supervisors left in the slice. The groups of
    /// living supervisors stay.
    ///
    /// # Errors
    /// If something cannot be killed or removed. The rest has been tried.
    pub fn sweep(&self) -> Result<Swept, CgroupError> {
        sweep::slice(&self.tree)
    }
}

fn compose(branches: &[Branch], controls: &Controls) -> Composition {
    let limits = |version| {
        let carries = |branch: &Branch| {
            branch.version == version && branch.controllers.iter().any(|controller| controls.of(*controller).available)
        };
        branches.iter().any(carries)
    };
    let unified = branches.iter().find(|branch| branch.version == Version::V2);
    match (limits(Version::V1), limits(Version::V2), unified) {
        (true, _, Some(_)) => Composition::Hybrid,
        (true, _, None) => Composition::V1,
        (false, true, Some(branch)) if branch.is_at_the_root() => Composition::Unified,
        (false, true, _) => Composition::Delegated,
        (false, false, _) => Composition::None,
    }
}
