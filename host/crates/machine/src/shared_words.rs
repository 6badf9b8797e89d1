use std::io;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Numbers in a file that several processes of one user have mapped for reading and writing. They are
/// accessed as atomics only, so concurrent writes of other processes give some number and never undefined
/// behavior.
///
/// **Not bounded.** The values are not checked: each reader checks the numbers that it reads. The length of
/// the file is not protected either: a process that shortens the file kills every process that reads the
/// mapping. The file must therefore be one that no other user can open.
#[derive(Debug)]
pub(super) struct SharedWords {
    base: NonNull<AtomicU64>,
    count: usize,
}

// SAFETY: the mapping belongs to this value alone until the drop, and only atomics are handed out.
unsafe impl Send for SharedWords {}
// SAFETY: as above; atomics may be shared between threads.
unsafe impl Sync for SharedWords {}

impl SharedWords {
    /// Index of the number that is accessed as 32 bits, because the kernel waits only for numbers of 32 bits.
    /// No other access uses it.
    pub(super) const DOORBELL: usize = 1;

    /// Maps the first `count` numbers of a file, at least two. The file must be long enough.
    pub(super) fn of(file: impl AsFd, count: usize) -> io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses overlaps no memory in use.
        let base = unsafe { mmap(std::ptr::null_mut(), count * 8, protection, MapFlags::SHARED, file, 0) }?;
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, count })
    }

    /// All numbers. The doorbell is among them and must not be used through this slice.
    pub(super) fn all(&self) -> &[AtomicU64] {
        // SAFETY: mapped by `of` with this length, aligned (pages are), initialised (all bytes of a file
        // are), and unmapped only on drop. An atomic may change under a shared reference, also by another
        // process.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.count) }
    }

    /// The number that the kernel can wait for.
    pub(super) fn doorbell(&self) -> &AtomicU32 {
        // SAFETY: inside the mapping, which has at least two numbers.
        let doorbell = unsafe { self.base.add(Self::DOORBELL) };
        // SAFETY: as in `all`; every process accesses these bytes as this type only.
        unsafe { AtomicU32::from_ptr(doorbell.as_ptr().cast()) }
    }
}

impl Drop for SharedWords {
    fn drop(&mut self) {
        // SAFETY: mapped by `of` with this length. No reference remains, because all references borrow from
        // self.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.count * 8) };
    }
}
