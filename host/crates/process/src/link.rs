use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

use super::mapping::{Mapping, written_here, written_there};
use super::outgoing::{Outgoing, ring_if};
use super::ring_layout::{
    ASLEEP, AWAKE, BYTES, CAPACITY, HEAD, NOW, RING, ROOM, TAIL, load, out_of_bounds, run_of, store,
};
use sage_batch::wire::{WireError, WireReader, WireWriter};

/// An end of a two-way byte stream between two processes, through two rings in shared memory.
///
/// Each side has a file that it alone writes: a page of numbers, then its outgoing ring.
///
/// ```text
/// number    written by the owner of the file
/// HEAD      total bytes that the owner has put into its own ring
/// TAIL      total bytes that the owner has taken out of the peer's ring
/// ASLEEP    AWAKE; BYTES: waits for bytes, tolerates a delay of coalesced ones; NOW: waits for any byte;
///           ROOM: waits for room in its ring
/// ```
///
/// **Trust.** The peer may write anything into its file at any time. This side compares the peer's numbers with
/// its own numbers before it uses them, and it copies bytes out before it reads them. Only the worker reads
/// requests in place, because only the host can write there.
///
/// **Waiting.** A reader waits for bytes, a writer waits for room. Before a side sleeps, it sets ASLEEP and
/// looks once more. The side that moves HEAD or TAIL reads ASLEEP afterwards and rings the sleeper's doorbell
/// (an eventfd). All of these accesses are sequentially consistent, so at least one side sees the change of the
/// other. Bytes that are sent coalesced do not wake a sleeper in BYTES; that sleep lasts 1 ms at most. The
/// death of the peer ends a wait too, if the peer's process is known, and so does the timeout.
#[derive(Debug)]
pub struct Link {
    own: Arc<Mapping>,
    peer: Arc<Mapping>,
    /// Rung by the peer, and by any other code that wants this side to look again.
    doorbell: Arc<OwnedFd>,
    peer_doorbell: Arc<OwnedFd>,
    /// Becomes readable when the peer has ended.
    peer_process: Option<Arc<OwnedFd>>,
    /// The writing half; `None` while it is lent.
    out: Option<Outgoing>,
    /// Bytes taken so far.
    tail: u64,
    /// Bytes available at the last look at the peer's HEAD, minus the bytes taken since.
    known_bytes: u64,
    timeout: Option<Duration>,
    /// Deadline of every wait, regardless of the timeout.
    until: Option<Instant>,
    /// Start of the message in flight.
    began: Instant,
    /// Duration of busy polling before a sleep. Only useful if no other thread shares the CPU.
    spin: Duration,
    /// Bytes were sent coalesced, and no later call has woken the peer.
    quiet: Arc<AtomicBool>,
}

/// The descriptors of the worker's end of a link.
#[derive(Debug)]
pub struct FarEnd {
    /// The file that the worker writes.
    pub own: OwnedFd,
    /// The host writes this one.
    pub peer: OwnedFd,
    /// The host rings it when the worker waits.
    pub doorbell: OwnedFd,
    /// The worker rings it when the host waits.
    pub peer_doorbell: OwnedFd,
}

/// Maximum bytes that are read in place: half of the ring, so that its writer has room for the next message.
const LONGEST_VIEW: usize = CAPACITY as usize / 2;

/// Maximum duration of a whole message, as a multiple of the timeout. Without this limit, a message that
/// trickles could hold its reader for ever.
const WHOLE: u32 = 10;

/// Maximum delay of bytes that were sent coalesced.
const LENIENCE: Duration = Duration::from_millis(1);

impl Link {
    /// Makes both ends. The far end is for an untrusted process.
    ///
    /// # Errors
    /// The kernel has no more memory or descriptors.
    pub fn pair() -> io::Result<(Self, FarEnd)> {
        let (request, own) = written_here("sage-requests", RING, CAPACITY as usize)?;
        let (response, peer) = written_there("sage-answers", RING, CAPACITY as usize)?;
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let (near, far) = (eventfd(0, flags)?, eventfd(0, flags)?);
        let far_end =
            FarEnd { own: response, peer: request, doorbell: far.try_clone()?, peer_doorbell: near.try_clone()? };
        Ok((Self::new(own, peer, near, far), far_end))
    }

