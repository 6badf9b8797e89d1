use sage_store::StoreError;

use crate::ExitCode;
use crate::failure::Failure;

/// The failure of a command because of a folder of checkpoints.
pub(super) fn of_store(error: &StoreError) -> Failure {
    let exit_code = match error {
        StoreError::InUse { .. } | StoreError::NotEnded { .. } => ExitCode::Refused,
        _ => ExitCode::InvalidUsage,
    };
    error.hint().into_iter().fold(Failure::of(exit_code, error), Failure::hint)
}
