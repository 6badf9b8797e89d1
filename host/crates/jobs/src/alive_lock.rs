use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Stdio;

use rustix::fs::{FlockOperation, OFlags, flock, fstat, stat};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use crate::error::{JobError, failed};

/// The lock that a job's process holds for its whole life. The kernel releases it with the process, however that
/// ends, so it is the only proof that a job is alive.
///
/// The server takes the lock before it starts the process, and passes the open file on as the process's standard input.
/// So there is no moment at which the process exists and the lock is free.
///
/// The file is never removed while its job exists: a second process could lock its successor.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct AliveLock {
    /// `None` after [`AliveLock::hand_over`].
    file: Option<File>,
}

impl AliveLock {
    /// Takes the lock. The descriptor is closed in programs that this process starts.
    ///
    /// # Errors
    /// [`JobError::Alive`] if another process holds it; errors of the file.
    pub fn take(path: &Path) -> Result<Self, JobError> {
        lock(open(path)?, path)
    }

    /// Takes the lock that the server passed to this process as its standard input, which becomes `/dev/null`. A
    /// process that was started in another way takes the lock itself.
    ///
    /// # Errors
    /// Like [`AliveLock::take`].
    pub fn take_inherited(path: &Path) -> Result<Self, JobError> {
        let stdin = rustix::stdio::stdin();
        let is_passed_on = match (fstat(stdin), stat(path)) {
            (Ok(input), Ok(file)) => (input.st_dev, input.st_ino) == (file.st_dev, file.st_ino),
            _ => false,
        };
        if !is_passed_on {
            return Self::take(path);
        }
        // The copy is closed in programs that this process starts; the standard input would not be.
        let copy = fcntl_dupfd_cloexec(stdin, 3).map_err(|error| failed("keep", path)(error.into()))?;
        let null = Path::new("/dev/null");
        let nothing = File::open(null).map_err(failed("open", null))?;
        rustix::stdio::dup2_stdin(&nothing).map_err(|error| failed("open", null)(error.into()))?;
        lock(File::from(copy), path)
    }

    /// The lock as the standard input of a program that is started next. That program holds it from its first moment,
    /// and this process does not hold it any longer than until the program has been started.
    pub fn hand_over(mut self) -> Stdio {
        self.file.take().map_or_else(Stdio::null, Stdio::from)
    }

    /// Whether a process holds the lock. The lock is shared for a moment to find out, which a job that is started at
    /// that moment without [`AliveLock::hand_over`] takes for another attempt.
    ///
    /// # Errors
    /// Errors of the file, but for its absence: a job that never began is not alive.
    pub fn is_held(path: &Path) -> Result<bool, JobError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(failed("read", path)(error)),
        };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(false),
            Err(Errno::WOULDBLOCK) => Ok(true),
            Err(error) => Err(failed("lock", path)(error.into())),
        }
    }

    /// Waits until no process holds the lock.
    ///
    /// # Errors
    /// Errors of the file.
    pub fn wait(path: &Path) -> Result<(), JobError> {
        let file = open(path)?;
        loop {
            match flock(&file, FlockOperation::LockShared) {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(failed("lock", path)(error.into())),
            }
        }
    }
}

impl Drop for AliveLock {
    fn drop(&mut self) {
        // A child that was forked meanwhile may still have the descriptor.
        if let Some(file) = &self.file {
            let _ = flock(file, FlockOperation::Unlock);
        }
    }
}

fn lock(file: File, path: &Path) -> Result<AliveLock, JobError> {
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(AliveLock { file: Some(file) }),
        Err(Errno::WOULDBLOCK) => Err(JobError::Alive { path: path.parent().unwrap_or(path).to_owned() }),
        Err(error) => Err(failed("lock", path)(error.into())),
    }
}

fn open(path: &Path) -> Result<File, JobError> {
    let flags = OFlags::NOFOLLOW.bits().cast_signed();
    let mut options = OpenOptions::new();
    let opened = options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags).open(path);
    opened.map_err(failed("open", path))
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use super::*;

    /// A process that is being started has every descriptor of this one for a moment, and so the locks of other tests.
    static ALONE: Mutex<()> = Mutex::new(());

    fn alone() -> MutexGuard<'static, ()> {
        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[test]
    fn a_job_is_alive_exactly_as_long_as_its_lock_is_held() {
        let _alone = alone();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alive.lock");
        assert!(!AliveLock::is_held(&path).unwrap(), "a job that never began");
        let lock = AliveLock::take(&path).unwrap();
        assert!(AliveLock::is_held(&path).unwrap());
        let second = AliveLock::take(&path).unwrap_err();
        assert!(matches!(second, JobError::Alive { .. }), "{second}");
        drop(lock);
        assert!(!AliveLock::is_held(&path).unwrap());
        AliveLock::wait(&path).unwrap();
        drop(AliveLock::take(&path).unwrap());
    }

    #[test]
    fn a_lock_that_is_handed_over_is_held_from_the_start_of_the_program_to_its_end() {
        let _alone = alone();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alive.lock");
        let lock = AliveLock::take(&path).unwrap();
        let mut program = std::process::Command::new("cat");
        // A pipe that nobody reads keeps it from ending.
        let mut child = program.arg("/dev/zero").stdin(lock.hand_over()).stdout(Stdio::piped()).spawn().unwrap();
        drop(program);
        assert!(AliveLock::is_held(&path).unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!AliveLock::is_held(&path).unwrap());
    }
}
