use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::branch::Branch;
use super::control::{Composition, Control, Controls};
use super::group::{Group, Level};
use super::mounts::{self, Version};
use super::sweep::{self, Swept};
use super::{CgroupError, Controller, GroupLimits, canary};

/// The control groups that this process can use, found by trying.
///
/// Cheap to clone; when the last clone and the last [`Group`] are gone, so is the slice, unless another sage-host uses it.
#[derive(Debug, Clone)]
pub struct Cgroups {
    pub(super) tree: Arc<Tree>,
}

/// The slice, in all hierarchies that can be used, and what each is good for.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) branches: Vec<Branch>,
    controls: Controls,
    composition: Composition,
}

impl Cgroups {
    /// Finds out what there is by sending a canary: a group is made, each limit written and read back, a process started in it and
    /// found there, and all of it removed. Takes a few milliseconds, waits for nothing. Never fails: what cannot be had is said in
    /// [`Cgroups::controls`].
    ///
    /// `slice` is where everything of ours lies, `sage-host` when `None`: below this process's own group in each hierarchy, or, with
    /// a leading `/`, below each hierarchy's root. On v2 this process may have to move itself into a group beside the slice, so that its own can hand
    /// controllers down; it moves back at the end.
    #[must_use]
    pub fn detect(slice: Option<&str>) -> Self {
        let branches = match mounts::of_this_process(Path::new("/")) {
            Ok(hierarchies) => hierarchies.into_iter().map(|hierarchy| Branch::new(hierarchy, slice)).collect(),
            Err(cause) => return Self::none(&format!("cannot read where the cgroups are: {cause}")),
        };
        Self::try_out(branches)
    }

    /// No control groups at all, for the reason given: every limit is refused, and every group is an empty one.
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

    /// What can be limited here, by what, and what to do about the rest.
    #[must_use]
    pub fn controls(&self) -> &Controls {
        &self.tree.controls
    }

    /// Which of the kernel's ways this machine uses.
    #[must_use]
    pub fn composition(&self) -> Composition {
        self.tree.composition
    }

    /// The slice's folders, one for each hierarchy in use; for messages.
    #[must_use]
    pub fn slices(&self) -> Vec<PathBuf> {
        self.tree.branches.iter().map(|branch| branch.slice.clone()).collect()
    }

    /// A tenant's group, with its ceilings. All sage-hosts of the slice share it: a limit replaces what another one set.
    ///
    /// # Errors
    /// When the group cannot be made, or a limit is not there or does not hold.
    pub fn tenant(&self, tenant: &str, limits: &GroupLimits) -> Result<Group, CgroupError> {
        Group::make(&self.tree, None, Level::Tenant, &super::name::folder_name(tenant), limits)
    }

    /// Kills and removes what dead supervisors left in the slice; what a living one holds stays.
    ///
    /// # Errors
    /// When something cannot be killed or removed; the rest has been tried.
    pub fn sweep(&self) -> Result<Swept, CgroupError> {
        sweep::slice(&self.tree)
    }
}

impl Tree {
    /// Where a controller's limits are written, when they hold.
    pub(super) fn branch_of(&self, controller: Controller) -> Option<&Branch> {
        let carried = || self.branches.iter().find(|branch| branch.controllers.contains(&controller));
        if self.controls.of(controller).available { carried() } else { None }
    }

    /// The v2 hierarchy, which tells of pressure also where it carries no controller.
    pub(super) fn unified(&self) -> Option<&Branch> {
        self.branches.iter().find(|branch| branch.version == Version::V2)
    }

    /// The folders of a group, one for each hierarchy.
    pub(super) fn folders(&self, below: &Path) -> Vec<PathBuf> {
        self.branches.iter().map(|branch| branch.slice.join(below)).collect()
    }

    pub(super) fn why_not(&self, controller: Controller) -> String {
        self.controls.of(controller).why_not.clone().unwrap_or_default()
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
