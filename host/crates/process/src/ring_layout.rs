use std::sync::atomic::{AtomicU64, Ordering};

use super::mapping::Mapping;
use sage_batch::wire::WireError;

/// Offset of the number HEAD: total bytes that the owner has put into its own ring. See [`Link`](super::Link).
pub(crate) const HEAD: usize = 0;
/// Offset of the number TAIL: total bytes that the owner has taken out of the peer's ring.
pub(crate) const TAIL: usize = 64;
/// Offset of the number ASLEEP: [`AWAKE`], [`BYTES`], [`ROOM`] or [`NOW`].
pub(crate) const ASLEEP: usize = 128;
/// Offset of the ring in its file.
pub(crate) const RING: usize = 4096;
/// Bytes of a ring. A power of two, so that a mask turns a position into an offset. The ring holds several
/// batches of 64 KiB in flight; larger messages pass through it in pieces.
pub const CAPACITY: u64 = 1 << 20;

/// The owner does not sleep.
pub(crate) const AWAKE: u64 = 0;
/// The owner waits for bytes, and tolerates a delay of coalesced ones.
pub(crate) const BYTES: u64 = 1;
/// The owner waits for room in its ring.
pub(crate) const ROOM: u64 = 2;
/// The owner waits for any byte.
pub(crate) const NOW: u64 = 3;

/// The offset of a stream position in a mapping, and how many of the `wanted` bytes are available there. A run
/// over the ring's end continues in the second mapping of the ring behind it.
pub(crate) fn run_of(position: u64, there: u64, wanted: usize) -> (usize, usize) {
    let at = usize::try_from(position & (CAPACITY - 1)).unwrap_or(0);
    (RING + at, usize::try_from(there).unwrap_or(usize::MAX).min(wanted))
}

pub(crate) fn out_of_bounds() -> WireError {
    WireError::broken("an offset outside the ring")
}

fn number(mapping: &Mapping, at: usize) -> &AtomicU64 {
    static NOTHING: AtomicU64 = AtomicU64::new(0);
    // Every mapping of a link has a page of numbers.
    mapping.number(at).unwrap_or(&NOTHING)
}

pub(crate) fn load(mapping: &Mapping, at: usize) -> u64 {
    number(mapping, at).load(Ordering::SeqCst)
}

pub(crate) fn store(mapping: &Mapping, at: usize, value: u64) {
    number(mapping, at).store(value, Ordering::SeqCst);
}
