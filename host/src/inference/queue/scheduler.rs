use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::inference::{DType, Tensor};

/// Who runs next on a device, and together with whom. Knows no threads and no clock but what it is told.
///
/// **Fair by share.** Each lease has a `used` time: the device time that it was charged, divided by its share. The lease with the least of it is
/// next. That is deficit round-robin without a quantum (start-time fair queueing: Goyal, Vin and Cheng, 1996): nothing to tune, and a lease that
/// was idle is next at once instead of after a round. One that comes back starts where the others are, so that idling saves nothing up. What a row
/// costs is measured of each model, so that leases with different models share time, not rows; of one model it is the same.
///
/// **Batches.** A run is one call, chosen by fairness, and then whatever compatible calls of its model fit below `max_rows`, chosen by fairness too;
/// each lease is charged for its own rows. A call of more than `max_rows` is cut, so that nobody waits for more than one run of `max_rows`.
///
/// Does not bound how long a run takes: what has begun is not interrupted, and who comes then waits for it.
#[derive(Debug)]
pub(super) struct Scheduler<T> {
    models: Vec<ModelEntry>,
    leases: Vec<LeaseEntry<T>>,
    /// What the lease that ran last had used: where newcomers start.
    clock: u128,
    /// Runs that were picked and are not over.
    running: usize,
}

/// How calls of a model may be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    /// Rows of one run at most.
    pub(super) max_rows: usize,
    /// How long a call may wait for company.
    pub(super) max_delay: Duration,
    /// Whether its first dimension is rows, by which a call can be cut.
    pub(super) cut: bool,
    /// Whether calls run together.
    pub(super) together: bool,
}

/// A call that waits, or the part of one that runs.
#[derive(Debug, Clone)]
pub(super) struct Work<T> {
    /// Whose it is.
    pub(super) call: T,
    /// The lease it runs for, and its share in 1/10,000.
    pub(super) lease: u64,
    pub(super) share: u32,
    /// The model's number.
    pub(super) model: usize,
    /// Calls of one kind can run together.
    pub(super) kind: Kind,
    /// Which of the call's rows.
    pub(super) rows: Range<usize>,
    /// Bytes of its inputs.
    pub(super) bytes: usize,
    /// Since when it waits.
    pub(super) since: Instant,
    /// When its answer is of no use any more.
    pub(super) until: Instant,
    /// It runs without company: it did not do well in it.
    pub(super) alone: bool,
}

/// The types and all dimensions but the rows of a call's inputs; `None` of a call that runs whole and alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind(Option<Vec<(DType, Vec<usize>)>>);

/// What is to be done now.
#[derive(Debug)]
pub(super) enum Pick<T> {
    /// Run this; say [`Scheduler::over`] afterwards.
    Run(Batch<T>),
    /// Nothing before this moment, unless something comes.
    Wait(Instant),
    /// Nothing waits.
    Nothing,
}

/// What runs together.
#[derive(Debug)]
pub(super) struct Batch<T> {
    /// The model's number.
    pub(super) model: usize,
    /// At least one; their rows follow each other.
    pub(super) works: Vec<Work<T>>,
}

/// Too much of a lease waits already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMuchWaits;

#[derive(Debug)]
struct ModelEntry {
    rules: Rules,
    /// Nanoseconds of device time, smoothed.
    row_cost: u64,
    /// When a run of it was over last: until then nobody could have run, so nobody waited for company.
    free_since: Option<Instant>,
    /// Leases whose calls run without company, the last to be found out last.
    loners: VecDeque<u64>,
}

#[derive(Debug)]
struct LeaseEntry<T> {
    lease: u64,
    share: u32,
    /// Nanoseconds, as if all of the device were its own.
    used: u128,
    waiting: VecDeque<Work<T>>,
}

impl<T: Clone> Scheduler<T> {
    /// Calls of one lease that may wait. A lane waits for its answer before it asks again, so that an instance has as many as it has lanes; this
    /// is above what machines have CPUs for, and keeps a look at all that waits below some 10 µs.
    pub(super) const WAITING_CALLS: usize = 256;
    /// Bytes of inputs of one lease that may wait, beside a call that is larger by itself: 64 MiB is three batches of 32 images
    /// of 224 × 224 × 3 floats.
    pub(super) const WAITING_BYTES: usize = 64 << 20;
    /// What a row costs before one was measured, in nanoseconds. Only its order of magnitude matters, and only for the first run.
    const UNMEASURED_ROW: u64 = 1_000_000;
    /// Leases that are remembered for having failed in company. More than run on a device at a time, in practice; one that is forgotten costs a
    /// batch that fails.
    const LONERS: usize = 64;

