use std::path::{Component, Path, PathBuf};

use super::super::cpu_lease::Hold;
use super::claim::{Claim, make_folder};
use super::hand_down::{SUPERVISORS, hand_down, has, move_back};
use super::mounts::{Hierarchy, Version};
use super::{CgroupError, Controller, bounds, empty};

/// The default name of the slice, below this process's own group.
const DEFAULT_SLICE: &str = "sage-host";

/// The slice of this process in one hierarchy.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) version: Version,
    /// The supported controllers that the hierarchy carries. On v2, this includes controllers that were not
    /// handed down to the slice.
    pub(super) controllers: Vec<Controller>,
    /// Start of the hierarchy's line in /proc/PID/cgroup.
    pub(super) line: String,
    /// The group above the slice's first level: this process's own group, or the root.
    pub(super) base: PathBuf,
    /// Folder of the slice.
    pub(super) slice: PathBuf,
    /// Keeps the slice from being removed.
    claim: Option<Claim>,
    /// Keeps other supervisors from moving back into the base.
    base_claim: Option<Claim>,
}

/// Name of the group of a process that is in the group of its pipeline.
pub(super) const HOST: &str = "host";

/// The base group and the slice. The slice is below this process's own group, or below the root of the
/// hierarchy if its name begins with `/`.
pub(super) fn slice_of(hierarchy: &Hierarchy, slice: Option<&str>) -> (PathBuf, PathBuf) {
    let below = below_base(slice);
    let own = own_of(hierarchy, slice);
    let base = match Path::new(slice.unwrap_or(DEFAULT_SLICE)).is_absolute() {
        true => hierarchy.mount.clone(),
        // This process is in the group into which an earlier detection, or the supervisor that started it,
        // moved.
        false if own.file_name().is_some_and(|name| name == SUPERVISORS) => {
            own.parent().map_or_else(|| own.clone(), Path::to_owned)
        }
        false => own,
    };
    let slice = base.join(below);
    (base, slice)
}

/// The group of this process, as if it were not in the group of its pipeline: the groups of the slice are no limits
/// from outside.
pub(super) fn own_of(hierarchy: &Hierarchy, slice: Option<&str>) -> PathBuf {
    let own = &hierarchy.own;
    let below = below_base(slice);
    let in_slice = own.ancestors().nth(3).filter(|above| own.ends_with(HOST) && above.ends_with(&below));
    let base = in_slice.and_then(|slice| slice.ancestors().nth(below.components().count()));
    base.unwrap_or(own).to_owned()
}

/// The path of the slice below its base.
fn below_base(slice: Option<&str>) -> PathBuf {
    let slice = Path::new(slice.unwrap_or(DEFAULT_SLICE));
    // Parts of the path that could lead out of the base are dropped.
    let below: PathBuf = slice.components().filter(|part| matches!(part, Component::Normal(_))).collect();
    // The root and this process's own group are never the slice, because the slice is removed at the end.
    if below.as_os_str().is_empty() { Path::new(DEFAULT_SLICE).to_owned() } else { below }
}

impl Branch {
    /// A branch with the slice that [`slice_of`] computes.
    pub(super) fn new(hierarchy: Hierarchy, slice: Option<&str>) -> Self {
        let (base, slice) = slice_of(&hierarchy, slice);
        let Hierarchy { version, controllers, line, .. } = hierarchy;
        let controllers = if version == Version::V2 { has(&base) } else { controllers };
        Self { version, controllers, line, base, slice, claim: None, base_claim: None }
    }

    /// The mechanism of one controller, as text for people.
    pub(super) fn mechanism(&self, controller: Controller) -> String {
        let version = if self.version == Version::V1 { "v1" } else { "v2" };
        format!("cgroup {version} {}", bounds::file_of(self.version, controller))
    }

    /// True if the base is the root of v2. Only the root may hold processes and hand controllers down.
    pub(super) fn is_at_the_root(&self) -> bool {
        self.version == Version::V2 && !self.base.join("cgroup.events").exists()
    }

    /// Makes the slice. Returns the controllers that could not be handed down to it (v2), each with the
    /// reason.
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
        // The claim comes before the first write: another process that leaves might remove the slice
        // otherwise.
        self.claim = Claim::make(&self.slice, Hold::Together)?;
        if self.claim.is_none() {
            return Err(CgroupError::InUse { path: self.slice.clone() });
        }
        self.furnish(&self.slice)?;
        refused.extend(self.open(&self.slice));
        Ok(refused)
    }

    /// Makes a group, unless it exists, and prepares it for processes. Returns `true` if it did not exist.
    pub(super) fn make(&self, group: &Path) -> Result<bool, CgroupError> {
        let new = make_folder(group)?;
        self.furnish(group)?;
        Ok(new)
    }

    /// Prepares a new group for processes.
    pub(super) fn furnish(&self, group: &Path) -> Result<(), CgroupError> {
        match self.version {
            Version::V1 => bounds::furnish_v1(group),
            Version::V2 => Ok(()),
        }
    }

    /// Prepares a group so that limits of groups in it hold. Returns the controllers that could not be handed
    /// down.
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
        // The slice is held exclusively during the removal, so that no process makes a group in it at the
        // same time. If other processes still use it, it stays.
        if last && empty::groups_in(&self.slice).is_empty() && empty::remove(&self.slice).is_err() {
            tracing::debug!(slice = %self.slice.display(), "the cgroup of all sage-hosts stays behind");
        }
        if self.base_claim.as_ref().is_some_and(|claim| claim.alone(&self.base)) {
            move_back(&self.base);
        }
    }
}
