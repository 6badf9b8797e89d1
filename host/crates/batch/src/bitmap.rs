/// A checked bitmap over the records of a batch, least significant bit first.
#[derive(Debug, Clone, Copy)]
pub struct Bitmap<'a>(&'a [u8]);

impl<'a> Bitmap<'a> {
    /// Wraps the bytes of a bitmap that [`check_bitmap`](super::check_bitmap) has accepted.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether the bit of record `row` is set; `false` for a row past the end.
    #[must_use]
    pub fn get(self, row: usize) -> bool {
        self.0.get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 == 1)
    }

    /// Number of records with a set bit.
    #[must_use]
    pub fn count(self) -> usize {
        self.0.iter().map(|byte| byte.count_ones() as usize).sum()
    }

    /// Calls `run(start, end)` for each maximal run of set records, in order. Neighbours can then be copied
    /// together.
    ///
    /// Works on words and counts of bits: the records that a filter keeps have no pattern, and a branch for
    /// each bit was mispredicted half the time.
    #[inline]
    pub fn runs(self, records: usize, mut run: impl FnMut(usize, usize)) {
        let (words, rest) = self.0.as_chunks::<8>();
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        let (mut start, mut end) = (0, 0);
        for (base, word) in (0..).step_by(64).zip(words.iter().chain([&last])) {
            let mut bits = u64::from_le_bytes(*word);
            while bits != 0 {
                let skipped = bits.trailing_zeros();
                let length = (bits >> skipped).trailing_ones();
                let from = base + skipped as usize;
                // A run may continue from the word before.
                if from != end {
                    if start < end {
                        run(start, end);
                    }
                    start = from;
                }
                end = from + length as usize;
                // Shifting out all 64 bits at once would be an overflow.
                bits = bits.checked_shr(skipped + length).unwrap_or(0).checked_shl(skipped + length).unwrap_or(0);
            }
        }
        if start < end {
            run(start, end.min(records));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn runs(bytes: &[u8], records: usize) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        Bitmap::new(bytes).runs(records, |a, b| found.push((a, b)));
        found
    }

    #[test]
    fn runs_cover_exactly_the_set_records() {
        assert_eq!(runs(&[], 0), []);
        assert_eq!(runs(&[0, 0], 16), []);
        assert_eq!(runs(&[0xff, 0x01], 9), [(0, 9)]);
        assert_eq!(runs(&[0b0110_0001, 0xff, 0b1], 17), [(0, 1), (5, 7), (8, 17)]);
        assert_eq!(runs(&[0x80, 0x01], 16), [(7, 9)]);
        assert_eq!(runs(&[0xff, 0xff], 16), [(0, 16)]);
        assert_eq!(runs(&[0xff; 17], 136), [(0, 136)]);
    }

    proptest! {
        #[test]
        fn runs_are_maximal_and_what_get_says(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0), Just(0xff)], 0..40),
        ) {
            let bitmap = Bitmap::new(&bytes);
            let mut found = vec![false; bytes.len() * 8];
            let mut before = None;
            for (start, end) in runs(&bytes, bytes.len() * 8) {
                prop_assert!(start < end && before.is_none_or(|before| before < start));
                found[start..end].fill(true);
                before = Some(end);
            }
            let expected: Vec<bool> = (0..bytes.len() * 8).map(|row| bitmap.get(row)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