    pub(super) fn new() -> Self {
        Self { models: Vec::new(), leases: Vec::new(), clock: 0, running: 0 }
    }

    /// One more model; answers its number. `row_time` is what a row takes, where that is known.
    pub(super) fn add_model(&mut self, rules: Rules, row_time: Option<Duration>) -> usize {
        let row_cost = row_time.map_or(Self::UNMEASURED_ROW, nanoseconds).max(1);
        self.models.push(ModelEntry { rules, row_cost, free_since: None, loners: VecDeque::new() });
        self.models.len() - 1
    }

    /// Something to run.
    ///
    /// # Errors
    /// Too much of its lease waits already.
    pub(super) fn submit(&mut self, work: Work<T>) -> Result<(), TooMuchWaits> {
        if self.running == 0 && self.leases.iter().all(|entry| entry.waiting.is_empty()) {
            // The device was idle: what anybody used before took nothing from who comes now.
            self.leases.clear();
        }
        let clock = self.clock;
        let at = self.entry(&work);
        let Some(entry) = self.leases.get_mut(at) else { return Err(TooMuchWaits) };
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

    /// Part of a batch that failed, to run once more, alone, before whatever else its lease has waiting.
    pub(super) fn again_alone(&mut self, work: Work<T>) {
        let clock = self.clock;
        let at = self.entry(&work);
        let Some(entry) = self.leases.get_mut(at) else { return };
        if entry.waiting.is_empty() {
            entry.used = entry.used.max(clock);
        }
        entry.waiting.push_front(Work { alone: true, ..work });
    }

    /// From now on calls of this lease run this model without company: it failed alone what it had made fail for others.
    pub(super) fn keep_alone(&mut self, model: usize, lease: u64) {
        let Some(model) = self.models.get_mut(model) else { return };
        if model.loners.contains(&lease) {
            return;
        }
        if model.loners.len() >= Self::LONERS {
            model.loners.pop_front();
        }
        model.loners.push_back(lease);
    }

    /// Takes out what is too late to run.
    pub(super) fn take_late(&mut self, now: Instant) -> Vec<T> {
        self.take_out(|work| work.until <= now)
    }

    /// Takes out what waits of a call.
    pub(super) fn give_up(&mut self, lease: u64, same: impl Fn(&T) -> bool) {
        self.take_out(|work| work.lease == lease && same(&work.call));
    }

    /// Takes out all that waits.
    pub(super) fn take_all(&mut self) -> Vec<T> {
        self.take_out(|_| true)
    }

    /// How many calls wait.
    pub(super) fn waiting(&self) -> usize {
        self.leases.iter().map(|entry| entry.waiting.len()).sum()
    }

    /// What to run now.
    pub(super) fn pick(&mut self, now: Instant) -> Pick<T> {
        self.leases.retain(|entry| !entry.waiting.is_empty() || entry.used > self.clock);
        let mut order: Vec<usize> = (0..self.leases.len()).collect();
        order.sort_by_key(|&at| self.leases.get(at).map(|entry| entry.used));
        let rows = self.waiting_rows();
        let mut earliest: Option<Instant> = None;
        for at in order {
            let Some(entry) = self.leases.get(at) else { continue };
            let used = entry.used;
            for place in 0..entry.waiting.len() {
                let Some(work) = entry.waiting.get(place) else { continue };
                let ripe = self.ripe(work, rows.get(work.model).copied().unwrap_or(0));
                if ripe <= now {
                    self.clock = self.clock.max(used);
                    return self.batch(at, place).map_or(Pick::Nothing, Pick::Run);
                }
                earliest = Some(earliest.map_or(ripe, |other| other.min(ripe)));
            }
        }
        earliest.map_or(Pick::Nothing, Pick::Wait)
    }

    /// A run that was picked is over now; `took` where it says what a row costs.
    pub(super) fn over(&mut self, model: usize, rows: usize, took: Option<Duration>, now: Instant) {
        self.running = self.running.saturating_sub(1);
        let Some(model) = self.models.get_mut(model) else { return };
        model.free_since = Some(now);
        let Some(took) = took else { return };
        let sample = nanoseconds(took) / u64::try_from(rows).unwrap_or(u64::MAX).max(1);
        // An eighth, as TCP smooths its round trips: a run that the machine held up does not count for much.
        model.row_cost = (model.row_cost - model.row_cost / 8 + sample / 8).max(1);
    }

    /// The work of a lease, and then what may run with it.
    fn batch(&mut self, at: usize, place: usize) -> Option<Batch<T>> {
        let first = self.take(at, place)?;
        let model = first.model;
        let Rules { max_rows, together, .. } = self.models.get(model)?.rules;
        let mut room = max_rows.saturating_sub(first.rows.len());
        let mut works = vec![first];
        while together && room > 0 {
            let Some(first) = works.first().filter(|first| self.sociable(first)) else { break };
            let fits = |work: &Work<T>| {
                work.model == model && work.rows.len() <= room && work.kind == first.kind && self.sociable(work)
            };
            let next = self.leases.iter().enumerate().filter_map(|(at, entry)| {
                let place = entry.waiting.iter().position(fits)?;
                Some((entry.used, at, place))
            });
            let Some((_, at, place)) = next.min() else { break };
            let work = self.take(at, place)?;
            room -= work.rows.len();
            works.push(work);
        }
        self.running += 1;
        Some(Batch { model, works })
    }

    /// Takes what waits at a place, or as much of it as one run may have, and charges its lease.
    fn take(&mut self, at: usize, place: usize) -> Option<Work<T>> {
        let entry = self.leases.get_mut(at)?;
        let work = entry.waiting.get_mut(place)?;
        let model = self.models.get(work.model)?;
        let taken = if model.rules.cut && work.rows.len() > model.rules.max_rows {
            let end = work.rows.start + model.rules.max_rows;
            let part = Work { rows: work.rows.start..end, ..work.clone() };
            work.rows.start = end;
            part
        } else {
            entry.waiting.remove(place)?
        };
        let rows = if model.rules.cut { taken.rows.len() } else { 1 };
        let cost = u128::from(model.row_cost) * rows as u128;
        entry.used += cost * 10_000 / u128::from(entry.share.max(1));
        Some(taken)
    }

    /// When a call stops waiting for company, where `rows` of its model wait: enough of them are a batch, or near one where their shapes differ.
    ///
    /// It waits for company from when it could have run: those that a run just answered ask again within moments, and else the one that came
    /// during it would always run alone, and they without it.
    fn ripe(&self, work: &Work<T>, rows: usize) -> Instant {
        let Some(model) = self.models.get(work.model) else { return work.since };
        let Rules { max_rows, max_delay, together, .. } = model.rules;
        if !together || max_delay.is_zero() || rows >= max_rows || !self.sociable(work) {
            return work.since;
        }
        // Who would be late by waiting does not wait.
        let from = model.free_since.map_or(work.since, |free| free.max(work.since));
        from.checked_add(max_delay).filter(|end| *end < work.until).unwrap_or(work.since)
    }

    /// Rows that wait, by model.
    fn waiting_rows(&self) -> Vec<usize> {
        let mut rows = vec![0; self.models.len()];
        for work in self.leases.iter().flat_map(|entry| &entry.waiting) {
            if let Some(rows) = rows.get_mut(work.model) {
                *rows += work.rows.len();
            }
        }
        rows
    }

    fn sociable(&self, work: &Work<T>) -> bool {
        !work.alone
            && work.kind.0.is_some()
            && self.models.get(work.model).is_some_and(|model| !model.loners.contains(&work.lease))
    }

    /// Where the lease of some work is among the leases, which it now is.
    fn entry(&mut self, work: &Work<T>) -> usize {
        self.leases.iter().position(|entry| entry.lease == work.lease).unwrap_or_else(|| {
            let used = self.clock;
            self.leases.push(LeaseEntry { lease: work.lease, share: work.share, used, waiting: VecDeque::new() });
            self.leases.len() - 1
        })
    }

    fn take_out(&mut self, out: impl Fn(&Work<T>) -> bool) -> Vec<T> {
        let mut taken = Vec::new();
        for entry in &mut self.leases {
            entry.waiting.retain(|work| {
                let out = out(work);
                if out {
                    taken.push(work.call.clone());
                }
                !out
            });
        }
        taken
    }
}

impl Kind {
    pub(super) fn of(inputs: &[Tensor]) -> Self {
        let inner = |tensor: &Tensor| tensor.shape().get(1..).unwrap_or_default().to_vec();
        Self(Some(inputs.iter().map(|tensor| (tensor.dtype(), inner(tensor))).collect()))
    }

    /// Of a call whose rows are nobody else's company.
    pub(super) fn whole() -> Self {
        Self(None)
    }
}

impl<T> Batch<T> {
    /// All of them together.
    pub(super) fn rows(&self) -> usize {
        self.works.iter().map(|work| work.rows.len()).sum()
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
