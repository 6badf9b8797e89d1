use std::io;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Numbers in a file that several processes of one user have mapped, all of them to read and to write: reached as atomics only, so that whatever the others
/// do meanwhile is some number and never undefined.
///
/// **Does not bound** what they hold: whoever reads one checks it. Nor does it keep the file as long as it was. Who makes it shorter ends every process that
/// looks, so it must be a file that no other user may open.
#[derive(Debug)]
pub(super) struct SharedWords {
    base: NonNull<AtomicU64>,
    count: usize,
}

// SAFETY: the mapping is this value's alone until it is dropped, and hands out atomics only.
unsafe impl Send for SharedWords {}
// SAFETY: as above: atomics are for several threads.
unsafe impl Sync for SharedWords {}

impl SharedWords {
    /// Where the number is that is reached as one of 32 bits, since the kernel waits for no others: nothing else reaches it.
    pub(super) const BELL: usize = 1;

    /// Maps the first so many numbers, at least two, of a file that has them.
    pub(super) fn of(file: impl AsFd, count: usize) -> io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choosing touches no memory that anybody has.
        let base = unsafe { mmap(std::ptr::null_mut(), count * 8, protection, MapFlags::SHARED, file, 0) }?;
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, count })
    }

    /// All of them. The doorbell is there too, to be left alone.
    pub(super) fn all(&self) -> &[AtomicU64] {
        // SAFETY: mapped by `of` with this length, aligned (pages are), initialised as all of a file is, and unmapped on drop only. An atomic may
        // change under a shared reference, also by another process.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.count) }
    }

    /// What the kernel can wait for.
    pub(super) fn doorbell(&self) -> &AtomicU32 {
        // SAFETY: inside the mapping, which has at least two numbers.
        let doorbell = unsafe { self.base.add(Self::BELL) };
        // SAFETY: as `all`; every process reaches these bytes as this type only.
        unsafe { AtomicU32::from_ptr(doorbell.as_ptr().cast()) }
    }
}

impl Drop for SharedWords {
    fn drop(&mut self) {
        // SAFETY: mapped by `of` with this length, and nothing refers to it: all that is handed out borrows from self.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.count * 8) };
    }
}
