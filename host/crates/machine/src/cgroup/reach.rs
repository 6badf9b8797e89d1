use std::fs;
use std::path::{Path, PathBuf};

use super::branch::slice_of;
use super::mounts::{self, Version};

/// The parts of the control group file systems that a process needs which may change nothing else there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CgroupReach {
    /// Folders in which it writes control files, and makes and removes groups.
    pub groups: Vec<PathBuf>,
    /// Files that it writes.
    pub files: Vec<PathBuf>,
}

impl CgroupReach {
    /// What a run needs with this slice. The slice is made if it is not there, because the folder above it is not
    /// reached.
    #[must_use]
    pub fn of(slice: Option<&str>) -> Self {
        let mut reach = Self::default();
        for hierarchy in mounts::of_this_process(Path::new("/")).unwrap_or_default() {
            let (base, slice) = slice_of(&hierarchy, slice);
            match hierarchy.version {
                // A hierarchy that cannot be written has no slice, and limits fail with their reasons.
                Version::V1 => {
                    let _ = fs::create_dir_all(&slice);
                    reach.groups.push(slice);
                    reach.files.push(hierarchy.own.join("cgroup.procs"));
                }
                // The own group hands controllers down to the slice, and has a group for supervisors.
                Version::V2 => reach.groups.push(base),
            }
        }
        reach
    }
}
