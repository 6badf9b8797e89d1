use crate::Bitmap;

/// A bitmap that grows: bit `i % 8` of byte `i / 8`, as in Arrow. The bits past the end are always zero.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bits {
    bytes: Vec<u8>,
    len: usize,
}

impl Bits {
    /// Bits that are copied in one step. A word read at any bit offset holds at least as many.
    const STEP: usize = 56;

    /// Number of bits.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no bit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes; the bits past the end are zero.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bits, as a bitmap over rows.
    #[must_use]
    pub fn as_bitmap(&self) -> Bitmap<'_> {
        Bitmap::new(&self.bytes)
    }

    /// Bit `at`; `false` past the end.
    #[must_use]
    #[inline]
    pub fn get(&self, at: usize) -> bool {
        self.as_bitmap().get(at)
    }

    /// Number of bits that are zero.
    #[must_use]
    pub fn zeros(&self) -> usize {
        self.len - self.as_bitmap().count()
    }

    /// Bytes of memory that the buffer occupies, used or not.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub(super) fn weight(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn push_nothing(&mut self) {
        self.push(false);
    }

    /// Adds a bit.
    #[inline]
    pub fn push(&mut self, bit: bool) {
        if self.len.is_multiple_of(8) {
            self.bytes.push(u8::from(bit));
        } else if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit) << (self.len % 8);
        }
        self.len += 1;
    }

    /// Adds `count` bits that are one.
    pub fn push_ones(&mut self, count: usize) {
        let mut left = count;
        while left > 0 {
            let step = left.min(Self::STEP);
            self.push_word(u64::MAX, step);
            left -= step;
        }
    }

    /// Adds bits `start..end` of `other`. Bits past the end of `other` are left out.
    pub fn append_range(&mut self, other: &Self, start: usize, end: usize) {
        let end = end.min(other.len);
        let mut at = start;
        while at < end {
            let step = (end - at).min(Self::STEP);
            self.push_word(other.word(at), step);
            at += step;
        }
    }

    /// Whether a bit of `start..end` is zero.
    #[must_use]
    pub fn has_zero(&self, start: usize, end: usize) -> bool {
        let end = end.min(self.len);
        (start..end).step_by(Self::STEP).any(|at| {
            let mask = low_bits((end - at).min(Self::STEP));
            self.word(at) & mask != mask
        })
    }

    /// Becomes the first `len` bits of `bytes`. The caller has checked the length and the tail.
    pub(super) fn assign_checked(&mut self, bytes: &[u8], len: usize) {
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        self.len = len;
    }

    /// Becomes what `fill` writes into the emptied buffer, as `len` bits. The caller checks length and tail
    /// afterwards.
    pub(super) fn refill<E>(&mut self, len: usize, fill: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        self.clear();
        fill(&mut self.bytes)?;
        self.len = len;
        Ok(())
    }

    /// Keeps the first `len` bits.
    pub fn truncate(&mut self, len: usize) {
        if len >= self.len {
            return;
        }
        self.len = len;
        self.bytes.truncate(len.div_ceil(8));
        if let Some(last) = self.bytes.last_mut().filter(|_| !len.is_multiple_of(8)) {
            *last &= (1 << (len % 8)) - 1;
        }
    }

    /// Removes the bits and keeps the buffer.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.len = 0;
    }

    /// At least [`Bits::STEP`] bits from bit `at` on, zeros past the end.
    #[inline]
    fn word(&self, at: usize) -> u64 {
        let rest = self.bytes.get(at / 8..).unwrap_or_default();
        let word = rest.first_chunk::<8>().copied().unwrap_or_else(|| {
            let mut word = [0; 8];
            word.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            word
        });
        u64::from_le_bytes(word) >> (at % 8)
    }

    /// Adds the low `count` bits of `word`, at most [`Bits::STEP`].
    #[inline]
    fn push_word(&mut self, word: u64, count: usize) {
        let used = self.len % 8;
        let word = (word & low_bits(count)) << used;
        let mut bytes = word.to_le_bytes().into_iter().take((used + count).div_ceil(8));
        if used > 0
            && let Some(last) = self.bytes.last_mut()
        {
            *last |= bytes.next().unwrap_or(0);
        }
        self.bytes.extend(bytes);
        self.len += count;
    }
}

/// A word with the low `count` bits set, for fewer than 64.
fn low_bits(count: usize) -> u64 {
    (1 << count) - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(bits: &[bool]) -> Bits {
        let mut made = Bits::default();
        bits.iter().for_each(|bit| made.push(*bit));
        made
    }

    proptest! {
        #[test]
        fn ranges_ones_and_truncation_are_as_in_a_list_of_bools(
            first in prop::collection::vec(any::<bool>(), 0..150),
            second in prop::collection::vec(any::<bool>(), 0..150),
            ones in 0usize..150,
            (a, b, keep) in (0usize..160, 0usize..160, 0usize..300),
        ) {
            let (start, end) = (a.min(b), a.max(b));
            let mut bits = of(&first);
            bits.append_range(&of(&second), start, end);
            bits.push_ones(ones);
            let range = second.get(start.min(second.len())..end.min(second.len())).unwrap();
            let mut expected = [&first, range, &vec![true; ones]].concat();
            prop_assert_eq!(&bits, &of(&expected));
            prop_assert_eq!(bits.zeros(), expected.iter().filter(|bit| !**bit).count());
            prop_assert_eq!(of(&second).has_zero(start, end), range.contains(&false));
            bits.truncate(keep);
            expected.truncate(keep);
            prop_assert_eq!(bits, of(&expected));
        }
    }
}
