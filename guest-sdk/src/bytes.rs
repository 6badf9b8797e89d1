//! Copying, comparing and checking the short byte strings of which records consist.
//!
//! In a component, a copy whose length is unknown at compile time becomes `memory.copy`, for which the engine
//! makes a call. A comparison becomes a loop over bytes that checks the deadline in each turn. Both dominate
//! the cost of a record of some tens of bytes. The functions here therefore work word by word in straight-line
//! code, and leave long strings to the engine.

use std::str::Utf8Error;

/// The longest copy for which straight-line code is cheaper than `memory.copy`. A copy of 9 bytes takes half
/// the time; a map of records of 128 bytes took 16.2 ns a record instead of 17.5 ns. Longer copies would need a
/// loop, and its check of the deadline would cost more than the loop saves.
const SHORT_COPY: usize = 128;

/// The length from which a call is cheaper than a comparison in straight-line code.
const LONG: usize = 256;

/// Appends `bytes`, like `extend_from_slice`.
///
/// `out` itself is never lent to a function that is not inlined, only moved there and back. Its pointer, length
/// and capacity can therefore stay in registers over a loop; in memory, each record would wait for the write of
/// the record before. The function is `inline(always)`, because the same component was 15 % slower when the
/// compiler decided otherwise.
#[inline(always)]
pub(crate) fn append(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = bytes.len();
    if out.capacity() - out.len() < length {
        *out = roomier(std::mem::take(out), length);
    }
    let end = out.len();
    // SAFETY: there is room for `length` bytes behind `end`. `out` is borrowed mutably, so `bytes` cannot
    // overlap it. All `length` bytes are written before the length of `out` grows. Safe code checks the
    // capacity for every word, which doubled the time of a copy of 9 bytes.
    unsafe {
        let (from, to) = (bytes.as_ptr(), out.as_mut_ptr().add(end));
        if length <= SHORT_COPY {
            copy_short(from, to, length);
        } else {
            std::ptr::copy_nonoverlapping(from, to, length);
        }
        out.set_len(end + length);
    }
}

/// [`append`] for a vector that lives in memory among other vectors. Moving such a vector to registers and back
/// is a loss: counting by key took 12 % longer.
#[inline]
pub(crate) fn append_in_place(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = bytes.len();
    if length > SHORT_COPY {
        out.extend_from_slice(bytes);
        return;
    }
    out.reserve(length);
    let end = out.len();
    // SAFETY: as in `append`; `reserve` made the room.
    unsafe {
        copy_short(bytes.as_ptr(), out.as_mut_ptr().add(end), length);
        out.set_len(end + length);
    }
}

/// Copies a block of bytes, as `copy_from_slice` does, in straight-line code: that function calls out of the module for
/// 256 bytes, which took three times as long. What is left of a number of bytes that is no multiple of 32 is not
/// copied.
#[inline(always)]
pub(crate) fn copy_block(from: &[u8], to: &mut [u8]) {
    for (from, to) in from.as_chunks::<32>().0.iter().zip(to.as_chunks_mut::<32>().0) {
        // SAFETY: 32 bytes can be read and written, and a shared and a mutable borrow do not overlap.
        unsafe { copy_short(from.as_ptr(), to.as_mut_ptr(), 32) };
    }
}

/// Returns the same bytes, with room for `more` bytes.
#[cold]
#[inline(never)]
fn roomier(mut out: Vec<u8>, more: usize) -> Vec<u8> {
    out.reserve(more);
    out
}

/// Moves bytes. The two places may overlap; nothing is done if they are the same.
///
/// # Safety
/// `length` bytes can be read from `from` and written to `to`, and no reference to the bytes written is used
/// afterwards.
#[inline(always)]
pub(crate) unsafe fn move_bytes(from: *const u8, to: *mut u8, length: usize) {
    if std::ptr::eq(from, to) {
        return;
    }
    // SAFETY: the caller upholds the contract of this function.
    unsafe {
        if length <= SHORT_COPY {
            move_short(from, to, length);
        } else {
            std::ptr::copy(from, to, length);
        }
    }
}

