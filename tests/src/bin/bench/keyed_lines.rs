use sage_batch::{Batch, Origin};
use sage_runtime::connector::{ConnectorError, Filled, Source, SourceProgress};

/// A source of records that begin with their key, for a key-by: `k` and five digits, a space, and filling.
/// (Records of `generate` can have keys already, but then a key-by has no work.)
pub(crate) struct KeyedLines {
    count: u64,
    keys: u64,
    next: u64,
    filling: Vec<u8>,
}

/// Length of `k`, five digits and a space.
const PREFIX: usize = 7;

impl KeyedLines {
    /// A source of `count` records of `bytes` bytes with `keys` different keys (at most 100,000).
    pub(crate) fn new(count: u64, keys: u64, bytes: usize) -> Self {
        Self { count, keys, next: 0, filling: vec![b'.'; bytes.saturating_sub(PREFIX)] }
    }
}

impl Source for KeyedLines {
    fn fill(&mut self, batch: &mut Batch, max_records: usize, max_bytes: usize) -> Result<Filled, ConnectorError> {
        let fit = max_records.min(max_bytes / (PREFIX + self.filling.len())) as u64;
        let end = self.count.min(self.next + fit);
        for number in self.next..end {
            // Fibonacci hashing: all keys are about equally frequent, in no particular order.
            let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            let prefix = prefix((mixed * self.keys) >> 32);
            batch.push_payload_with(Origin::new(0, number), |out| {
                out.extend_from_slice(&prefix);
                out.extend_from_slice(&self.filling);
            });
        }
        self.next = end;
        Ok(if end == self.count { Filled::End } else { Filled::More })
    }

    fn progress(&self) -> SourceProgress {
        SourceProgress { done: self.next, total: Some(self.count), bytes: false, bounded: true }
    }
}

fn prefix(key: u64) -> [u8; PREFIX] {
    let mut prefix = *b"k00000 ";
    let mut left = key;
    for digit in prefix.iter_mut().skip(1).take(5).rev() {
        *digit = b'0' + (left % 10) as u8;
        left /= 10;
    }
    prefix
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn records_have_their_length_and_every_key_comes() {
        let mut source = KeyedLines::new(20_000, 100, 32);
        let mut keys = HashSet::new();
        let mut records = 0;
        loop {
            let mut batch = Batch::new();
            let filled = source.fill(&mut batch, 4096, 64 << 10).unwrap();
            for payload in batch.payloads().iter() {
                assert_eq!(payload.len(), 32);
                keys.insert(payload[..6].to_vec());
            }
            records += batch.len();
            if filled == Filled::End {
                break;
            }
        }
        assert_eq!((records, keys.len()), (20_000, 100));
    }
}
