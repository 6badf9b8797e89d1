use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

use super::mapping::{Mapping, written_here, written_there};
use super::outgoing::{Outgoing, ring_if};
use sage_batch::wire::{WireError, WireReader, WireWriter};

/// One end of a two-way stream of bytes between two processes, through two rings in shared memory.
///
/// Each side has a file that it alone writes: a page with numbers, then its outgoing ring.
///
/// ```text
/// number    written by its owner
/// HEAD      how many bytes it has put into its own ring, ever
/// TAIL      how many bytes it has taken out of the other's ring, ever
/// ASLEEP    AWAKE; BYTES: waits for bytes, also for some that come coalesced a moment later; NOW: waits for any byte;
///           ROOM: waits for room in its ring
/// ```
///
/// **Trust.** The other side may write anything there at any time. Its numbers are compared with one's own before they are used, and
/// bytes are copied out before anybody looks at them. Only the worker looks at requests in place: nobody but the host can write there.
///
/// **Who waits for whom.** A reader waits for bytes, a writer for room. Before it sleeps it says so in ASLEEP and looks once more;
/// whoever moves HEAD or TAIL looks at ASLEEP afterwards and rings the sleeper's doorbell (an eventfd). All of this is sequentially
/// consistent, so one of the two sees the other. Bytes that are sent coalesced do not wake who sleeps in BYTES, which is
/// for 1 ms only. A peer that dies ends a wait too, where its process is known, and so does timeout.
#[derive(Debug)]
pub struct Link {
    own: Arc<Mapping>,
    peer: Arc<Mapping>,
    /// Rung by the peer, and by whoever else wants this side to look up.
    doorbell: Arc<OwnedFd>,
    peer_doorbell: Arc<OwnedFd>,
    /// Readable when the peer has ended.
    peer_process: Option<Arc<OwnedFd>>,
    /// The writing half, unless it is lent.
    out: Option<Outgoing>,
    /// Bytes that were taken.
    tail: u64,
    /// How many bytes were there when that was last looked at, less those taken since.
    known_bytes: u64,
    timeout: Option<Duration>,
    /// When nothing is waited for any more, however patient.
    until: Option<Instant>,
    /// When the message under way began.
    began: Instant,
    /// How long to look before going to sleep: only where the CPU is nobody else's.
    spin: Duration,
    /// Something was sent coalesced, and nothing since that wakes the peer.
    quiet: Arc<AtomicBool>,
}

/// What the worker's end of a link is made of.
#[derive(Debug)]
pub struct FarEnd {
    /// The worker writes this one.
    pub own: OwnedFd,
    /// The host writes this one.
    pub peer: OwnedFd,
    /// The host rings it when the worker waits.
    pub doorbell: OwnedFd,
    /// The worker rings it when the host waits.
    pub peer_doorbell: OwnedFd,
}

pub(crate) const HEAD: usize = 0;
pub(crate) const TAIL: usize = 64;
pub(crate) const ASLEEP: usize = 128;
/// Where the ring begins.
const RING: usize = 4096;
/// A power of two, so that places in the ring are a mask away. Holds some batches of 64 KiB on their way; larger messages go through in
/// pieces.
pub const CAPACITY: u64 = 1 << 20;

/// The longest run that is looked at in place: half of the ring, so that its writer finds room for the next one.
const LONGEST_VIEW: usize = CAPACITY as usize / 2;

/// How many times one's timeout a whole message may take: one that trickles would be waited for as long as its sender likes.
const WHOLE: u32 = 10;

const AWAKE: u64 = 0;
pub(crate) const BYTES: u64 = 1;
const ROOM: u64 = 2;
pub(crate) const NOW: u64 = 3;

/// How long bytes that were sent coalesced may go unseen.
const LENIENCE: Duration = Duration::from_millis(1);

