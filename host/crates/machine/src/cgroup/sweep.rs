use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::cpu_lease::Hold;
use super::canary::CANARY;
use super::claim::{Claim, Claimed};
use super::tree::Tree;
use super::{CgroupError, empty};

/// The leftovers of ended supervisors that were removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Groups removed.
    pub groups: usize,
    /// Processes killed. Workers outlive their supervisor only if they were stopped or waited in the kernel.
    pub processes: usize,
}

/// Removes everything in the slice that no living process holds.
pub(super) fn slice(tree: &Tree) -> Result<Swept, CgroupError> {
    let mut swept = Swept::default();
    let mut outcome = Ok(());
    let Some(first) = tree.branches.first() else { return Ok(swept) };
    for tenant in empty::groups_in(&first.slice) {
        let Some(name) = tenant.file_name() else { continue };
        let result = if is_canary(name) {
            group(tree, Path::new(name), &mut swept)
        } else {
            pipelines_of(tree, Path::new(name), &mut swept)
        };
        outcome = outcome.and(result);
    }
    outcome.map(|()| swept)
}

fn is_canary(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with(CANARY)
}

fn pipelines_of(tree: &Tree, tenant: &Path, swept: &mut Swept) -> Result<(), CgroupError> {
    let mut outcome = Ok(());
    for pipeline in tree.folders(tenant).first().map(|folder| empty::groups_in(folder)).unwrap_or_default() {
        if let Some(name) = pipeline.file_name() {
            outcome = outcome.and(group(tree, &tenant.join(name), swept));
        }
    }
    let folders = tree.folders(tenant);
    let empty = folders.iter().all(|folder| empty::groups_in(folder).is_empty());
    outcome.and_then(|()| if empty { group(tree, tenant, swept) } else { Ok(()) })
}

/// Removes a group and everything in it, unless a process holds it.
fn group(tree: &Tree, below: &Path, swept: &mut Swept) -> Result<(), CgroupError> {
    let folders: Vec<PathBuf> = tree.folders(below);
    let Some(first) = folders.first() else { return Ok(()) };
    // The claim is held until the group is removed, so that no process begins to use the group in the
    // meantime.
    let Claimed::Ours(_claim) = Claim::take(first, Hold::Alone)? else { return Ok(()) };
    let (groups, processes) = empty::remove_trees(&folders)?;
    swept.groups += groups;
    swept.processes += processes;
    Ok(())
}
