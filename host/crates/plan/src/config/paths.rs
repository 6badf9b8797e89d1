use std::path::{Path, PathBuf};

use super::Pipeline;

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

/// A path of the pipeline file as the host opens it. A relative path is resolved against `base`, the folder of
/// the pipeline file.
#[must_use]
pub fn resolve(base: &Path, written: &str) -> PathBuf {
    let written = Path::new(written);
    let relative = written.strip_prefix(".").unwrap_or(written);
    base.join(relative)
}
