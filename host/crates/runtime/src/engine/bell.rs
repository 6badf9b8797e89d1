use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// A descriptor that becomes readable once, for good. A thread that sleeps at descriptors notices it at once.
#[derive(Debug)]
pub(super) struct Bell(Option<OwnedFd>);

/// Longest sleep without a bell, which this process could not make: until a drain or a stop is noticed.
const WITHOUT: Duration = Duration::from_millis(50);

impl Bell {
    pub(super) fn new() -> Self {
        let made = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        Self(made.inspect_err(|error| tracing::debug!(%error, "a run looks for its end from time to time")).ok())
    }

    pub(super) fn ring(&self) {
        if let Some(bell) = &self.0 {
            // The counter of the bell cannot overflow, because a run rings it a few times.
            let _ = rustix::io::write(bell, &1_u64.to_ne_bytes());
        }
    }

    /// The descriptor; `None` if it could not be made.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(AsFd::as_fd)
    }

    /// Shortens a sleep at the bell if there is no bell.
    pub(super) fn shorten(&self, most: Option<Duration>) -> Option<Duration> {
        if self.0.is_some() { most } else { Some(most.map_or(WITHOUT, |most| most.min(WITHOUT))) }
    }

    /// Sleeps until the file is readable or the bell has rung, or for `most`.
    pub(super) fn sleep_at(&self, file: &File, most: Option<Duration>) {
        let file = file.as_fd();
        let watched = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
        let mut watched: Vec<PollFd<'_>> = std::iter::once(file).chain(self.fd()).map(watched).collect();
        // An interrupted sleep and a failed one end early, after which the caller looks at both.
        let _ = poll(&mut watched, self.shorten(most).and_then(|most| timespec(most).ok()).as_ref());
    }
}

/// A time in the form of the kernel.
pub(super) fn timespec(time: Duration) -> io::Result<Timespec> {
    Timespec::try_from(time).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_ends_with_input_or_with_the_bell() {
        let (reader, mut writer) = io::pipe().unwrap();
        let reader = File::from(OwnedFd::from(reader));
        let bell = Bell::new();
        io::Write::write_all(&mut writer, b"x").unwrap();
        bell.sleep_at(&reader, None);
        let mut byte = [0];
        io::Read::read_exact(&mut &reader, &mut byte).unwrap();
        bell.ring();
        bell.ring();
        bell.sleep_at(&reader, None);
        bell.sleep_at(&reader, None);
    }
}
