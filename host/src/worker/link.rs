use std::cell::Cell;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

use super::mapping::{Mapping, written_here, written_there};
use crate::batch::wire::{WireError, WireReader, WireWriter};

/// One end of a two-way stream of bytes between two processes, through two rings in shared memory.
///
/// Each side has a file that it alone writes: a page with numbers, then its outgoing ring.
///
/// ```text
/// number    written by its owner
/// HEAD      how many bytes it has put into its own ring, ever
/// TAIL      how many bytes it has taken out of the other's ring, ever
/// ASLEEP    AWAKE; BYTES: waits for bytes, also for some that come quietly a moment later; NOW: waits for any byte;
///           ROOM: waits for room in its ring
/// ```
///
/// **Trust.** The other side may write anything there at any time. Its numbers are compared with one's own before they are used, and
/// bytes are copied out before anybody looks at them. Only the worker looks at requests in place: nobody but the host can write there.
///
/// **Who waits for whom.** A reader waits for bytes, a writer for room. Before it sleeps it says so in ASLEEP and looks once more;
/// whoever moves HEAD or TAIL looks at ASLEEP afterwards and rings the sleeper's bell (an eventfd). All of this is sequentially
/// consistent, so one of the two sees the other. Bytes that are sent quietly do not wake who sleeps in BYTES, which is
/// for 1 ms only. A peer that dies ends a wait too, where its process is known, and so does patience.
#[derive(Debug)]
pub struct Link {
    own: Mapping,
    peer: Mapping,
    /// Rung by the peer.
    bell: OwnedFd,
    peer_bell: OwnedFd,
    /// Readable when the peer has ended.
    peer_process: Option<Arc<OwnedFd>>,
    /// Bytes that were written, published or not.
    head: u64,
    /// Bytes that were taken.
    tail: u64,
    /// How many bytes there was room for when that was last looked at, less those written since: a look at the other side's number, which it changes,
    /// costs a transfer between CPUs.
    known_room: u64,
    /// How many bytes were there when that was last looked at, less those taken since.
    known_bytes: u64,
    patience: Option<Duration>,
    /// When nothing is waited for any more, however patient.
    until: Option<Instant>,
    /// When the message under way began.
    began: Instant,
    /// How long to look before going to sleep: only where the CPU is nobody else's.
    spin: Duration,
    /// Something was sent quietly, and nothing since that wakes the peer.
    quiet: Cell<bool>,
}

/// What the worker's end of a link is made of.
#[derive(Debug)]
pub struct FarEnd {
    /// The worker writes this one.
    pub(super) own: OwnedFd,
    pub(super) peer: OwnedFd,
    pub(super) bell: OwnedFd,
    pub(super) peer_bell: OwnedFd,
}

const HEAD: usize = 0;
const TAIL: usize = 64;
const ASLEEP: usize = 128;
/// Where the ring begins.
const RING: usize = 4096;
/// A power of two, so that places in the ring are a mask away. Holds some batches of 64 KiB on their way; larger messages go through in
/// pieces.
const CAPACITY: u64 = 1 << 20;

/// The longest run that is looked at in place: half of the ring, so that its writer finds room for the next one.
const LONGEST_VIEW: usize = CAPACITY as usize / 2;

/// How many times one's patience a whole message may take: one that trickles would be waited for as long as its sender likes.
const WHOLE: u32 = 10;

const AWAKE: u64 = 0;
const BYTES: u64 = 1;
const ROOM: u64 = 2;
const NOW: u64 = 3;