    /// Opens the worker's end. `spin` is the duration of busy polling before a sleep. A `spin` above zero is
    /// only useful if no other thread shares the CPU.
    ///
    /// # Errors
    /// A file cannot be mapped.
    pub fn far(end: FarEnd, spin: Duration) -> io::Result<Self> {
        let ring = CAPACITY as usize;
        let (own, peer) = (Mapping::of(&end.own, RING, ring, true)?, Mapping::of(&end.peer, RING, ring, false)?);
        Ok(Self { spin, ..Self::new(own, peer, end.doorbell, end.peer_doorbell) })
    }

    fn new(own: Mapping, peer: Mapping, doorbell: OwnedFd, peer_doorbell: OwnedFd) -> Self {
        let (own, peer, peer_doorbell, quiet) =
            (Arc::new(own), Arc::new(peer), Arc::new(peer_doorbell), Arc::default());
        let out = Outgoing::new(Arc::clone(&own), Arc::clone(&peer), Arc::clone(&peer_doorbell), Arc::clone(&quiet));
        Self {
            own,
            peer,
            doorbell: Arc::new(doorbell),
            peer_doorbell,
            peer_process: None,
            out: Some(out),
            tail: 0,
            known_bytes: 0,
            timeout: None,
            until: None,
            began: Instant::now(),
            spin: Duration::ZERO,
            quiet,
        }
    }

    /// Lends the writing half to another thread. Returns `None` if it is lent already. This side cannot write
    /// until the half is [given back](Link::give_back).
    pub fn lend(&mut self) -> Option<Outgoing> {
        self.out.take()
    }

    /// Takes the writing half back.
    pub fn give_back(&mut self, out: Outgoing) {
        self.out = Some(out);
    }

