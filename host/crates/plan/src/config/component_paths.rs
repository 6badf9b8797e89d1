use std::path::{Path, PathBuf};

use super::{Pipeline, resolve};

/// The components to load before the pipeline can be validated: each path once, in the order of the file.
/// `plan::Catalog` takes this list.
#[must_use]
pub fn component_paths(pipeline: &Pipeline, base: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for component in pipeline.components() {
        let path = resolve(base, &component.path.value);
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}
