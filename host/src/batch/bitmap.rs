/// A checked bitmap over the records of a batch, least significant bit first.
#[derive(Debug, Clone, Copy)]
pub struct Bitmap<'a>(&'a [u8]);

impl<'a> Bitmap<'a> {
    /// Wraps the bytes of a bitmap that [`check_bitmap`](super::check_bitmap) passed.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether record `row` is set; a row past the end is not.
    #[must_use]
    pub fn get(self, row: usize) -> bool {
        self.0.get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 == 1)
    }

    /// How many records are set.
    #[must_use]
    pub fn count(self) -> usize {
        self.0.iter().map(|byte| byte.count_ones() as usize).sum()
    }

    /// Calls `run(start, end)` for each maximal run of set records, in order: neighbours are copied together.
    pub fn runs(self, records: usize, mut run: impl FnMut(usize, usize)) {
        let mut start = None;
        for (at, &byte) in self.0.iter().enumerate() {
            let base = at * 8;
            match (byte, start) {
                (0xff, Some(_)) | (0, None) => {}
                (0xff, None) => start = Some(base),
                (0, Some(from)) => {
                    run(from, base);
                    start = None;
                }
                _ => {
                    for bit in 0..8 {
                        let set = byte >> bit & 1 == 1;
                        match (set, start) {
                            (true, None) => start = Some(base + bit),
                            (false, Some(from)) => {
                                run(from, base + bit);
                                start = None;
                            }
                            _ => {}
                        }
                    }
                }
            }
        }
        if let Some(from) = start {
            run(from, records);
        }
    }
}

#[cfg(test)]
mod tests {
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
    }
}
