use std::io;
use std::os::fd::RawFd;

use super::error::LockdownError;

/// Closes every descriptor except those in `keep`, including any that the parent forgot to mark close-on-exec.
pub(super) fn close_all_but(keep: &[RawFd]) -> Result<(), LockdownError> {
    let mut keep: Vec<u32> = keep.iter().filter_map(|&fd| u32::try_from(fd).ok()).collect();
    keep.sort_unstable();
    keep.dedup();
    let mut first = 0;
    for fd in keep {
        if fd > first {
            close_range(first, fd - 1)?;
        }
        first = fd + 1;
    }
    close_range(first, u32::MAX)
}

fn close_range(first: u32, last: u32) -> Result<(), LockdownError> {
    // SAFETY: the caller of `Lockdown::before_threads` promises that this process uses no descriptor that was
    // not named. Safe code cannot close a descriptor that this process did not open, and this function exists
    // for such descriptors.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if result == 0 {
        return Ok(());
    }
    Err(LockdownError::step("close the descriptors it was not given")(io::Error::last_os_error()))
}
