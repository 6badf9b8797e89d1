use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The time that the instances of a stage typically need for a batch, and so the number of batches that a sender
/// may give to one of them in a row.
///
/// A sender with many receivers finds most of them asleep, and their memory in no cache. The first batch pays for the
/// wake-up (about 50 µs with a thousand instances on two cores); the batches behind it are nearly free. But batches
/// behind another one wait for it, while other instances idle. So a run of batches is short in time: an instance
/// works it off within [`BatchTime::RUN_TIME`].
///
/// The typical time is the median of all calls, roughly: each call moves it by an eighth of itself. A call that loses
/// its CPU for a while then counts no more than another one.
#[derive(Debug, Default)]
pub(super) struct BatchTime(AtomicU64);

impl BatchTime {
    /// Longest time for which an instance works on a run of batches.
    pub(super) const RUN_TIME: Duration = Duration::from_millis(1);
    /// Maximum batches of a run. With a thousand instances of `identity`, a record cost 57 ns with 8 and 41 with 16.
    pub(super) const MOST: usize = 16;

    /// An instance has worked on a batch for this time.
    pub(super) fn worked(&self, time: Duration) {
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1);
        // A lost update costs one sample of many.
        let next = match self.0.load(Ordering::Relaxed) {
            0 => time,
            typical if time > typical => typical.saturating_add(typical / 8 + 1).min(time),
            typical => (typical - typical / 8).max(time),
        };
        self.0.store(next, Ordering::Relaxed);
    }

    /// Number of batches in a run: 1 before an instance has worked on a batch.
    pub(super) fn run(&self) -> usize {
        let most = Self::RUN_TIME.as_nanos() as u64;
        match self.0.load(Ordering::Relaxed) {
            0 => 1,
            typical => usize::try_from(most / typical).unwrap_or(Self::MOST).clamp(1, Self::MOST),
        }
    }
}

/// Maximum time between two batches in quick succession: the wake-up for the first can wait for the second, and both
/// may belong to a run. A wake-up and its thread switch cost some 10 µs of CPU.
pub(super) const MOMENT: Duration = Duration::from_micros(200);

/// The batches that a receiver got in a row.
#[derive(Debug, Default)]
pub(super) struct Run {
    batches: usize,
    last: Option<Instant>,
}

impl Run {
    /// Counts a batch that is sent at `now`. Returns `true` if it belongs to a run of at most `most` batches, and
    /// `false` if it begins another one.
    pub(super) fn goes_on(&mut self, now: Instant, most: usize) -> bool {
        let before = self.last.replace(now);
        let goes_on = before.is_some_and(|before| now - before < MOMENT) && self.batches < most;
        self.batches = if goes_on { self.batches + 1 } else { 1 };
        goes_on
    }

    /// Returns `true` if the last batch was the last of its run.
    pub(super) fn is_over(&self, most: usize) -> bool {
        self.batches >= most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch_time(times: impl IntoIterator<Item = u64>) -> BatchTime {
        let batch_time = BatchTime::default();
        times.into_iter().for_each(|micros| batch_time.worked(Duration::from_micros(micros)));
        batch_time
    }

    #[test]
    fn a_run_takes_a_millisecond_at_most_and_has_sixteen_batches_at_most() {
        let cases = [(vec![], 1), (vec![10], 16), (vec![300], 3), (vec![2000], 1), (vec![1_000_000], 1), (vec![0], 16)];
        for (times, run) in cases {
            assert_eq!(batch_time(times.clone()).run(), run, "{times:?}");
        }
    }

    /// Whether each of the batches, sent so many microseconds after the first, belongs to a run.
    fn runs(sent: &[u64], most: usize) -> Vec<bool> {
        let (mut run, begin) = (Run::default(), Instant::now());
        sent.iter().map(|&after| run.goes_on(begin + Duration::from_micros(after), most)).collect()
    }

    #[test]
    fn a_run_ends_with_its_most_batches_and_when_no_batch_comes_for_a_moment() {
        assert_eq!(runs(&[0, 1, 2, 3, 4, 5, 6], 3), [false, true, true, false, true, true, false]);
        assert_eq!(runs(&[0, 100, 400, 500, 700], 8), [false, true, false, true, false]);
        assert_eq!(runs(&[0, 1, 2], 1), [false; 3]);
        assert_eq!(runs(&[0, 1, 2], 0), [false; 3], "a receiver without room for a batch takes one as well");
    }

    #[test]
    fn calls_that_lost_their_cpu_do_not_count() {
        let times = (0..1000).map(|call| if call % 5 == 0 { 30_000 } else { 10 });
        assert_eq!(batch_time(times).run(), BatchTime::MOST);
    }

    #[test]
    fn batches_that_become_heavy_are_handed_out_one_by_one() {
        let times = std::iter::repeat_n(10, 1000).chain(std::iter::repeat_n(5000, 60));
        assert_eq!(batch_time(times).run(), 1);
    }
}
