use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd as _;

use super::reply;
use crate::worker::one_shot::{OneShotError, OneShotSetup, broken, read_all};
use sage_models::{Trial, examine};
use sage_process::lockdown::forbid_new_code;

/// Descriptors: the standard streams, and its own status.
const OPEN_FILES: u64 = 8;

/// What `sage-host examine-model` does: gives up every right it does not need, looks at the model on standard input, tries it out if that is wanted, and writes
/// what it found to standard output.
///
/// # Errors
/// Whatever keeps it from replying; whoever waits for the reply sees that it ended.
pub fn examine_one(order: OneShotSetup, trial: Trial) -> Result<(), OneShotError> {
    let status = File::open("/proc/self/status").map_err(broken("open its own status"))?;
    order.begin(OPEN_FILES, &[status.as_raw_fd()])?;
    forbid_new_code()?;
    let model = read_all("read the model")?;
    let outcome = examine(&model, trial, || most_memory(&status));
    reply::write(&mut io::stdout().lock(), outcome).map_err(broken("reply"))
}

/// The most memory that this process has had: `VmHWM` of its status.
fn most_memory(mut status: &File) -> Option<u64> {
    let mut text = [0; 4096];
    let read = status.read(&mut text).ok()?;
    let text = std::str::from_utf8(text.get(..read)?).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}