    /// The doorbell that wakes this side.
    pub fn doorbell(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.doorbell)
    }

    /// Sets the process at the other end, so that its death ends a wait.
    pub fn watch(&mut self, process: Arc<OwnedFd>) {
        self.peer_process = Some(process);
    }

    /// Starts the clock of a message, incoming or outgoing.
    pub fn begin(&mut self) {
        self.began = Instant::now();
    }

    /// Sets the timeout of each wait. A whole message may take ten times the timeout. `None` means no timeout.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }

    /// Sets a deadline for all later waits. `None` means no deadline.
    pub fn set_deadline(&mut self, until: Option<Instant>) {
        self.until = until;
    }

    /// Makes all written bytes visible to the peer and wakes it.
    pub fn send(&self) {
        if let Some(out) = &self.out {
            out.send();
        }
    }

    /// Returns the ring space of all bytes read so far to the peer.
    pub fn taken(&self) {
        store(&self.own, TAIL, self.tail);
        self.wake(&[ROOM]);
    }

    /// Returns `true` if bytes are available, or if the next read fails.
    pub fn has_bytes(&self) -> bool {
        self.bytes().map_or(true, |bytes| bytes > 0)
    }

    /// Waits for the next `len` bytes and returns them in place. They stay valid until [`Link::taken`]. `None`
    /// means that `len` is more than can be read in place.
    ///
    /// # Errors
    /// The same errors as a read.
    ///
    /// # Safety
    /// The peer must not change sent bytes until they are taken.
    pub unsafe fn view(&mut self, len: usize) -> Result<Option<&[u8]>, WireError> {
        if len > LONGEST_VIEW {
            return Ok(None);
        }
        self.wait(BYTES, |link| Ok(link.bytes()?.checked_sub(len as u64).map_or(0, |more| more + 1)))?;
        let (at, _) = run_of(self.tail, len as u64, len);
        self.move_tail(len as u64);
        // SAFETY: the bytes were sent and are not taken. The caller promises that the peer does not change
        // them.
        unsafe { self.peer.bytes(at, len) }.ok_or_else(out_of_bounds).map(Some)
    }

    /// Makes all written bytes visible to the peer without waking it from a light sleep. The peer may sleep
    /// until more is sent, or until this side waits.
    pub fn send_coalesced(&self) {
        if let Some(out) = &self.out {
            out.send_coalesced();
        }
    }

    fn room(&self) -> Result<u64, WireError> {
        self.out.as_ref().ok_or_else(lent)?.room()
    }

    fn bytes(&self) -> Result<u64, WireError> {
        let bytes = load(&self.peer, HEAD).wrapping_sub(self.tail);
        if bytes > CAPACITY {
            return Err(WireError::broken(format!("the ring's writer claims {bytes} bytes in a ring of {CAPACITY}")));
        }
        Ok(bytes)
    }

    /// Wakes the peer if it sleeps in one of the states `waits_for`.
    fn wake(&self, waits_for: &[u64]) {
        ring_if(&self.peer, &self.peer_doorbell, waits_for);
    }

    /// Waits until bytes are available, the doorbell is rung for another reason, or `most` has passed. No
    /// answer is due, so the timeout does not apply.
    ///
    /// # Errors
    /// The peer died, or its numbers are impossible.
    pub fn doze(&self, most: Duration) -> Result<(), WireError> {
        for (lightly, most) in [(true, most.min(LENIENCE)), (false, most.saturating_sub(LENIENCE))] {
            let woken = if self.arm(lightly) { Ok(true) } else { self.nap(Some(most)) };
            store(&self.own, ASLEEP, AWAKE);
            // Bytes that the peer sent before its death still count.
            if self.bytes()? > 0 || woken? {
                break;
            }
        }
        Ok(())
    }

    /// Declares that this side sleeps at its doorbell from now on. If `lightly` is set, coalesced bytes do not
    /// wake it. Returns `true` if bytes are available already.
    pub fn arm(&self, lightly: bool) -> bool {
        self.wake_for_quiet();
        store(&self.own, ASLEEP, if lightly { BYTES } else { NOW });
        self.has_bytes()
    }

    /// Declares that this side is awake. Returns `true` if its doorbell was rung.
    pub fn disarm(&self) -> bool {
        store(&self.own, ASLEEP, AWAKE);
        rustix::io::read(&*self.doorbell, &mut [0; 8]).is_ok()
    }

    /// The doorbell of this side, and the process of the peer if it is known.
    pub fn wakers(&self) -> (BorrowedFd<'_>, Option<BorrowedFd<'_>>) {
        (self.doorbell.as_fd(), self.peer_process.as_ref().map(|process| process.as_fd()))
    }

    /// Returns an error if the timeout has passed since `since`.
    pub fn is_overdue(&self, since: Instant) -> Option<WireError> {
        let timeout = self.timeout.filter(|timeout| since.elapsed() >= *timeout)?;
        Some(WireError::Overdue(milliseconds(timeout)))
    }

    /// Wakes the peer for the bytes that were sent coalesced, because this side sends no more for now.
    fn wake_for_quiet(&self) {
        if self.quiet.swap(false, Ordering::Relaxed) {
            self.wake(&[BYTES, NOW]);
        }
    }

    /// Waits until `how_many` is above 0, and returns its value.
    fn wait(&self, waits_for: u64, how_many: impl Fn(&Self) -> Result<u64, WireError>) -> Result<u64, WireError> {
        let started = Instant::now();
        let mut lenience = waits_for == BYTES;
        loop {
            let found = how_many(self)?;
            if found > 0 {
                return Ok(found);
            }
            self.wake_for_quiet();
            if started.elapsed() < self.spin {
                std::hint::spin_loop();
                continue;
            }
            let state = if waits_for == BYTES && !lenience { NOW } else { waits_for };
            store(&self.own, ASLEEP, state);
            let most = std::mem::take(&mut lenience).then_some(LENIENCE);
            let woken = match how_many(self) {
                Ok(0) => self.sleep(started, most).map(|_| ()),
                Ok(_) => Ok(()),
                Err(error) => Err(error),
            };
            store(&self.own, ASLEEP, AWAKE);
            if let Err(error) = woken {
                // Bytes that the peer sent before its death still count.
                let found = how_many(self)?;
                return if found > 0 { Ok(found) } else { Err(error) };
            }
        }
    }

    /// Sleeps until the doorbell rings, the peer dies, or one of `most`, the timeout and the deadline has
    /// passed. Returns `true` if the doorbell rang.
    fn sleep(&self, started: Instant, most: Option<Duration>) -> Result<bool, WireError> {
        let left = match self.timeout {
            None => None,
            Some(timeout) => {
                let whole = timeout.saturating_mul(WHOLE);
                let left =
                    whole.checked_sub(self.began.elapsed()).ok_or_else(|| WireError::Slow(milliseconds(whole)))?;
                let now = timeout.checked_sub(started.elapsed());
                Some(now.ok_or_else(|| WireError::Overdue(milliseconds(timeout)))?.min(left))
            }
        };
        let before = match self.until {
            None => None,
            Some(until) => {
                let before = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero());
                Some(before.ok_or_else(|| WireError::Overdue(milliseconds(self.began.elapsed())))?)
            }
        };
        self.nap([left, before, most].into_iter().flatten().min())
    }

    /// Sleeps until the doorbell rings, the peer dies, or `most` has passed. Returns `true` if the doorbell
    /// rang.
    fn nap(&self, most: Option<Duration>) -> Result<bool, WireError> {
        let timeout = most.map(|left| rustix::event::Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        });
        let doorbell = PollFd::from_borrowed_fd(self.doorbell.as_fd(), PollFlags::IN);
        let died = match &self.peer_process {
            None => poll(&mut [doorbell], timeout.as_ref()).map(|_| false),
            Some(process) => {
                let mut both = [doorbell, PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
                poll(&mut both, timeout.as_ref()).map(|_| {
                    let [_, process] = &both;
                    !process.revents().is_empty()
                })
            }
        };
        // A failed read means that the process ended, a signal came, or the time is over.
        let rang = rustix::io::read(&self.doorbell, &mut [0; 8]).is_ok();
        match died {
            Ok(true) => Err(WireError::Gone),
            Ok(false) | Err(rustix::io::Errno::INTR) => Ok(rang),
            Err(error) => Err(WireError::broken(format!("cannot wait for the other side: {error}"))),
        }
    }

    fn read_into(&mut self, mut into: &mut [MaybeUninit<u8>]) -> Result<(), WireError> {
        while !into.is_empty() {
            if self.known_bytes < into.len() as u64 {
                self.known_bytes = self.bytes()?;
            }
            if self.known_bytes == 0 {
                self.taken();
                self.known_bytes = self.wait(BYTES, Self::bytes)?;
            }
            let (at, run) = run_of(self.tail, self.known_bytes, into.len());
            let (now, rest) = into.split_at_mut_checked(run).ok_or_else(out_of_bounds)?;
            if !self.peer.copy_out(at, now) {
                return Err(out_of_bounds());
            }
            self.move_tail(run as u64);
            into = rest;
        }
        Ok(())
    }

    fn move_tail(&mut self, by: u64) {
        self.tail = self.tail.wrapping_add(by);
        self.known_bytes = self.known_bytes.saturating_sub(by);
    }
}

