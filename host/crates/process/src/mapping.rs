use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

/// Memory shared with another process: one of the two writes it, the other only reads it.
///
/// What the other process may be writing is copied, never looked at in place: only [`Mapping::bytes`] hands out references (and atomics are), under its
/// condition.
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<u8>,
    len: usize,
    writable: bool,
}

// SAFETY: the mapping belongs to this value alone until it is dropped, and is reached through raw copies and atomics only.
unsafe impl Send for Mapping {}
// SAFETY: as said; bytes are written by one value only, the mapping's `Outgoing`, whoever reads numbers beside it.
unsafe impl Sync for Mapping {}

/// Shared memory, a head and a ring, for the other process to write: it cannot change its size, which would kill whoever reads past the end.
pub(crate) fn written_there(name: &str, head: usize, ring: usize) -> io::Result<(OwnedFd, Mapping)> {
    let file = memory_file(name, head + ring)?;
    let mapping = Mapping::of(&file, head, ring, false)?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok((file, mapping))
}

/// The same for this process to write: nobody who gets the file can ever write to it.
pub fn written_here(name: &str, head: usize, ring: usize) -> io::Result<(OwnedFd, Mapping)> {
    let file = memory_file(name, head + ring)?;
    let mapping = Mapping::of(&file, head, ring, true)?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE | SealFlags::SEAL)?;
    Ok((file, mapping))
}

/// A file in memory with these bytes, which nobody can change any more.
pub fn sealed(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let file = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest)?;
        rest = rest.get(written..).unwrap_or_default();
    }
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL)?;
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
    Ok(file)
}

/// A file in memory of `len` bytes that can be written and not grow.
pub(crate) fn bounded(name: &str, len: usize) -> io::Result<OwnedFd> {
    let file = memory_file(name, len)?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file)
}

fn memory_file(name: &str, len: usize) -> io::Result<OwnedFd> {
    let file = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&file, len as u64)?;
    Ok(file)
}

impl Mapping {
    /// Maps a file of a head and a ring, which must have both and be sealed against shrinking: the head, the ring, and the ring once more behind it, so
    /// that a run of bytes that goes over its end lies in one piece.
    pub fn of(file: impl AsFd, head: usize, ring: usize, writable: bool) -> io::Result<Self> {
        let protection = if writable { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::READ };
        let len = head + 2 * ring;
        // SAFETY: a new mapping at an address of the kernel's choosing touches no memory that anybody has.
        let base = unsafe { mmap_anonymous(std::ptr::null_mut(), len, ProtFlags::empty(), MapFlags::PRIVATE) }?;
        let base = NonNull::new(base.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        // From here on dropping it unmaps all of it.
        let mapping = Self { base, len, writable };
        for (at, len, from) in [(0, head + ring, 0), (head + ring, ring, head)] {
            // SAFETY: both places lie in the mapping made just now, which nobody has a reference into.
            let place = unsafe { base.as_ptr().add(at) };
            // SAFETY: as said: what is replaced there is ours alone.
            unsafe { mmap(place.cast(), len, protection, MapFlags::SHARED | MapFlags::FIXED, &file, from as u64) }?;
        }
        Ok(mapping)
    }

    /// Bytes as they lie there.
    ///
    /// # Safety
    /// Nobody may write them for as long as they are borrowed.
    pub unsafe fn bytes(&self, at: usize, len: usize) -> Option<&[u8]> {
        let place = self.place(at, len)?;
        // SAFETY: inside the mapping, initialised as all shared memory is; that nobody writes there is the caller's promise.
        Some(unsafe { std::slice::from_raw_parts(place.as_ptr(), len) })
    }

    /// Copies `into.len()` bytes from `at` on; what is past the end is not there.
    pub fn copy_out(&self, at: usize, into: &mut [std::mem::MaybeUninit<u8>]) -> bool {
        let Some(from) = self.place(at, into.len()) else { return false };
        // SAFETY: both ranges are `into.len()` bytes long and of different memory. The other process may write meanwhile: then the
        // copy holds some mixture of bytes, which its reader checks like any other; no reference into the mapping exists.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), into.as_mut_ptr().cast(), into.len()) };
        true
    }

    /// [`Mapping::copy_out`] of eight bytes.
    #[inline]
    pub fn copy_out_number(&self, at: usize, into: &mut [u8; 8]) -> bool {
        let Some(from) = self.place(at, 8) else { return false };
        // SAFETY: as for `copy_out`.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), into.as_mut_ptr(), 8) };
        true
    }

    /// Copies `bytes` to `at`; `false` if they do not fit or this side only reads.
    #[inline]
    pub fn copy_in(&self, at: usize, bytes: &[u8]) -> bool {
        let Some(to) = self.place(at, bytes.len()).filter(|_| self.writable) else { return false };
        // SAFETY: as for `copy_out`; the range was mapped writable and is written by nobody but this thread.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to.as_ptr(), bytes.len()) };
        true
    }

    /// The atomic number at `at`, a multiple of 8. To be loaded only, where this side only reads.
    pub fn number(&self, at: usize) -> Option<&std::sync::atomic::AtomicU64> {
        let place = self.place(at, 8).filter(|_| at.is_multiple_of(8))?;
        // SAFETY: inside the mapping, aligned (pages are), and reached by both sides as an atomic only. An atomic may change under a
        // shared reference.
        Some(unsafe { std::sync::atomic::AtomicU64::from_ptr(place.as_ptr().cast()) })
    }

    #[inline]
    fn place(&self, at: usize, len: usize) -> Option<NonNull<u8>> {
        if at.checked_add(len)? > self.len {
            return None;
        }
        // SAFETY: checked just now: inside the mapping, or at its end where `len` is 0.
        Some(unsafe { self.base.add(at) })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `of` with this length, and nothing refers to it: `number` borrows from self.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
    }
}
