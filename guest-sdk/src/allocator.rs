//! The components' allocator: the system's, with the last few blocks of a batch's size kept for the next batch.
//!
//! Each call brings a batch in two blocks of 2 to 64 KiB and gives both back at its end. The system's allocator takes such blocks apart and puts them
//! together again, which cost 200 ns a call: a map of 256 records of 128 bytes took 14.5 ns each, and takes 13.6.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[global_allocator]
static ALLOCATOR: KeepsBlocks = KeepsBlocks { blocks: [const { Cell::new(NO_BLOCK) }; BLOCKS], next: Cell::new(0) };

/// How many blocks are kept at the most, and which: at most half a MiB in all.
const BLOCKS: usize = 4;
const LEAST: usize = 1 << 10;
const MOST: usize = 128 << 10;
/// What the system's allocator aligns to without further ado.
const ALIGNMENT: usize = 8;

/// Keeps blocks that were given back.
struct KeepsBlocks {
    blocks: [Cell<Block>; BLOCKS],
    /// Whose place the next one takes where all are taken.
    next: Cell<usize>,
}

/// A block, or none if it has no size.
#[derive(Clone, Copy)]
struct Block {
    at: *mut u8,
    size: usize,
}

const NO_BLOCK: Block = Block { at: std::ptr::null_mut(), size: 0 };

// SAFETY: components have one thread: this target has no others.
unsafe impl Sync for KeepsBlocks {}

#[cfg(target_feature = "atomics")]
compile_error!("sage-guest's allocator is for components of one thread");

impl KeepsBlocks {
    /// A block of just this size that was given back, if there is one.
    #[inline(never)]
    fn take(&self, size: usize) -> Option<*mut u8> {
        let place = self.blocks.iter().find(|place| place.get().size == size)?;
        Some(place.replace(NO_BLOCK).at)
    }

    /// Keeps a block, if need be in place of another one, which comes back.
    #[inline(never)]
    fn keep(&self, block: Block) -> Block {
        if let Some(free) = self.blocks.iter().find(|place| place.get().size == 0) {
            return free.replace(block);
        }
        let next = self.next.get() % BLOCKS;
        self.next.set(next + 1);
        self.blocks.get(next).map_or(block, |place| place.replace(block))
    }
}

/// What is asked of the system for `layout`. Where blocks of its size are kept, that is an eighth more at the most, so that the next batch,
/// which will be a little larger or smaller, fits as well. Never of less than [`ALIGNMENT`], so that a block can serve any of them.
#[inline]
fn of_the_system(layout: Layout) -> Layout {
    let (size, align) = (layout.size().max(ALIGNMENT), layout.align().max(ALIGNMENT));
    let step = if is_kept(layout) { (1 << size.ilog2()) / 8 } else { 1 };
    // SAFETY: the alignment is a power of two as before, and nothing overflows: a size that is rounded up is below 128 KiB.
    unsafe { Layout::from_size_align_unchecked((size + step - 1) & !(step - 1), align) }
}

#[inline]
fn is_kept(layout: Layout) -> bool {
    (LEAST..MOST).contains(&layout.size()) && layout.align() <= ALIGNMENT
}

// SAFETY: every block is one of the system's, allocated with what `of_the_system` makes of its layout, which is the same when it is given back; a
// block that is kept is in nobody's hands, and is kept no longer when it is handed out.
unsafe impl GlobalAlloc for KeepsBlocks {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let ours = of_the_system(layout);
        if is_kept(layout)
            && let Some(block) = self.take(ours.size())
        {
            return block;
        }
        // SAFETY: it has a size.
        unsafe { System.alloc(ours) }
    }

    #[inline]
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        let mut ours = of_the_system(layout);
        let mut at = at;
        if is_kept(layout) {
            let other = self.keep(Block { at, size: ours.size() });
            if other.size == 0 {
                return;
            }
            // SAFETY: the layout that it was kept with.
            (at, ours) = (other.at, unsafe { Layout::from_size_align_unchecked(other.size, ALIGNMENT) });
        }
        // SAFETY: the system's block, with the layout that it was asked for.
        unsafe { System.dealloc(at, ours) }
    }

    #[inline]
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise: rounded up to its alignment, `size` does not overflow.
        let wanted = of_the_system(unsafe { Layout::from_size_align_unchecked(size, layout.align()) });
        let had = of_the_system(layout);
        if had.size() == wanted.size() {
            return at;
        }
        // SAFETY: the system's block, with the layout that it was asked for.
        unsafe { System.realloc(at, had, wanted.size()) }
    }
}