impl WireWriter for Link {
    fn put(&mut self, mut bytes: &[u8]) -> Result<(), WireError> {
        while !bytes.is_empty() {
            let written = self.out.as_mut().ok_or_else(lent)?.put_some(bytes)?;
            bytes = bytes.get(written..).ok_or_else(out_of_bounds)?;
            if written == 0 {
                self.send();
                self.wait(ROOM, Self::room)?;
            }
        }
        Ok(())
    }

    #[inline]
    fn put_number(&mut self, number: u64) -> Result<(), WireError> {
        if self.out.as_mut().is_some_and(|out| out.put_number_now(number)) {
            return Ok(());
        }
        self.put(&number.to_le_bytes())
    }
}

impl WireReader for Link {
    #[inline]
    fn get_number(&mut self) -> Result<u64, WireError> {
        let mut number = [0; 8];
        let (at, _) = run_of(self.tail, self.known_bytes, 8);
        if self.known_bytes >= 8 && self.peer.copy_out_number(at, &mut number) {
            self.move_tail(8);
        } else {
            self.get(&mut number)?;
        }
        Ok(u64::from_le_bytes(number))
    }

    fn get(&mut self, into: &mut [u8]) -> Result<(), WireError> {
        let len = into.len();
        // SAFETY: initialised bytes are viewed as possibly uninitialised bytes. `read_into` only writes
        // initialised bytes.
        self.read_into(unsafe { std::slice::from_raw_parts_mut(into.as_mut_ptr().cast(), len) })
    }

    fn append(&mut self, bytes: usize, into: &mut Vec<u8>) -> Result<(), WireError> {
        into.try_reserve(bytes).map_err(|_| WireError::broken(format!("no memory for {bytes} bytes of a message")))?;
        let before = into.len();
        let room = into.spare_capacity_mut().get_mut(..bytes).ok_or_else(out_of_bounds)?;
        self.read_into(room)?;
        // SAFETY: `read_into` returned Ok, so it initialised these bytes. They were reserved above.
        unsafe { into.set_len(before + bytes) };
        Ok(())
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The error of a write while the writing half is lent.
#[cold]
fn lent() -> WireError {
    WireError::broken("the writing half of the link is lent")
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
