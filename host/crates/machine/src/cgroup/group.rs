use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::canary::open_door;
use super::held::Held;
use super::level::Level;
use super::tree::Tree;
use super::{CgroupError, GroupEntry, GroupLimits, GroupReading, OomWatch, empty, name};

/// A group at one level, held by this process.
///
/// Dropping an instance's group kills its processes and removes it. A pipeline's group is removed with all
/// its contents after the handles of its instances are dropped; a tenant's group, when it is empty and no
/// other sage-host holds it. Without cgroups on the machine the group is an empty one that cannot limit
/// anything: entering and killing do nothing.
///
/// Kills and removals wait for the kernel, most often some hundred microseconds, at most seconds.
#[derive(Debug)]
pub struct Group {
    pub(super) held: Arc<Held>,
}

impl Group {
    /// The group of one run of a pipeline, in a tenant's group. Leftovers of an ended supervisor under this
    /// name are removed first. If a living supervisor holds the name, this group is called `<pipeline>~2`,
    /// and so on.
    ///
    /// # Errors
    /// If the group cannot be made, leftovers cannot be removed, or a limit is not available or does not
    /// hold. No group is left then.
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

    /// The group of one instance, in a pipeline's group.
    ///
    /// # Errors
    /// [`CgroupError::InUse`] if the group exists. Other errors if the group cannot be made, or a limit is
    /// not available or does not hold. No group is left then.
    pub fn instance(&self, operator: &str, instance: u32, limits: &GroupLimits) -> Result<Self, CgroupError> {
        self.must_be(Level::Pipeline, "instance")?;
        let name = name::instance_name(operator, instance);
        Self::make(&self.held.tree, Some(&self.held), Level::Instance, &name, limits)
    }

    pub(super) fn must_be(&self, level: Level, wanted: &'static str) -> Result<(), CgroupError> {
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
        // From here on, dropping `held` undoes the steps so far.
        let mut held = Held { tree: Arc::clone(tree), above: above.cloned(), level, below, claim: None, removed: true };
        held.create()?;
        let group = Self { held: Arc::new(held) };
        group.hold_to(limits)?;
        Ok(group)
    }

    /// Replaces limits. Limits that are `None` stay unchanged.
    ///
    /// # Errors
    /// If a limit is not available or does not hold. The limits before it (in the order memory, CPU time,
    /// CPUs, processes) have been set.
    pub fn hold_to(&self, limits: &GroupLimits) -> Result<(), CgroupError> {
        for controller in limits.controllers() {
            self.held.hold_to(controller, limits)?;
        }
        Ok(())
    }

    /// Path of the group: `tenant/pipeline/operator-n`, down to this group's level.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.held.below
    }

    /// The group's level.
    #[must_use]
    pub fn level(&self) -> Level {
        self.held.level
    }

    /// Opens the group's entry for a child.
    ///
    /// # Errors
    /// If a hierarchy does not let this process move other processes into the group.
    pub fn entry(&self) -> Result<GroupEntry, CgroupError> {
        let doors = self.held.folders().iter().map(|folder| open_door(folder)).collect::<Result<_, _>>()?;
        Ok(GroupEntry { doors })
    }

    /// The kernel's counts for the group.
    #[must_use]
    pub fn reading(&self) -> GroupReading {
        GroupReading::of(&self.held)
    }

    /// Starts to watch this group and those above it for running out of memory. Call this before the worker
    /// starts.
    ///
    /// # Errors
    /// If the kernel does not report it.
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

    /// Kills every process in the group and below it, and waits until they have ended. The group stays, with
    /// its limits. The parent of the processes must still reap them.
    ///
    /// # Errors
    /// If a process does not end within seconds.
    pub fn kill(&self) -> Result<(), CgroupError> {
        let all: Vec<PathBuf> = self.held.folders().iter().flat_map(|folder| empty::tree(folder)).collect();
        self.held.unthrottled(|| empty::kill(&all).map(drop))
    }

    /// Does the same as a drop, and returns the result.
    ///
    /// # Errors
    /// If a process does not end or a group cannot be removed; [`CgroupError::InUse`] if a group in it is
    /// still held. Leaving a tenant's group that others still use is not an error.
    pub fn remove(self) -> Result<(), CgroupError> {
        match Arc::try_unwrap(self.held) {
            Ok(mut held) => held.remove(),
            Err(held) => Err(CgroupError::InUse { path: held.below.clone() }),
        }
    }
}
