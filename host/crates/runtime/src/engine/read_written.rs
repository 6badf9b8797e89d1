use std::path::Path;

use super::job_error::JobError;
use sage_machine::read_plain_file;

/// Maximum bytes of a pipeline or host file. A pipeline of 100,000 stages has 10 MB.
const MOST_WRITTEN: u64 = 16 << 20;

/// Reads a pipeline or host file.
pub(super) fn read_written(path: &Path) -> Result<Vec<u8>, JobError> {
    read_plain_file(path, MOST_WRITTEN).map_err(|cause| JobError::Read { path: path.to_owned(), cause })
}