/// Copies word by word: whole words from the front, and a last word that ends where the bytes end.
///
/// # Safety
/// `length` is at most 128. `length` bytes can be read from `from` and written to `to`, and the two places do
/// not overlap.
#[inline(always)]
unsafe fn copy_short(from: *const u8, to: *mut u8, length: usize) {
    /// # Safety
    /// The bytes of a `T` at `at` can be read from `from` and written to `to`.
    #[inline(always)]
    unsafe fn word<T>(from: *const u8, to: *mut u8, at: usize) {
        // SAFETY: the caller upholds the contract; the read and the write need no alignment.
        unsafe { to.add(at).cast::<T>().write_unaligned(from.add(at).cast::<T>().read_unaligned()) }
    }

    // SAFETY: every `at` below is at most `length` minus the size of the word.
    unsafe {
        if length > 64 {
            word::<Wide>(from, to, 0);
            word::<Wide>(from, to, 16);
            word::<Wide>(from, to, 32);
            word::<Wide>(from, to, 48);
            let (from, to) = (from.add(length - 64), to.add(length - 64));
            word::<Wide>(from, to, 0);
            word::<Wide>(from, to, 16);
            word::<Wide>(from, to, 32);
            word::<Wide>(from, to, 48);
        } else if length >= 16 {
            word::<Wide>(from, to, 0);
            if length > 32 {
                word::<Wide>(from, to, 16);
            }
            if length > 48 {
                word::<Wide>(from, to, 32);
            }
            word::<Wide>(from, to, length - 16);
        } else if length >= 8 {
            word::<u64>(from, to, 0);
            word::<u64>(from, to, length - 8);
        } else if length >= 4 {
            word::<u32>(from, to, 0);
            word::<u32>(from, to, length - 4);
        } else if length >= 2 {
            word::<u16>(from, to, 0);
            word::<u16>(from, to, length - 2);
        } else if length == 1 {
            word::<u8>(from, to, 0);
        }
    }
}

/// [`copy_short`] for bytes that may overlap: all words are read before the first is written. The two functions
/// are separate, because keying by a field took 12 % longer with one function for both.
///
/// # Safety
/// `length` is at most 128. `length` bytes can be read from `from` and written to `to`.
#[inline(always)]
unsafe fn move_short(from: *const u8, to: *mut u8, length: usize) {
    /// # Safety
    /// `length` is at least the size of `T`. `length` bytes can be read from `from` and written to `to`.
    #[inline(always)]
    unsafe fn ends<T>(from: *const u8, to: *mut u8, length: usize) {
        let last = length - size_of::<T>();
        // SAFETY: the caller upholds the contract; the reads and writes need no alignment.
        unsafe {
            let (a, b) = (from.cast::<T>().read_unaligned(), from.add(last).cast::<T>().read_unaligned());
            to.cast::<T>().write_unaligned(a);
            to.add(last).cast::<T>().write_unaligned(b);
        }
    }

    // SAFETY: `length` is at least the number of bytes read at one end, and at most the number read at both
    // ends.
    unsafe {
        if length > 64 {
            let (first, last) = (from.cast::<Wide>(), from.add(length - 64).cast::<Wide>());
            let (a, b) = (first.read_unaligned(), first.add(1).read_unaligned());
            let (c, d) = (first.add(2).read_unaligned(), first.add(3).read_unaligned());
            let (e, f) = (last.read_unaligned(), last.add(1).read_unaligned());
            let (g, h) = (last.add(2).read_unaligned(), last.add(3).read_unaligned());
            let (first, last) = (to.cast::<Wide>(), to.add(length - 64).cast::<Wide>());
            first.write_unaligned(a);
            first.add(1).write_unaligned(b);
            first.add(2).write_unaligned(c);
            first.add(3).write_unaligned(d);
            last.write_unaligned(e);
            last.add(1).write_unaligned(f);
            last.add(2).write_unaligned(g);
            last.add(3).write_unaligned(h);
        } else if length > 32 {
            let (first, last) = (from.cast::<Wide>(), from.add(length - 32).cast::<Wide>());
            let (a, b) = (first.read_unaligned(), first.add(1).read_unaligned());
            let (c, d) = (last.read_unaligned(), last.add(1).read_unaligned());
            let (first, last) = (to.cast::<Wide>(), to.add(length - 32).cast::<Wide>());
            first.write_unaligned(a);
            first.add(1).write_unaligned(b);
            last.write_unaligned(c);
            last.add(1).write_unaligned(d);
        } else if length >= 16 {
            ends::<Wide>(from, to, length);
        } else if length >= 8 {
            ends::<u64>(from, to, length);
        } else if length >= 4 {
            ends::<u32>(from, to, length);
        } else if length >= 2 {
            ends::<u16>(from, to, length);
        } else if length == 1 {
            to.write(from.read());
        }
    }
}