/// How long bytes that were sent quietly may go unseen.
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
        let far_end = FarEnd { own: response, peer: request, bell: far.try_clone()?, peer_bell: near.try_clone()? };
        Ok((Self::new(own, peer, near, far), far_end))
    }

    /// The worker's end. `spin` is how long to look for bytes before sleeping: only where the CPU is nobody else's.
    ///
    /// # Errors
    /// When the files cannot be mapped.
    pub fn far(end: FarEnd, spin: Duration) -> io::Result<Self> {
        let ring = CAPACITY as usize;
        let (own, peer) = (Mapping::of(&end.own, RING, ring, true)?, Mapping::of(&end.peer, RING, ring, false)?);
        Ok(Self { spin, ..Self::new(own, peer, end.bell, end.peer_bell) })
    }

    fn new(own: Mapping, peer: Mapping, bell: OwnedFd, peer_bell: OwnedFd) -> Self {
        Self {
            own,
            peer,
            bell,
            peer_bell,
            peer_process: None,
            head: 0,
            tail: 0,
            known_room: 0,
            known_bytes: 0,
            patience: None,
            until: None,
            began: Instant::now(),
            spin: Duration::ZERO,
            quiet: Cell::new(false),
        }
    }

    /// Says which process is at the other end, so that its death is noticed.
    pub(super) fn watch(&mut self, process: Arc<OwnedFd>) {
        self.peer_process = Some(process);
    }

    /// A message begins, in or out: from now on counts how long the whole of it takes.
    pub(super) fn begin(&mut self) {
        self.began = Instant::now();
    }

    /// How long to wait for the other side at a time from now on, and ten times that for a message; `None` is for ever.
    pub fn set_patience(&mut self, patience: Option<Duration>) {
        self.patience = patience;
    }

    /// Until when to wait for the other side from now on; `None` sets no such end.
    pub(super) fn set_deadline(&mut self, until: Option<Instant>) {
        self.until = until;
    }

    /// Whether `bytes` can be written without waiting.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.room().is_ok_and(|room| bytes as u64 <= room)
    }

    /// Makes what was written visible to the other side.
    pub fn send(&self) {
        store(&self.own, HEAD, self.head);
        self.quiet.set(false);
        self.wake();
    }

    /// Gives the ring's bytes that were read back to the other side.
    pub fn taken(&self) {
        store(&self.own, TAIL, self.tail);
        self.ring_if(&[ROOM]);
    }

    /// Whether bytes wait.
    pub(super) fn has_bytes(&self) -> bool {
        self.bytes().is_ok_and(|bytes| bytes > 0)
    }

    /// The next `len` bytes where they lie, once they are there; they stay until [`Link::taken`]. `None`: they are more than may lie
    /// there at a time.
    ///
    /// # Errors
    /// As for reading.
    ///
    /// # Safety
    /// The other side must be one that leaves alone what it has sent, until it was taken.
    pub(super) unsafe fn view(&mut self, len: usize) -> Result<Option<&[u8]>, WireError> {
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
    pub(super) fn send_quietly(&self) {
        store(&self.own, HEAD, self.head);
        self.ring_if(&[NOW]);
        self.quiet.set(true);
    }

    /// Wakes the other side where it waits for bytes.
    fn wake(&self) {
        self.ring_if(&[BYTES, NOW]);
    }

    fn room(&self) -> Result<u64, WireError> {
        let used = self.head.wrapping_sub(load(&self.peer, TAIL));
        CAPACITY
            .checked_sub(used)
            .ok_or_else(|| WireError::broken("the ring's reader claims bytes that were never sent"))
    }

    fn bytes(&self) -> Result<u64, WireError> {
        let bytes = load(&self.peer, HEAD).wrapping_sub(self.tail);
        if bytes > CAPACITY {
            return Err(WireError::broken(format!("the ring's writer claims {bytes} bytes in a ring of {CAPACITY}")));
        }
        Ok(bytes)
    }

    fn ring_if(&self, waits_for: &[u64]) {
        if waits_for.contains(&load(&self.peer, ASLEEP)) {
            // Full already: then it was rung before.
            let _ = rustix::io::write(&self.peer_bell, &1_u64.to_ne_bytes());
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
            // What was sent quietly is all there will be for now.
            if self.quiet.take() {
                self.wake();
            }
            if started.elapsed() < self.spin {
                std::hint::spin_loop();
                continue;
            }
            let state = if waits_for == BYTES && !lenience { NOW } else { waits_for };
            store(&self.own, ASLEEP, state);
            let most = std::mem::take(&mut lenience).then_some(LENIENCE);
            let woken = match how_many(self) {
                Ok(0) => self.sleep(started, most),
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

    /// Sleeps until the bell rings, the other side dies, or `most` is over.
    fn sleep(&self, started: Instant, most: Option<Duration>) -> Result<(), WireError> {
        let left = match self.patience {
            None => None,
            Some(patience) => {
                let whole = patience.saturating_mul(WHOLE);
                let left =
                    whole.checked_sub(self.began.elapsed()).ok_or_else(|| WireError::Slow(milliseconds(whole)))?;
                let now = patience.checked_sub(started.elapsed());
                Some(now.ok_or_else(|| WireError::Overdue(milliseconds(patience)))?.min(left))
            }
        };
        let before = match self.until {
            None => None,
            Some(until) => {
                let before = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero());
                Some(before.ok_or_else(|| WireError::Overdue(milliseconds(self.began.elapsed())))?)
            }
        };
        let left = [left, before, most].into_iter().flatten().min();
        let timeout = left.map(|left| rustix::event::Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        });
        let bell = PollFd::new(&self.bell, PollFlags::IN);
        let died = match &self.peer_process {
            None => poll(&mut [bell], timeout.as_ref()).map(|_| false),
            Some(process) => {
                let mut both = [bell, PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
                poll(&mut both, timeout.as_ref()).map(|_| {
                    let [_, process] = &both;
                    !process.revents().is_empty()
                })
            }
        };
        let mut rung = [0; 8];
        // Not rung: it was the process's end, a signal, or time.
        let _ = rustix::io::read(&self.bell, &mut rung);
        match died {
            Ok(true) => Err(WireError::Gone),
            Ok(false) | Err(rustix::io::Errno::INTR) => Ok(()),
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

    fn move_head(&mut self, by: u64) {
        self.head = self.head.wrapping_add(by);
        self.known_room = self.known_room.saturating_sub(by);
    }

    fn move_tail(&mut self, by: u64) {
        self.tail = self.tail.wrapping_add(by);
        self.known_bytes = self.known_bytes.saturating_sub(by);
    }
}

impl WireWriter for Link {
    fn put(&mut self, mut bytes: &[u8]) -> Result<(), WireError> {
        while !bytes.is_empty() {
            if self.known_room < bytes.len() as u64 {
                self.known_room = self.room()?;
            }
            if self.known_room == 0 {
                self.send();
                self.known_room = self.wait(ROOM, Self::room)?;
            }
            let (at, run) = run_of(self.head, self.known_room, bytes.len());
            let (now, rest) = bytes.split_at_checked(run).ok_or_else(out_of_bounds)?;
            if !self.own.copy_in(at, now) {
                return Err(out_of_bounds());
            }
            self.move_head(run as u64);
            bytes = rest;
        }
        Ok(())
    }

    #[inline]
    fn put_number(&mut self, number: u64) -> Result<(), WireError> {
        let (at, _) = run_of(self.head, self.known_room, 8);
        if self.known_room >= 8 && self.own.copy_in(at, &number.to_le_bytes()) {
            self.move_head(8);
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
fn run_of(position: u64, there: u64, wanted: usize) -> (usize, usize) {
    let at = usize::try_from(position & (CAPACITY - 1)).unwrap_or(0);
    (RING + at, usize::try_from(there).unwrap_or(usize::MAX).min(wanted))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn out_of_bounds() -> WireError {
    WireError::broken("a place outside the ring")
}

fn number(mapping: &Mapping, at: usize) -> &AtomicU64 {
    static NOTHING: AtomicU64 = AtomicU64::new(0);
    // Every mapping here has its page of numbers.
    mapping.number(at).unwrap_or(&NOTHING)
}

fn load(mapping: &Mapping, at: usize) -> u64 {
    number(mapping, at).load(Ordering::SeqCst)
}

fn store(mapping: &Mapping, at: usize, value: u64) {
    number(mapping, at).store(value, Ordering::SeqCst);
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
