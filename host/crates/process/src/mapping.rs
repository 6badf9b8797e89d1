use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

/// Memory that two processes share: the first writes it, the second only reads it.
///
/// Bytes that the other process may be writing are copied, and never read in place. Only [`Mapping::bytes`]
/// returns references to plain bytes, under its own condition. Atomic numbers may be referenced too.
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<u8>,
    len: usize,
    writable: bool,
}

// SAFETY: the mapping belongs to this value alone until the value is dropped. Only raw copies and atomics
// access it.
unsafe impl Send for Mapping {}
// SAFETY: the reason above also holds here. Only one value, the `Outgoing` of the mapping, writes bytes; other
// threads read only numbers.
unsafe impl Sync for Mapping {}

/// Makes shared memory (a page of numbers and a ring) that the other process writes. The other process cannot
/// change its size. A smaller file would kill a process that reads past the end.
pub(crate) fn written_there(name: &str, head: usize, ring: usize) -> io::Result<(OwnedFd, Mapping)> {
    let file = memory_file(name, head + ring)?;
    let mapping = Mapping::of(&file, head, ring, false)?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok((file, mapping))
}

/// Makes shared memory (a page of numbers and a ring) that this process writes. Other processes that get the
/// file can never write to it.
pub fn written_here(name: &str, head: usize, ring: usize) -> io::Result<(OwnedFd, Mapping)> {
    let file = memory_file(name, head + ring)?;
    let mapping = Mapping::of(&file, head, ring, true)?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE | SealFlags::SEAL)?;
    Ok((file, mapping))
}

/// Makes a memory file with these bytes. The file can never be changed.
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

/// Makes a memory file of `len` bytes. The file is writable and has a fixed size.
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
    /// Maps a file that consists of a head and a ring. The file must have both parts and be sealed against
    /// shrinking. The mapping holds the head, the ring, and the ring a second time, so that a run of bytes over
    /// the ring's end is contiguous.
    pub fn of(file: impl AsFd, head: usize, ring: usize, writable: bool) -> io::Result<Self> {
        let protection = if writable { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::READ };
        let len = head + 2 * ring;
        // SAFETY: the kernel chooses the address of the new mapping, so the mapping does not touch memory that
        // is in use.
        let base = unsafe { mmap_anonymous(std::ptr::null_mut(), len, ProtFlags::empty(), MapFlags::PRIVATE) }?;
        let base = NonNull::new(base.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        // From here on, dropping this value unmaps the whole range.
        let mapping = Self { base, len, writable };
        for (at, len, from) in [(0, head + ring, 0), (head + ring, ring, head)] {
            // SAFETY: both offsets lie in the new mapping, and there are no references into it.
            let place = unsafe { base.as_ptr().add(at) };
            // SAFETY: the replaced range belongs to this mapping alone.
            unsafe { mmap(place.cast(), len, protection, MapFlags::SHARED | MapFlags::FIXED, &file, from as u64) }?;
        }
        Ok(mapping)
    }

    /// The `len` bytes at `at`, in place.
    ///
    /// # Safety
    /// No process may write these bytes while they are borrowed.
    pub unsafe fn bytes(&self, at: usize, len: usize) -> Option<&[u8]> {
        let place = self.place(at, len)?;
        // SAFETY: the range is inside the mapping and initialised, as all shared memory is. The caller promises
        // that no process writes there.
        Some(unsafe { std::slice::from_raw_parts(place.as_ptr(), len) })
    }

    /// Copies `into.len()` bytes from `at`. Returns `false` if the range ends past the mapping.
    pub fn copy_out(&self, at: usize, into: &mut [std::mem::MaybeUninit<u8>]) -> bool {
        let Some(from) = self.place(at, into.len()) else { return false };
        // SAFETY: both ranges are `into.len()` bytes long and do not overlap. The other process may write
        // during the copy. The copy then holds a mixture of bytes, which the reader checks like any others.
        // There is no reference into the mapping.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), into.as_mut_ptr().cast(), into.len()) };
        true
    }

    /// Copies eight bytes, as [`Mapping::copy_out`] does.
    #[inline]
    pub fn copy_out_number(&self, at: usize, into: &mut [u8; 8]) -> bool {
        let Some(from) = self.place(at, 8) else { return false };
        // SAFETY: the same as in `copy_out`.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), into.as_mut_ptr(), 8) };
        true
    }

    /// Copies `bytes` to `at`. Returns `false` if they do not fit or if this side only reads.
    #[inline]
    pub fn copy_in(&self, at: usize, bytes: &[u8]) -> bool {
        let Some(to) = self.place(at, bytes.len()).filter(|_| self.writable) else { return false };
        // SAFETY: the same as in `copy_out`. The range was mapped writable, and only this thread writes it.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to.as_ptr(), bytes.len()) };
        true
    }

    /// The atomic number at `at`, which must be a multiple of 8. A side that only reads the mapping must only
    /// load it.
    pub fn number(&self, at: usize) -> Option<&std::sync::atomic::AtomicU64> {
        let place = self.place(at, 8).filter(|_| at.is_multiple_of(8))?;
        // SAFETY: the number is inside the mapping and aligned, because pages are aligned. Both sides only
        // access it as an atomic. An atomic may change under a shared reference.
        Some(unsafe { std::sync::atomic::AtomicU64::from_ptr(place.as_ptr().cast()) })
    }

    #[inline]
    fn place(&self, at: usize, len: usize) -> Option<NonNull<u8>> {
        if at.checked_add(len)? > self.len {
            return None;
        }
        // SAFETY: the check above shows that the range is inside the mapping, or at its end if `len` is 0.
        Some(unsafe { self.base.add(at) })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `of` mapped this range with this length. No references remain, because `number` borrows from
        // self.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
    }
}
