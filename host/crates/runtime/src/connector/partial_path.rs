use std::path::{Path, PathBuf};

use super::ConnectorError;
use sage_text::plain_path;

/// The path of an output until it is complete.
pub(super) fn partial_path(path: &Path) -> PathBuf {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    partial.into()
}

/// Checks that a file at the place of the temporary output is the leftover of a run.
pub(super) fn require_leftover(is_file: bool, partial: &Path) -> Result<(), ConnectorError> {
    if is_file {
        return Ok(());
    }
    Err(ConnectorError::new(format!("\"{}\" is not a regular file: it is no leftover of a run", plain_path(partial)))
        .hint("the sink writes its unfinished output there: move it away, or give the sink another path"))
}
