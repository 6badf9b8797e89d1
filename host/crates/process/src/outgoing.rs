use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::mapping::Mapping;
use super::ring_layout::{ASLEEP, BYTES, CAPACITY, HEAD, NOW, TAIL, load, out_of_bounds, run_of, store};
use sage_batch::wire::{WireError, WireWriter};

/// The writing half of a [`Link`](super::Link), which can be lent to another thread. This half never
/// waits: a write without room is an error.
#[derive(Debug)]
pub struct Outgoing {
    own: Arc<Mapping>,
    peer: Arc<Mapping>,
    peer_doorbell: Arc<OwnedFd>,
    /// Bytes written so far, published or not.
    head: u64,
    /// Free bytes at the last look at the peer's TAIL, minus the bytes written since. The peer changes TAIL, so
    /// each look costs a transfer between CPUs.
    known_room: u64,
    /// Bytes were sent coalesced, and no later call has woken the peer. The reading half wakes the peer before
    /// it sleeps.
    quiet: Arc<AtomicBool>,
}

impl Outgoing {
    /// The writing half of a link between these two mappings.
    pub fn new(own: Arc<Mapping>, peer: Arc<Mapping>, peer_doorbell: Arc<OwnedFd>, quiet: Arc<AtomicBool>) -> Self {
        Self { own, peer, peer_doorbell, head: 0, known_room: 0, quiet }
    }

    /// Total bytes written since the link was made.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// Bytes that can be written without waiting.
    pub fn room(&self) -> Result<u64, WireError> {
        let used = self.head.wrapping_sub(load(&self.peer, TAIL));
        CAPACITY
            .checked_sub(used)
            .ok_or_else(|| WireError::broken("the ring's reader claims bytes that were never sent"))
    }

    /// Makes all written bytes visible to the peer and wakes it.
    pub fn send(&self) {
        store(&self.own, HEAD, self.head);
        self.quiet.store(false, Ordering::Relaxed);
        ring_if(&self.peer, &self.peer_doorbell, &[BYTES, NOW]);
    }

    /// Makes all written bytes visible to the peer without waking it from a light sleep. The peer may sleep
    /// until more is sent, or until this side waits.
    pub fn send_coalesced(&self) {
        store(&self.own, HEAD, self.head);
        ring_if(&self.peer, &self.peer_doorbell, &[NOW]);
        self.quiet.store(true, Ordering::Relaxed);
    }

    /// Wakes the peer for the bytes that were sent coalesced.
    pub fn announce(&self) {
        if self.quiet.swap(false, Ordering::Relaxed) {
            ring_if(&self.peer, &self.peer_doorbell, &[BYTES, NOW]);
        }
    }

    /// Writes as many of `bytes` as there is room for, and returns their count.
    pub fn put_some(&mut self, bytes: &[u8]) -> Result<usize, WireError> {
        if self.known_room < bytes.len() as u64 {
            self.known_room = self.room()?;
        }
        let (at, run) = run_of(self.head, self.known_room, bytes.len());
        if !self.own.copy_in(at, bytes.get(..run).ok_or_else(out_of_bounds)?) {
            return Err(out_of_bounds());
        }
        self.move_head(run as u64);
        Ok(run)
    }

    /// Writes eight bytes if the known room is large enough. Returns `false` otherwise.
    #[inline]
    pub fn put_number_now(&mut self, number: u64) -> bool {
        let (at, _) = run_of(self.head, self.known_room, 8);
        let written = self.known_room >= 8 && self.own.copy_in(at, &number.to_le_bytes());
        if written {
            self.move_head(8);
        }
        written
    }

    /// Appends `len` bytes that were written at `position`. The caller must not have overwritten them since.
    pub fn read_back(&self, position: u64, len: usize, into: &mut Vec<u8>) -> Result<(), WireError> {
        let (at, len) = run_of(position, CAPACITY, len);
        // SAFETY: this value is the only writer of the ring, and it is borrowed for as long as these bytes are
        // borrowed.
        let written = unsafe { self.own.bytes(at, len) }.ok_or_else(out_of_bounds)?;
        into.extend_from_slice(written);
        Ok(())
    }

    fn move_head(&mut self, by: u64) {
        self.head = self.head.wrapping_add(by);
        self.known_room = self.known_room.saturating_sub(by);
    }
}

impl WireWriter for Outgoing {
    fn put(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        if self.put_some(bytes)? == bytes.len() {
            return Ok(());
        }
        Err(WireError::broken("there is no room in the ring"))
    }

    #[inline]
    fn put_number(&mut self, number: u64) -> Result<(), WireError> {
        if self.put_number_now(number) { Ok(()) } else { self.put(&number.to_le_bytes()) }
    }
}

/// Rings the doorbell if the peer sleeps in one of the states `waits_for`.
pub(crate) fn ring_if(peer: &Mapping, doorbell: &OwnedFd, waits_for: &[u64]) {
    if waits_for.contains(&load(peer, ASLEEP)) {
        ring(doorbell);
    }
}

/// Rings a doorbell. A doorbell that was rung already stays rung.
pub fn ring(doorbell: &OwnedFd) {
    // A full counter means that the doorbell was rung before.
    let _ = rustix::io::write(doorbell, &1_u64.to_ne_bytes());
}