impl Link {
    /// Makes both ends. The far one is for a process that is trusted with nothing.
    ///
    /// # Errors
    /// When the kernel gives no more memory or descriptors.
    pub fn pair() -> io::Result<(Self, FarEnd)> {
        let (request, own) = written_here("sage-requests", RING, CAPACITY as usize)?;
        let (response, peer) = written_there("sage-answers", RING, CAPACITY as usize)?;
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let (near, far) = (eventfd(0, flags)?, eventfd(0, flags)?);
        let far_end =
            FarEnd { own: response, peer: request, doorbell: far.try_clone()?, peer_doorbell: near.try_clone()? };
        Ok((Self::new(own, peer, near, far), far_end))
    }

    /// The worker's end. `spin` is how long to look for bytes before sleeping: only where the CPU is nobody else's.
    ///
    /// # Errors
    /// When the files cannot be mapped.
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

    /// The writing half, for another thread to write with, if it is here. Until it is [given back](Link::give_back) nothing can be written here.
    pub fn lend(&mut self) -> Option<Outgoing> {
        self.out.take()
    }

    /// Takes the writing half back.
    pub fn give_back(&mut self, out: Outgoing) {
        self.out = Some(out);
    }

    /// What wakes this side where it waits.
    pub fn doorbell(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.doorbell)
    }

    /// Says which process is at the other end, so that its death is noticed.
    pub fn watch(&mut self, process: Arc<OwnedFd>) {
        self.peer_process = Some(process);
    }

    /// A message begins, in or out: from now on counts how long the whole of it takes.
    pub fn begin(&mut self) {
        self.began = Instant::now();
    }

    /// How long to wait for the other side at a time from now on, and ten times that for a message; `None` is for ever.
    pub fn set_patience(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }

    /// Until when to wait for the other side from now on; `None` sets no such end.
    pub fn set_deadline(&mut self, until: Option<Instant>) {
        self.until = until;
    }

    /// Makes what was written visible to the other side.
    pub fn send(&self) {
        if let Some(out) = &self.out {
            out.send();
        }
    }

    /// Gives the ring's bytes that were read back to the other side.
    pub fn taken(&self) {
        store(&self.own, TAIL, self.tail);
        self.wake(&[ROOM]);
    }

    /// Whether bytes wait, or reading would say what is wrong.
    pub fn has_bytes(&self) -> bool {
        self.bytes().map_or(true, |bytes| bytes > 0)
    }

    /// The next `len` bytes where they lie, once they are there; they stay until [`Link::taken`]. `None`: they are more than may lie
    /// there at a time.
    ///
    /// # Errors
    /// As for reading.
    ///
    /// # Safety
    /// The other side must be one that leaves alone what it has sent, until it was taken.
    pub unsafe fn view(&mut self, len: usize) -> Result<Option<&[u8]>, WireError> {
        if len > LONGEST_VIEW {
            return Ok(None);
        }
        self.wait(BYTES, |link| Ok(link.bytes()?.checked_sub(len as u64).map_or(0, |more| more + 1)))?;
        let (at, _) = run_of(self.tail, len as u64, len);
        self.move_tail(len as u64);
        // SAFETY: the bytes were sent and are not taken: the caller promises that they are left alone.
        unsafe { self.peer.bytes(at, len) }.ok_or_else(out_of_bounds).map(Some)
    }

    /// Makes what was written visible to the other side, and lets it sleep until more is sent, or until this side waits for anything.
    pub fn send_quietly(&self) {
        if let Some(out) = &self.out {
            out.send_quietly();
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

    /// Wakes the other side where it waits for one of these.
    fn wake(&self, waits_for: &[u64]) {
        ring_if(&self.peer, &self.peer_doorbell, waits_for);
    }

    /// Waits until bytes are there, this side's doorbell is rung for another reason, or `most` is over. Nothing is due, so timeout has no part in it.
    ///
    /// # Errors
    /// The other side died, or claims what cannot be.
    pub fn doze(&self, most: Duration) -> Result<(), WireError> {
        for (lightly, most) in [(true, most.min(LENIENCE)), (false, most.saturating_sub(LENIENCE))] {
            let woken = if self.arm(lightly) { Ok(true) } else { self.nap(Some(most)) };
            store(&self.own, ASLEEP, AWAKE);
            // What it sent before it died counts.
            if self.bytes()? > 0 || woken? {
                break;
            }
        }
        Ok(())
    }

    /// Says that this side sleeps from now on, at its doorbell: `lightly`, so that what comes coalesced does not wake it. `true`: bytes are there already.
    pub fn arm(&self, lightly: bool) -> bool {
        self.wake_for_quiet();
        store(&self.own, ASLEEP, if lightly { BYTES } else { NOW });
        self.has_bytes()
    }

    /// Says that this side sleeps no longer. Whether its doorbell was rung.
    pub fn disarm(&self) -> bool {
        store(&self.own, ASLEEP, AWAKE);
        rustix::io::read(&*self.doorbell, &mut [0; 8]).is_ok()
    }

    /// This side's doorbell, and the other side's process, where it is known.
    pub fn wakers(&self) -> (BorrowedFd<'_>, Option<BorrowedFd<'_>>) {
        (self.doorbell.as_fd(), self.peer_process.as_ref().map(|process| process.as_fd()))
    }

    /// Whether nothing was heard for longer than this side has timeout, beginning at `since`.
    pub fn is_overdue(&self, since: Instant) -> Option<WireError> {
        let timeout = self.timeout.filter(|timeout| since.elapsed() >= *timeout)?;
        Some(WireError::Overdue(milliseconds(timeout)))
    }

    /// What was sent coalesced is all there will be for now.
    fn wake_for_quiet(&self) {
        if self.quiet.swap(false, Ordering::Relaxed) {
            self.wake(&[BYTES, NOW]);
        }
    }

    /// Waits until `how_many` is above 0, and answers it.
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
                // What it sent before it died counts.
                let found = how_many(self)?;
                return if found > 0 { Ok(found) } else { Err(error) };
            }
        }
    }

    /// Sleeps until the doorbell rings, the other side dies, or `most`, timeout or time is over. Whether it rang.
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

    /// Sleeps until the doorbell rings, the other side dies, or `most` is over. Whether it rang.
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
        // Not rung: it was the process's end, a signal, or time.
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
        // SAFETY: initialised bytes seen as bytes that may be uninitialised; `read_into` only ever writes initialised ones.
        self.read_into(unsafe { std::slice::from_raw_parts_mut(into.as_mut_ptr().cast(), len) })
    }

    fn append(&mut self, bytes: usize, into: &mut Vec<u8>) -> Result<(), WireError> {
        into.try_reserve(bytes).map_err(|_| WireError::broken(format!("no memory for {bytes} bytes of it")))?;
        let before = into.len();
        let room = into.spare_capacity_mut().get_mut(..bytes).ok_or_else(out_of_bounds)?;
        self.read_into(room)?;
        // SAFETY: `read_into` has initialised these bytes, or it would not have answered Ok; they were reserved above.
        unsafe { into.set_len(before + bytes) };
        Ok(())
    }
}

/// Where a position in the stream lies in a mapping, and how much of what is there is wanted. A run over the ring's end goes on behind it.
pub(crate) fn run_of(position: u64, there: u64, wanted: usize) -> (usize, usize) {
    let at = usize::try_from(position & (CAPACITY - 1)).unwrap_or(0);
    (RING + at, usize::try_from(there).unwrap_or(usize::MAX).min(wanted))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The writing half is another thread's for now.
#[cold]
fn lent() -> WireError {
    WireError::broken("the ring is written elsewhere")
}

pub(crate) fn out_of_bounds() -> WireError {
    WireError::broken("a place outside the ring")
}

fn number(mapping: &Mapping, at: usize) -> &AtomicU64 {
    static NOTHING: AtomicU64 = AtomicU64::new(0);
    // Every mapping here has its page of numbers.
    mapping.number(at).unwrap_or(&NOTHING)
}

pub(crate) fn load(mapping: &Mapping, at: usize) -> u64 {
    number(mapping, at).load(Ordering::SeqCst)
}

pub(crate) fn store(mapping: &Mapping, at: usize, value: u64) {
    number(mapping, at).store(value, Ordering::SeqCst);
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
