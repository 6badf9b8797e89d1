use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use crate::failure::Failure;

/// Size from which the file of standard error is begun anew with the next attempt.
const STDERR_BYTES: u64 = 1 << 20;

/// Takes the process out of its parent's session, and replaces its standard streams: nothing is read or written, except
/// that standard error goes to a file. Then the parent's end, or that of its terminal or pipes, changes nothing.
pub(super) fn detach(stderr: &Path) -> Result<(), Failure> {
    // A process that leads its group has a session of its own already, or keeps the one that it was started in.
    let _ = rustix::process::setsid();
    replace(stderr).map_err(|error| Failure::fault(format!("cannot replace the standard streams: {error}")))
}

fn replace(stderr: &Path) -> io::Result<()> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    // A full disk must not stop the job.
    dup2_stderr(open(stderr).unwrap_or(null))?;
    Ok(())
}

fn open(stderr: &Path) -> io::Result<File> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(stderr)?;
    if file.metadata()?.len() > STDERR_BYTES {
        file.set_len(0)?;
    }
    Ok(file)
}
