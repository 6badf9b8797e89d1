use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::cpu_lease::Hold;
use super::canary::open_door;
use super::cgroups::Tree;
use super::claim::Claim;
use super::limits::Quota;
use super::{CgroupError, Controller, GroupEntry, GroupLimits, GroupReading, OomWatch, bounds, empty, knob, name};

/// Which level of `<slice>/<tenant>/<pipeline>/<operator>-<n>` a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Shared by everything that a tenant runs, by whichever sage-host.
    Tenant,
    /// One run of a pipeline: held by its supervisor alone.
    Pipeline,
    /// One worker.
    Instance,
}

/// One level of the groups, held.
///
/// Dropping an instance's group kills what is in it and removes it; a pipeline's goes with everything in it once its instances'
/// handles are gone; a tenant's when it is empty and no other sage-host holds it. Where there are no cgroups it is an empty one, which
/// nothing can be limited by: entering and killing do nothing there.
///
/// Kills and removals wait for the kernel, most often some hundred microseconds, at most seconds.
#[derive(Debug)]
pub struct Group {
    pub(super) held: Arc<Held>,
}

/// The group itself, for as long as anybody has it or a group in it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) tree: Arc<Tree>,
    pub(super) above: Option<Arc<Held>>,
    pub(super) level: Level,
    /// Below the slice.
    pub(super) below: PathBuf,
    claim: Option<Claim>,
    removed: bool,
}

impl Group {
    /// The group of one run of a pipeline, in a tenant's. What a dead supervisor left under this name is swept first; where a living one has
    /// it, this one is called `<pipeline>~2`, and so on.
    ///
    /// # Errors
    /// When it cannot be made, what was left cannot be swept, or a limit is not there or does not hold. Nothing is left then.
    pub fn pipeline(&self, pipeline: &str, limits: &GroupLimits) -> Result<Self, CgroupError> {
        const MOST: u32 = 1000;
        self.must_be(Level::Tenant, "pipeline")?;
        let name = name::folder_name(pipeline);
        let mut outcome = Self::make(&self.held.tree, Some(&self.held), Level::Pipeline, &name, limits);
        for run in 2..MOST {
            if !matches!(outcome, Err(CgroupError::InUse { .. })) {
                break;
            }
            outcome = Self::make(&self.held.tree, Some(&self.held), Level::Pipeline, &format!("{name}~{run}"), limits);
        }
        outcome
    }

    /// The group of one instance, in a pipeline's.
    ///
    /// # Errors
    /// When it cannot be made (it is there already: [`CgroupError::InUse`]), or a limit is not there or does not hold. Nothing is left
    /// then.
    pub fn instance(&self, operator: &str, instance: u32, limits: &GroupLimits) -> Result<Self, CgroupError> {
        self.must_be(Level::Pipeline, "instance")?;
        let name = name::instance_name(operator, instance);
        Self::make(&self.held.tree, Some(&self.held), Level::Instance, &name, limits)
    }

    fn must_be(&self, level: Level, wanted: &'static str) -> Result<(), CgroupError> {
        match self.held.level {
            own if own == level => Ok(()),
            _ => Err(CgroupError::WrongLevel { group: self.held.below.clone(), wanted }),
        }
    }

    pub(super) fn make(
        tree: &Arc<Tree>,
        above: Option<&Arc<Held>>,
        level: Level,
        name: &str,
        limits: &GroupLimits,
    ) -> Result<Self, CgroupError> {
        let below = above.map_or_else(PathBuf::new, |above| above.below.clone()).join(name);
        // From here on dropping it undoes what was done.
        let mut held = Held { tree: Arc::clone(tree), above: above.cloned(), level, below, claim: None, removed: true };
        held.create()?;
        let group = Self { held: Arc::new(held) };
        group.hold_to(limits)?;
        Ok(group)
    }

    /// Replaces limits; those that are `None` stay as they are.
    ///
    /// # Errors
    /// When a limit is not there or does not hold. Those before it (memory, CPU time, CPUs, processes) have been set.
    pub fn hold_to(&self, limits: &GroupLimits) -> Result<(), CgroupError> {
        for controller in limits.controllers() {
            self.held.hold_to(controller, limits)?;
        }
        Ok(())
    }

