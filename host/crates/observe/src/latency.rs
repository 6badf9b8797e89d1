use std::sync::atomic::{AtomicU64, Ordering};

/// The time that records took from source to sink: a histogram in log-linear buckets (8 for each power of two,
/// so a percentile is exact to 12.5 %), written without locks.
#[derive(Debug)]
pub struct Latency {
    buckets: Box<[AtomicU64]>,
    longest: AtomicU64,
    /// Sum in microseconds, so that it does not overflow soon.
    sum: AtomicU64,
}

/// A histogram with other bounds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Within {
    /// Number of records up to each bound and above the bound before; the last entry counts those above all
    /// bounds.
    pub(super) buckets: Vec<u64>,
    pub(super) count: u64,
    /// Sum over all records, in nanoseconds.
    pub(super) sum: u64,
}

const PER_OCTAVE: u32 = 8;

impl Default for Latency {
    fn default() -> Self {
        let buckets = (0..64 * PER_OCTAVE).map(|_| AtomicU64::new(0)).collect();
        Self { buckets, longest: AtomicU64::new(0), sum: AtomicU64::new(0) }
    }
}

impl Latency {
    /// Counts `rows` records that each took `nanoseconds`.
    pub fn record(&self, nanoseconds: u64, rows: u64) {
        if let Some(bucket) = self.buckets.get(bucket_of(nanoseconds)) {
            bucket.fetch_add(rows, Ordering::Relaxed);
        }
        self.longest.fetch_max(nanoseconds, Ordering::Relaxed);
        self.sum.fetch_add((nanoseconds / 1000).saturating_mul(rows), Ordering::Relaxed);
    }

    /// Counts the records by other bounds, which are in nanoseconds and rising. A record counts as below a
    /// bound only if its whole bucket lies below it, so a time may count up to an eighth too high.
    pub(super) fn within(&self, bounds: &[u64]) -> Within {
        let mut buckets = vec![0; bounds.len() + 1];
        for (bucket, records) in self.buckets.iter().enumerate() {
            let at = bounds.partition_point(|bound| *bound < top_of(bucket));
            if let Some(sum) = buckets.get_mut(at) {
                *sum += records.load(Ordering::Relaxed);
            }
        }
        let count = buckets.iter().sum();
        Within { buckets, count, sum: self.sum.load(Ordering::Relaxed).saturating_mul(1000) }
    }

    /// The time in nanoseconds within which `share` (0 to 1) of the records arrived; `None` without records.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Option<u64> {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        if total == 0 {
            return None;
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            clippy::cast_possible_truncation,
            reason = "a rank"
        )]
        let rank = ((total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in counts.into_iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Some(top_of(bucket).min(self.longest()));
            }
        }
        Some(self.longest())
    }

    /// Number of records.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    /// The longest time of a record, in nanoseconds.
    #[must_use]
    pub fn longest(&self) -> u64 {
        self.longest.load(Ordering::Relaxed)
    }
}

fn bucket_of(value: u64) -> usize {
    let octave = value.max(1).ilog2();
    let within = if octave >= 3 { (value >> (octave - 3)) & 7 } else { 0 };
    (octave * PER_OCTAVE) as usize + within as usize
}

fn top_of(bucket: usize) -> u64 {
    let (octave, within) = (bucket / PER_OCTAVE as usize, bucket % PER_OCTAVE as usize);
    if octave < 3 {
        return (2u64 << octave) - 1;
    }
    let base = 1u128 << octave;
    u64::try_from(base + (base >> 3) * (within as u128 + 1) - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_an_eighth() {
        let latency = Latency::default();
        assert_eq!(latency.percentile(0.5), None);
        for value in 1..=1000u64 {
            latency.record(value * 1000, 1);
        }
        for (share, exact) in [(0.5, 500_000u64), (0.99, 990_000), (1.0, 1_000_000)] {
            let found = latency.percentile(share).unwrap();
            assert!(found >= exact && found <= exact + exact / 8, "{share}: {found}");
        }
        let within = latency.within(&[100_000, 1 << 21]);
        assert_eq!((within.count, within.buckets.len(), within.buckets[2]), (1000, 3, 0));
        assert!((87..=100).contains(&within.buckets[0]), "{within:?}");
        assert_eq!(within.sum, (1..=1000u64).sum::<u64>() * 1000);
        latency.record(u64::MAX, 1);
        assert_eq!(latency.percentile(1.0), Some(u64::MAX));
    }
}
