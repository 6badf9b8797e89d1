use std::collections::VecDeque;

use super::work::{Work, by_share};

/// The leases with work on a device: the waiting work of each, and the device time that each has used.
#[derive(Debug)]
pub(super) struct LeaseTable<T> {
    pub(super) entries: Vec<LeaseEntry<T>>,
    /// The used time of the lease that ran last. A newcomer starts there.
    clock: u128,
}

/// A lease with work on the device.
#[derive(Debug)]
pub(super) struct LeaseEntry<T> {
    pub(super) lease: u64,
    /// Nanoseconds of runs that are over, as if all of the device were its own.
    pub(super) used: u128,
    /// The same for runs in flight, as of the last look.
    pub(super) in_flight: u128,
    pub(super) waiting: VecDeque<Work<T>>,
}

impl<T> LeaseEntry<T> {
    /// The used time that decides about the next turn: the lease with the least is next.
    pub(super) fn turn(&self) -> u128 {
        self.used.saturating_add(self.in_flight)
    }
}

/// The error of a lease that has too much waiting work already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMuchWaits;

impl<T: Clone> LeaseTable<T> {
    /// Maximum number of waiting calls of one lease. A lane waits for its answer before its next call, so an
    /// instance has at most one call for each lane. No machine has CPUs for as many lanes, and a look at all
    /// waiting calls takes less than some 10 µs.
    pub(super) const WAITING_CALLS: usize = 256;
    /// Maximum bytes of waiting inputs of one lease; a single call may be larger. 64 MiB is three batches of 32
    /// images of 224 × 224 × 3 floats.
    pub(super) const WAITING_BYTES: usize = 64 << 20;

    pub(super) fn new() -> Self {
        Self { entries: Vec::new(), clock: 0 }
    }

    /// Adds work that waits. `is_idle` tells that nothing runs on the device.
    ///
    /// # Errors
    /// Too much of its lease waits already.
    pub(super) fn submit(&mut self, work: Work<T>, is_idle: bool) -> Result<(), TooMuchWaits> {
        if is_idle && self.waiting() == 0 {
            // The device was idle, so earlier use took nothing from a newcomer.
            self.entries.clear();
        }
        let clock = self.clock;
        let at = self.entry(work.lease);
        let Some(entry) = self.entries.get_mut(at) else { return Err(TooMuchWaits) };
        let bytes: usize = entry.waiting.iter().map(|waiting| waiting.bytes).sum();
        let empty = entry.waiting.is_empty();
        if entry.waiting.len() >= Self::WAITING_CALLS || (!empty && bytes + work.bytes > Self::WAITING_BYTES) {
            return Err(TooMuchWaits);
        }
        if empty {
            entry.used = entry.used.max(clock);
        }
        entry.waiting.push_back(work);
        Ok(())
    }

    /// Adds work that is tried once more, apart, before all other waiting work of its lease.
    pub(super) fn again(&mut self, work: Work<T>) {
        let clock = self.clock;
        let at = self.entry(work.lease);
        let Some(entry) = self.entries.get_mut(at) else { return };
        if entry.waiting.is_empty() {
            entry.used = entry.used.max(clock);
        }
        entry.waiting.push_front(work);
    }

    /// Charges a lease for device time in nanoseconds, by its share in 1/10,000.
    pub(super) fn charge(&mut self, lease: u64, share: u32, took: u64) {
        let at = self.entry(lease);
        if let Some(entry) = self.entries.get_mut(at) {
            entry.used = entry.used.saturating_add(by_share(took, share));
        }
    }

    /// Counts device time of a run that is not over, so that its lease has its turn later.
    pub(super) fn weigh(&mut self, lease: u64, used: u128) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.lease == lease) {
            entry.in_flight = entry.in_flight.saturating_add(used.max(1));
        }
    }

    /// Forgets the leases that are even with a newcomer, and returns the indices of the others, by turn.
    pub(super) fn by_turn(&mut self) -> Vec<usize> {
        let clock = self.clock;
        self.entries.retain(|entry| !entry.waiting.is_empty() || entry.in_flight > 0 || entry.used > clock);
        let mut order: Vec<usize> = (0..self.entries.len()).collect();
        order.sort_by_key(|&at| self.entries.get(at).map(LeaseEntry::turn));
        order
    }

    /// Notes the used time of the lease that runs now.
    pub(super) fn runs(&mut self, used: u128) {
        self.clock = self.clock.max(used);
    }

    /// Number of calls that wait.
    pub(super) fn waiting(&self) -> usize {
        self.entries.iter().map(|entry| entry.waiting.len()).sum()
    }

    /// Rows that wait, by model.
    pub(super) fn waiting_rows(&self, models: usize) -> Vec<usize> {
        let mut rows = vec![0; models];
        for work in self.entries.iter().flat_map(|entry| &entry.waiting) {
            if let Some(rows) = rows.get_mut(work.model) {
                *rows += work.rows.len();
            }
        }
        rows
    }

    /// Takes out the waiting work for which `out` holds.
    pub(super) fn take_out(&mut self, out: impl Fn(&Work<T>) -> bool) -> Vec<Work<T>> {
        let mut taken = Vec::new();
        for entry in &mut self.entries {
            entry.waiting.retain(|work| {
                let out = out(work);
                if out {
                    taken.push(work.clone());
                }
                !out
            });
        }
        taken
    }
    /// Where a lease is among the leases, which it now is.
    fn entry(&mut self, lease: u64) -> usize {
        self.entries.iter().position(|entry| entry.lease == lease).unwrap_or_else(|| {
            let used = self.clock;
            self.entries.push(LeaseEntry { lease, used, in_flight: 0, waiting: VecDeque::new() });
            self.entries.len() - 1
        })
    }
}
