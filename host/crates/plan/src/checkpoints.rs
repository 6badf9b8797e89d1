use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{Checkpoint, Diagnostic, Diagnostics, format_duration, resolve};

/// How often the state of a run is saved, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoints {
    /// The folder of the epochs.
    pub folder: PathBuf,
    /// Time between two epochs.
    pub interval: Duration,
    /// Number of epochs that stay restorable.
    pub keep: usize,
}

impl Checkpoints {
    /// Time between two epochs, if the file does not set it.
    pub const INTERVAL: Duration = Duration::from_secs(1);
    /// Epochs that stay restorable, if the file does not set it.
    pub const KEEP: usize = 3;
    /// An epoch waits for a disk, so a shorter interval would be one after the other.
    const SHORTEST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_secs(24 * 3600);
    const MOST: u64 = 1000;

    /// The checkpoints of a pipeline file in the folder `base`.
    pub(super) fn of(written: &Checkpoint, base: &Path, errors: &mut Diagnostics) -> Self {
        if written.folder.value.is_empty() {
            let error = Diagnostic::new("folder of checkpoint is empty").on(&written.folder);
            errors.push(error.hint("name a folder for the epochs, for example \"state\""));
        }
        let interval = written.interval.as_ref();
        if let Some(interval) = interval.filter(|interval| !(Self::SHORTEST..=Self::LONGEST).contains(&interval.value))
        {
            let message = format!("interval of checkpoint is {}", format_duration(interval.value));
            errors.push(Diagnostic::new(message).on(interval).hint("10ms to 24h"));
        }
        let keep = written.keep.as_ref();
        if let Some(keep) = keep.filter(|keep| !(1..=Self::MOST).contains(&keep.value)) {
            let message = format!("keep of checkpoint is {}", keep.value);
            errors.push(Diagnostic::new(message).on(keep).hint("1 to 1000 epochs"));
        }
        Self {
            folder: resolve(base, &written.folder.value),
            interval: interval.map_or(Self::INTERVAL, |interval| interval.value),
            keep: keep.map_or(Self::KEEP, |keep| usize::try_from(keep.value).unwrap_or(Self::KEEP)),
        }
    }
}
