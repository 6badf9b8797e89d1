use std::path::PathBuf;
use std::sync::Arc;

use super::super::cpu_lease::Hold;
use super::claim::Claim;
use super::level::Level;
use super::limits::Quota;
use super::tree::Tree;
use super::{CgroupError, Controller, GroupLimits, bounds, empty, knob};

/// The shared state of a group. This state lives as long as a handle of the group or of a group in it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) tree: Arc<Tree>,
    pub(super) above: Option<Arc<Held>>,
    pub(super) level: Level,
    /// Path below the slice.
    pub(super) below: PathBuf,
    pub(super) claim: Option<Claim>,
    pub(super) removed: bool,
}

impl Held {
    /// The group's folders, one for each hierarchy, in the order of the hierarchies.
    pub(super) fn folders(&self) -> Vec<PathBuf> {
        self.tree.folders(&self.below)
    }

    /// Runs `kill` with the CPU quota lifted. A process without remaining quota could not even end before its
    /// next period.
    pub(super) fn unthrottled(&self, kill: impl FnOnce() -> Result<(), CgroupError>) -> Result<(), CgroupError> {
        let quota = self.cpu_quota().and_then(|file| Some((knob::read(&file).ok()?, file)));
        let lifted = quota.filter(|(value, file)| bounds::lift(file, value));
        let killed = kill();
        match lifted.filter(|(_, file)| file.exists()) {
            Some((value, file)) => killed.and(knob::set_exactly(&file, &value)),
            None => killed,
        }
    }

    /// The file of the group's CPU quota.
    pub(super) fn cpu_quota(&self) -> Option<PathBuf> {
        let branch = self.tree.branch_of(Controller::Cpu)?;
        Some(branch.slice.join(&self.below).join(bounds::file_of(branch.version, Controller::Cpu)))
    }

    /// This group and the groups above it.
    pub(super) fn levels(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |held| held.above.as_deref())
    }

    /// Acts as if the supervisor were killed: the lock is released and the group stays.
    #[cfg(test)]
    pub(super) fn forget(mut self: Arc<Self>) {
        let held = Arc::get_mut(&mut self).expect("no other handle exists");
        held.removed = true;
    }

    pub(super) fn create(&mut self) -> Result<(), CgroupError> {
        let folders = self.folders();
        let Some(first) = folders.first() else { return Ok(()) };
        match self.level {
            Level::Tenant => self.claim = Claim::make(first, Hold::Together)?,
            Level::Pipeline => self.claim = Claim::make(first, Hold::Alone)?,
            // The pipeline's group is held exclusively, so no other process makes or removes this one.
            Level::Instance => {}
        }
        let new = self.level == Level::Instance && super::claim::make_folder(first)?;
        if self.claim.is_none() && !new {
            return Err(CgroupError::InUse { path: first.clone() });
        }
        self.removed = false;
        if self.level == Level::Pipeline {
            for group in folders.iter().flat_map(|folder| empty::groups_in(folder)) {
                empty::remove_trees(&[group])?;
            }
        }
        let tree = Arc::clone(&self.tree);
        for (branch, folder) in tree.branches.iter().zip(&folders) {
            branch.make(folder)?;
            if self.level != Level::Instance {
                // The canary has found the controllers that cannot be handed down. They are not available, so
                // no limit uses them.
                drop(branch.open(folder));
            }
        }
        Ok(())
    }

    pub(super) fn hold_to(&self, controller: Controller, limits: &GroupLimits) -> Result<(), CgroupError> {
        let Some(branch) = self.tree.branch_of(controller) else {
            let (group, why) = (self.below.display().to_string(), self.tree.why_not(controller));
            return Err(CgroupError::NoControl { group, controller, why });
        };
        let folder = branch.slice.join(&self.below);
        let set = |controller| match controller {
            Controller::Memory => limits
                .memory_max
                .map(|bytes| bounds::memory(branch.version, &folder, bytes, self.level == Level::Instance)),
            Controller::Cpu => limits.cpu_quota.map(|share| bounds::cpu(branch.version, &folder, Quota::new(share)?)),
            Controller::Cpuset => limits.cpus.as_ref().map(|cpus| bounds::cpuset(&folder, cpus)),
            Controller::Pids => limits.pids_max.map(|most| bounds::pids(&folder, most)),
        };
        set(controller).unwrap_or(Ok(()))
    }

    pub(super) fn remove(&mut self) -> Result<(), CgroupError> {
        if std::mem::replace(&mut self.removed, true) {
            return Ok(());
        }
        let folders = self.folders();
        if self.level != Level::Tenant {
            return self.unthrottled(|| empty::remove_trees(&folders).map(drop));
        }
        let last = folders.first().zip(self.claim.as_ref()).is_some_and(|(first, claim)| claim.alone(first));
        if !last || folders.iter().any(|folder| !empty::groups_in(folder).is_empty()) {
            return Ok(());
        }
        folders.iter().rev().try_for_each(|folder| empty::remove(folder))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            tracing::warn!(group = %self.below.display(), %error, "a cgroup stays behind");
        }
    }
}
