use std::path::{Path, PathBuf};

/// A path of the pipeline file as the host opens it. A relative path is resolved against `base`, the folder of
/// the pipeline file.
#[must_use]
pub fn resolve(base: &Path, written: impl AsRef<Path>) -> PathBuf {
    let written = written.as_ref();
    let relative = written.strip_prefix(".").unwrap_or(written);
    base.join(relative)
}
