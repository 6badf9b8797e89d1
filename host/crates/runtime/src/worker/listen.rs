use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::process::Child;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// The output of a process until its end.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) reply: Vec<u8>,
    /// The beginning of its standard error.
    pub(super) complaint: Vec<u8>,
    pub(super) ending: Ending,
}

/// The reason why reading ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The process has ended.
    #[default]
    Ended,
    /// The process still ran at its deadline.
    TimeUp,
    /// The process wrote more than allowed.
    TooMuch,
}

/// Bytes of one read: the size of a pipe.
const PIECE: usize = 64 << 10;
/// Maximum bytes of the standard error that are kept. More would not help the reader.
const LONGEST_COMPLAINT: usize = 16 << 10;

/// Reads the output of `child` until it ends, until its deadline, or until it wrote more than `most` bytes. The
/// kernel wakes the reader for each of these events.
pub(super) fn listen(child: &mut Child, until: Instant, most: usize) -> io::Result<Heard> {
    let missing = || io::Error::other("its output is not a pipe");
    let mut stdout = child.stdout.take().ok_or_else(missing)?;
    let mut stderr = child.stderr.take().ok_or_else(missing)?;
    let process = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let mut heard = Heard::default();
    let (mut replies, mut complains) = (true, true);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            heard.ending = Ending::TimeUp;
            return Ok(heard);
        }
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        // A pipe at its end is always ready. It is no longer polled, so that this loop sleeps until the process
        // has ended.
        let mut wanted = vec![PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
        if replies {
            wanted.push(PollFd::from_borrowed_fd(stdout.as_fd(), PollFlags::IN));
        }
        if complains {
            wanted.push(PollFd::from_borrowed_fd(stderr.as_fd(), PollFlags::IN));
        }
        match poll(&mut wanted, Some(&left)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut ready = wanted.iter().map(|one| !one.revents().is_empty());
        let ended = ready.next() == Some(true);
        let replied = replies && ready.next() == Some(true);
        let complained = complains && ready.next() == Some(true);
        if replied {
            replies = take(&mut stdout, &mut heard.reply)?;
        }
        if complained {
            complains = take(&mut stderr, &mut heard.complaint)?;
            heard.complaint.truncate(LONGEST_COMPLAINT);
        }
        if heard.reply.len() > most {
            heard.ending = Ending::TooMuch;
            return Ok(heard);
        }
        // The process starts no other processes, so its pipes have no other writer, and their content is
        // complete.
        if ended && !replied && !complained {
            return Ok(heard);
        }
    }
}

/// Reads a piece. Returns `true` if there may be more.
fn take(from: &mut impl Read, into: &mut Vec<u8>) -> io::Result<bool> {
    let before = into.len();
    into.resize(before + PIECE, 0);
    let read = loop {
        match from.read(into.get_mut(before..).unwrap_or_default()) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => break result,
        }
    };
    into.truncate(before + read.as_ref().map_or(0, |read| *read));
    read.map(|read| read > 0)
}
