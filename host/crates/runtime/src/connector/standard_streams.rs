use std::sync::atomic::{AtomicU8, Ordering};

use rustix::fs::{OFlags, fcntl_getfl};

use super::ConnectorError;

/// Bit n: descriptor n was closed when the process began.
static CLOSED: AtomicU8 = AtomicU8::new(0);

/// Notes which of standard input, output and error are closed. Must be called before `main`, because the
/// standard library then opens `/dev/null` in place of each closed stream. No file of the run can then get such
/// a descriptor number, but bytes written there are lost silently.
pub extern "C" fn note_closed_streams() {
    for descriptor in 0..3u8 {
        // SAFETY: the call asks for the flags of a descriptor and touches no memory; a descriptor that is not
        // open gives an error. The functions of rustix accept only open descriptors.
        let flags = unsafe { libc::fcntl(i32::from(descriptor), libc::F_GETFD) };
        if flags == -1 {
            CLOSED.fetch_or(1 << descriptor, Ordering::Relaxed);
        }
    }
}

fn was_closed(descriptor: u8) -> bool {
    CLOSED.load(Ordering::Relaxed) & (1 << descriptor) != 0
}

/// Checks that standard output can be written to.
///
/// # Errors
/// Standard output is closed, or open for reading only. Records would be lost.
pub fn require_output() -> Result<(), ConnectorError> {
    if was_closed(1) {
        return Err(ConnectorError::new("standard output is closed")
            .hint("leave >&- out, or write >/dev/null to throw it away"));
    }
    match fcntl_getfl(rustix::stdio::stdout()) {
        Ok(flags) if flags & OFlags::RWMODE == OFlags::RDONLY => {
            Err(ConnectorError::new("standard output is open for reading only"))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(ConnectorError::caused("standard output cannot be written to", error.into())),
    }
}

/// Checks that standard input can be read.
///
/// # Errors
/// Standard input is closed, or open for writing only.
pub(super) fn require_input() -> Result<(), ConnectorError> {
    if was_closed(0) {
        return Err(
            ConnectorError::new("standard input is closed").hint("leave <&- out, or write </dev/null for no records")
        );
    }
    match fcntl_getfl(rustix::stdio::stdin()) {
        Ok(flags) if flags & OFlags::RWMODE == OFlags::WRONLY => {
            Err(ConnectorError::new("standard input is open for writing only"))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(ConnectorError::caused("standard input cannot be read", error.into())),
    }
}