#[cfg(target_arch = "wasm32")]
type Wide = core::arch::wasm32::v128;
#[cfg(not(target_arch = "wasm32"))]
type Wide = u128;

/// Returns whether two byte strings are equal.
#[inline]
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    if a.len() > LONG {
        return a == b;
    }
    let (a_words, a_rest) = a.as_chunks::<8>();
    let (b_words, b_rest) = b.as_chunks::<8>();
    a_words.iter().zip(b_words).all(|(a, b)| u64::from_le_bytes(*a) == u64::from_le_bytes(*b))
        && a_rest.iter().zip(b_rest).all(|(a, b)| a == b)
}

/// Returns the bytes as text. Most text is ASCII, which is checked 32 bytes at a time.
#[inline]
pub(crate) fn text(bytes: &[u8]) -> Result<&str, Utf8Error> {
    if is_ascii(bytes) {
        // SAFETY: ASCII is UTF-8. A second check by safe code would cost as much as this shortcut saves.
        Ok(unsafe { std::str::from_utf8_unchecked(bytes) })
    } else {
        std::str::from_utf8(bytes)
    }
}

#[inline]
fn is_ascii(bytes: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let (blocks, rest) = bytes.as_chunks::<32>();
    let mut seen = 0;
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        seen |= words.iter().fold(0, |seen, word| seen | u64::from_le_bytes(*word));
    }
    let (words, rest) = rest.as_chunks::<8>();
    for word in words {
        seen |= u64::from_le_bytes(*word);
    }
    rest.iter().fold(seen & HIGH, |seen, byte| seen | u64::from(byte & 0x80)) == 0
}

#[cfg(test)]
mod tests {
    use super::{append, equal, move_bytes, text};

    #[test]
    fn text_is_from_utf8_wherever_the_odd_byte_stands() {
        for length in 0..100 {
            let mut bytes = vec![b'a'; length];
            assert_eq!(text(&bytes).ok(), std::str::from_utf8(&bytes).ok());
            for at in 0..length {
                bytes[at] = 0xff;
                assert_eq!(text(&bytes), std::str::from_utf8(&bytes), "length {length}, at {at}");
                bytes[at] = b'a';
            }
        }
        assert_eq!(text("käse und brot ".repeat(5).as_bytes()), Ok("käse und brot ".repeat(5).as_str()));
    }

    #[test]
    fn append_is_extend_from_slice_at_every_length() {
        let bytes: Vec<u8> = (0..600_u32).map(|number| (number * 7 + number / 251) as u8).collect();
        for length in 0..bytes.len() {
            let mut ours = vec![1, 2, 3];
            append(&mut ours, &bytes[..length]);
            let mut theirs = vec![1, 2, 3];
            theirs.extend_from_slice(&bytes[..length]);
            assert!(ours == theirs, "length {length}");
        }
    }

    #[test]
    fn move_bytes_is_copy_within_at_every_length_and_distance() {
        let bytes: Vec<u8> = (0..700_u32).map(|number| (number * 7 + number / 251) as u8).collect();
        for length in 0..=300 {
            for (from, to) in [0, 1, 2, 3, 5, 8, 15, 16, 17, 33, 64, 100, 127, 128, 129, 299, 300, 350]
                .into_iter()
                .flat_map(|distance| [(distance, 0), (0, distance)])
            {
                let (mut ours, mut theirs) = (bytes.clone(), bytes.clone());
                let base = ours.as_mut_ptr();
                // SAFETY: `from` and `to` are at most 350 and the length at most 300, and the vector has 700
                // bytes.
                unsafe { move_bytes(base.add(from), base.add(to), length) };
                theirs.copy_within(from..from + length, to);
                assert!(ours == theirs, "{length} bytes from {from} to {to}");
            }
        }
    }

    #[test]
    fn equal_is_equality_and_a_difference_anywhere_counts() {
        for length in [0, 1, 7, 8, 9, 16, 31, 256, 257] {
            let bytes = vec![7_u8; length];
            assert!(equal(&bytes, &bytes.clone()), "length {length}");
            assert!(!equal(&bytes, &vec![7; length + 1]), "length {length}");
            for at in 0..length {
                let mut other = bytes.clone();
                other[at] = 8;
                assert!(!equal(&bytes, &other), "length {length}, difference at {at}");
            }
        }
    }
}