    /// `tenant/pipeline/operator-n`, as far down as this group goes.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.held.below
    }

    /// Which level it is.
    #[must_use]
    pub fn level(&self) -> Level {
        self.held.level
    }

    /// The way in for a child.
    ///
    /// # Errors
    /// When a hierarchy does not let this process move others in.
    pub fn entry(&self) -> Result<GroupEntry, CgroupError> {
        let doors = self.held.folders().iter().map(|folder| open_door(folder)).collect::<Result<_, _>>()?;
        Ok(GroupEntry { doors })
    }

    /// What the kernel has counted.
    #[must_use]
    pub fn reading(&self) -> GroupReading {
        GroupReading::of(&self.held)
    }

    /// Begins to watch for this group, or one above it, running out of memory. Call it before the worker starts.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn watch_oom(&self) -> Result<OomWatch, CgroupError> {
        OomWatch::begin(&self.held)
    }

    /// The processes in the group itself.
    #[must_use]
    pub fn pids(&self) -> Vec<i32> {
        let mut found: Vec<i32> = self.held.folders().iter().flat_map(|folder| empty::pids(folder)).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Kills every process in the group and below it, and waits until they are gone. The group stays, with its limits. Whoever
    /// started them still has to reap them.
    ///
    /// # Errors
    /// When one of them does not die in seconds.
    pub fn kill(&self) -> Result<(), CgroupError> {
        let all: Vec<PathBuf> = self.held.folders().iter().flat_map(|folder| empty::tree(folder)).collect();
        self.held.unthrottled(|| empty::kill(&all).map(drop))
    }

    /// Does what dropping does, and says how it went.
    ///
    /// # Errors
    /// When something does not die or cannot be removed; [`CgroupError::InUse`] where a group in it is still held. For a tenant
    /// that others use too it is no error to leave it.
    pub fn remove(self) -> Result<(), CgroupError> {
        match Arc::try_unwrap(self.held) {
            Ok(mut held) => held.remove(),
            Err(held) => Err(CgroupError::InUse { path: held.below.clone() }),
        }
    }
}

impl Held {
    /// Its folders, the first hierarchy's first.
    pub(super) fn folders(&self) -> Vec<PathBuf> {
        self.tree.folders(&self.below)
    }

    /// Kills while the group has all the CPU time there is: one that used up its share could not even die before its next period.
    fn unthrottled(&self, kill: impl FnOnce() -> Result<(), CgroupError>) -> Result<(), CgroupError> {
        let quota = self.cpu_quota().and_then(|file| Some((knob::read(&file).ok()?, file)));
        let lifted = quota.filter(|(value, file)| bounds::lift(file, value));
        let killed = kill();
        match lifted.filter(|(_, file)| file.exists()) {
            Some((value, file)) => killed.and(knob::set_exactly(&file, &value)),
            None => killed,
        }
    }

    /// The file of its quota.
    pub(super) fn cpu_quota(&self) -> Option<PathBuf> {
        let branch = self.tree.branch_of(Controller::Cpu)?;
        Some(branch.slice.join(&self.below).join(bounds::file_of(branch.version, Controller::Cpu)))
    }

    /// This group and those above it.
    pub(super) fn levels(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |held| held.above.as_deref())
    }

    /// What becomes of it when its supervisor is killed: the lock is let go, the group stays.
    #[cfg(test)]
    pub(super) fn forget(mut self: Arc<Self>) {
        let held = Arc::get_mut(&mut self).expect("nobody else has it");
        held.removed = true;
    }

    fn create(&mut self) -> Result<(), CgroupError> {
        let folders = self.folders();
        let Some(first) = folders.first() else { return Ok(()) };
        match self.level {
            Level::Tenant => self.claim = Claim::make(first, Hold::Together)?,
            Level::Pipeline => self.claim = Claim::make(first, Hold::Alone)?,
            // Its pipeline is held alone, so nobody else makes or removes it.
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
                // What cannot be handed down was found out by the canary: it is not available, and nobody is given it.
                drop(branch.open(folder));
            }
        }
        Ok(())
    }

    fn hold_to(&self, controller: Controller, limits: &GroupLimits) -> Result<(), CgroupError> {
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

    fn remove(&mut self) -> Result<(), CgroupError> {
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
