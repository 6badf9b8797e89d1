use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd as _;

use super::reply;
use crate::worker::one_shot::{OneShotError, OneShotSetup, broken, read_all};
use sage_models::{Trial, examine};
use sage_process::lockdown::forbid_new_code;

/// Descriptors: the standard streams, and its own status.
const OPEN_FILES: u64 = 8;

/// Runs `sage-host examine-model`: gives up every right that is not needed, examines the model on standard
/// input, tries it out if requested, and writes the result to standard output.
///
/// # Errors
/// Any reason why there is no reply. The caller sees that the process ended.
pub fn examine_one(order: OneShotSetup, trial: Trial) -> Result<(), OneShotError> {
    let status = File::open("/proc/self/status").map_err(broken("open its own status"))?;
    order.begin(OPEN_FILES, &[status.as_raw_fd()])?;
    forbid_new_code()?;
    let model = read_all("read the model")?;
    let outcome = examine(&model, trial, || most_memory(&status));
    reply::write(&mut io::stdout().lock(), outcome).map_err(broken("reply"))
}

/// The peak memory of this process: `VmHWM` of its status.
fn most_memory(mut status: &File) -> Option<u64> {
    let mut text = [0; 4096];
    let read = status.read(&mut text).ok()?;
    let text = std::str::from_utf8(text.get(..read)?).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}
