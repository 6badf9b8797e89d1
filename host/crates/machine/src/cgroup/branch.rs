use std::path::{Component, Path, PathBuf};

use super::super::cpu_lease::Hold;
use super::claim::{Claim, make_folder};
use super::hand_down::{SUPERVISORS, hand_down, has, move_back};
use super::mounts::{Hierarchy, Version};
use super::{CgroupError, Controller, bounds, empty};

/// Where the slice begins: below this process's own group.
const DEFAULT_SLICE: &str = "sage-host";

/// Our slice in one hierarchy.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) version: Version,
    /// What of ours the hierarchy carries; on v2 also what was not handed down to the slice.
    pub(super) controllers: Vec<Controller>,
    /// How its line in /proc/PID/cgroup begins.
    pub(super) line: String,
    /// The group above the slice's first level: our own, or the root.
    pub(super) base: PathBuf,
    /// The slice.
    pub(super) slice: PathBuf,
    /// Keeps the slice there.
    claim: Option<Claim>,
    /// Keeps everybody out of the base who would move back into it.
    base_claim: Option<Claim>,
}

/// The group that the slice begins in, and the slice: below this process's own group, or, when its name begins with `/`, below the root of
/// the hierarchy.
pub(super) fn slice_of(hierarchy: &Hierarchy, slice: Option<&str>) -> (PathBuf, PathBuf) {
    let Hierarchy { mount, own, .. } = hierarchy;
    let slice = Path::new(slice.unwrap_or(DEFAULT_SLICE));
    let base = match slice.is_absolute() {
        true => mount.clone(),
        // Where an earlier detection, or the supervisor that started this one, moved aside.
        false if own.file_name().is_some_and(|name| name == SUPERVISORS) => {
            own.parent().map_or_else(|| own.clone(), Path::to_owned)
        }
        false => own.clone(),
    };
    // What could lead out of the base is left out.
    let below: PathBuf = slice.components().filter(|part| matches!(part, Component::Normal(_))).collect();
    // The root itself, or our own group, is no slice: we do not remove it.
    let slice = base.join(if below.as_os_str().is_empty() { Path::new(DEFAULT_SLICE) } else { &below });
    (base, slice)
}

impl Branch {
    /// With the slice where [`slice_of`] says.
    pub(super) fn new(hierarchy: Hierarchy, slice: Option<&str>) -> Self {
        let (base, slice) = slice_of(&hierarchy, slice);
        let Hierarchy { version, controllers, line, .. } = hierarchy;
        let controllers = if version == Version::V2 { has(&base) } else { controllers };
        Self { version, controllers, line, base, slice, claim: None, base_claim: None }
    }

    /// The mechanism of one controller, for people.
    pub(super) fn mechanism(&self, controller: Controller) -> String {
        let version = if self.version == Version::V1 { "v1" } else { "v2" };
        format!("cgroup {version} {}", bounds::file_of(self.version, controller))
    }

    /// Whether the base is the root of v2, which alone may hold processes and hand controllers down.
    pub(super) fn is_at_the_root(&self) -> bool {
        self.version == Version::V2 && !self.base.join("cgroup.events").exists()
    }

    /// Makes the slice. Returns the controllers that could not be handed down to it (v2), each with its reason.
    pub(super) fn prepare(&mut self) -> Result<Vec<(Controller, CgroupError)>, CgroupError> {
        if self.version == Version::V2 {
            self.base_claim = Some(Claim::join(&self.base)?);
        }
        let mut refused = self.open(&self.base);
        let below = self.slice.strip_prefix(&self.base).unwrap_or(Path::new(""));
        let mut level = self.base.clone();
        for part in below.components() {
            level.push(part);
            if level != self.slice {
                self.make(&level)?;
                refused.extend(self.open(&level));
            }
        }
        // Held before anything is written: somebody who leaves might remove it otherwise.
        self.claim = Claim::make(&self.slice, Hold::Together)?;
        if self.claim.is_none() {
            return Err(CgroupError::InUse { path: self.slice.clone() });
        }
        self.furnish(&self.slice)?;
        refused.extend(self.open(&self.slice));
        Ok(refused)
    }

    /// Makes a group, unless it is there, and gives it what it needs to hold processes; `true` when it was not there.
    pub(super) fn make(&self, group: &Path) -> Result<bool, CgroupError> {
        let new = make_folder(group)?;
        self.furnish(group)?;
        Ok(new)
    }

    /// Gives a group that was just made what it needs to hold processes.
    pub(super) fn furnish(&self, group: &Path) -> Result<(), CgroupError> {
        match self.version {
            Version::V1 => bounds::furnish_v1(group),
            Version::V2 => Ok(()),
        }
    }

    /// Lets a group have groups in it whose limits hold.
    pub(super) fn open(&self, group: &Path) -> Vec<(Controller, CgroupError)> {
        match self.version {
            Version::V1 => Vec::new(),
            Version::V2 => hand_down(group),
        }
    }
}

impl Drop for Branch {
    fn drop(&mut self) {
        let last = self.claim.as_ref().is_some_and(|claim| claim.alone(&self.slice));
        // Held alone while it goes, so that nobody makes a group in it meanwhile; where others still use it, it stays.
        if last && empty::groups_in(&self.slice).is_empty() && empty::remove(&self.slice).is_err() {
            tracing::debug!(slice = %self.slice.display(), "the cgroup of all sage-hosts stays behind");
        }
        if self.base_claim.as_ref().is_some_and(|claim| claim.alone(&self.base)) {
            move_back(&self.base);
        }
    }
}
