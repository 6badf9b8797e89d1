use std::path::{Path, PathBuf};

use super::Controller;
use super::branch::Branch;
use super::control::{Composition, Controls};
use super::mounts::Version;

/// The slice in all usable hierarchies, and the available controllers.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) branches: Vec<Branch>,
    pub(super) controls: Controls,
    pub(super) composition: Composition,
}

impl Tree {
    /// The branch to which a controller's limits are written, if they hold.
    pub(super) fn branch_of(&self, controller: Controller) -> Option<&Branch> {
        let carried = || self.branches.iter().find(|branch| branch.controllers.contains(&controller));
        if self.controls.of(controller).available { carried() } else { None }
    }

    /// The v2 hierarchy. The hierarchy reports pressure even if it carries no controller.
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
