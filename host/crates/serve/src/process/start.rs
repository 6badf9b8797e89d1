use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use sage_jobs::{AliveLock, JobFolder};
use sage_text::plain_text;

/// Bytes of a job's standard error that a message may quote.
const WORDS: u64 = 1024;

/// Starts the process of a job's next attempt, which holds `lock` from its first moment.
///
/// # Errors
/// The process cannot be started. Then nothing holds the lock.
pub fn start_job(program: &Path, folder: &JobFolder, lock: AliveLock) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.arg("job").arg(folder.path()).stdin(lock.hand_over());
    start(command, folder, &folder.stderr())
}

/// Starts the process that checks a revision, as [`JobFolder::check_order`] says, and writes [`JobFolder::check`].
///
/// # Errors
/// The process cannot be started.
pub fn start_check(program: &Path, folder: &JobFolder, revision: u32) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.arg("check-job").arg(folder.path()).arg(revision.to_string()).stdin(Stdio::null());
    start(command, folder, &folder.revision(revision).join("check.txt"))
}

fn start(mut command: Command, folder: &JobFolder, stderr: &Path) -> io::Result<Child> {
    let stderr = OpenOptions::new().append(true).create(true).mode(0o600).open(stderr)?;
    // The words of one attempt are enough, and a restart storm must not fill the disk.
    stderr.set_len(0)?;
    // The environment of the server may have secrets, which a tenant's pipeline could read in /proc/self/environ.
    command.env_clear().envs(std::env::vars_os().filter(|(name, _)| is_passed_on(name)));
    command.current_dir(folder.path()).stdout(Stdio::null()).stderr(Stdio::from(stderr));
    // SAFETY: between fork and exec the closure makes one system call, which neither allocates nor locks.
    unsafe {
        command.pre_exec(|| rustix::process::setsid().map(drop).map_err(io::Error::from));
    }
    command.spawn()
}

/// Variables that a job reads: where its folders and libraries are, and what it logs.
const PASSED_ON: [&str; 11] = [
    "HOME",
    "PATH",
    "LANG",
    "TZ",
    "LD_LIBRARY_PATH",
    "ORT_DYLIB_PATH",
    "RUST_BACKTRACE",
    "SAGE_LOG",
    "SAGE_HOST_LEASE_FOLDER",
    "SAGE_HOST_NVML",
    "XDG_CACHE_HOME",
];

fn is_passed_on(name: &OsStr) -> bool {
    // The tests break things on purpose.
    let of_tests = name.to_str().is_some_and(|name| name.starts_with("SAGE_TEST_"));
    of_tests || PASSED_ON.iter().any(|passed| name == *passed)
}

/// How a process ended, for people.
#[must_use]
pub fn ended_with(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("its process exited with code {code}"),
        (None, Some(9)) => "its process was killed by signal 9 (out of memory?)".to_owned(),
        (None, Some(signal)) => format!("its process was killed by signal {signal}"),
        (None, None) => "its process ended".to_owned(),
    }
}

/// The last line of a process's standard error.
#[must_use]
pub fn last_words(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(WORDS))).ok()?;
    let mut bytes = Vec::new();
    file.take(WORDS).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(plain_text(line.trim()).into_owned())
}
