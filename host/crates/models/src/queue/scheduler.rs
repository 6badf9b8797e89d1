use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::failed_run::{Apart, FailedRun, Member, MemberOutcome, part};
use super::lease_table::{LeaseTable, TooMuchWaits};
use super::work::{Batch, Ended, Rules, Work, by_share, nanoseconds};

/// Who runs next on a device, and together with whom. Knows no threads and no clock but what it is told.
///
/// **Fair by share.** Each lease has a `used` time: the device time that it was charged, divided by its share. The lease with the least of it is
/// next. That is deficit round-robin without a quantum (start-time fair queueing: Goyal, Vin and Cheng, 1996): nothing to tune, and a lease that
/// was idle is next at once instead of after a round. One that comes back starts where the others are, so that idling saves nothing up.
///
/// **Charges.** A lease is charged when a run is over, by what that run took on the device: whether it was answered, failed or hung, whatever its model
/// is, and however long its inputs are. What several share is divided by rows. While something runs, its lease counts as having used what the
/// model's rows took lately, or what has passed since the run began if that is more.
///
/// **Batches.** A run is one call, chosen by fairness, and then whatever compatible calls of its model fit below `max_rows`, chosen by fairness too. None
/// joins whose deadline, or the others', leaves less than twice what the run is expected to take. A call of more than `max_rows` is cut, so that nobody
/// waits for more than one run of `max_rows`.
///
/// **Failures.** What failed in company is tried once more apart, so that each call is begun at most three times; see [`FailedRun`] for who pays. A
/// lease whose calls fail apart too runs that model without company from then on. A model whose calls only fail in company runs with half as
/// many rows together from then on. Where the device itself was lost, everything that ran is tried again with nothing beside it.
///
/// Does not bound how long a run takes: what has begun is not interrupted, and who comes then waits for it.
#[derive(Debug)]
pub(super) struct Scheduler<T> {
    models: Vec<ModelEntry>,
    leases: LeaseTable<T>,
    /// Runs that were picked and are not over.
    running: Vec<Running<T>>,
    /// Runs that were picked so far.
    runs: u64,
    /// Runs that failed and whose calls are tried apart.
    failed: Vec<FailedRun<T>>,
    /// The failed run that stands for a lost device, and the first run that began after that.
    lost: Option<(u64, u64)>,
    /// What calls owe for runs that gave them nothing, since this was last asked.
    owed: Vec<(T, Duration)>,
}

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

/// A run under way.
#[derive(Debug)]
struct Running<T> {
    number: u64,
    began: Instant,
    /// Nanoseconds that it is expected to take.
    expected: u64,
    parts: Vec<Part<T>>,
    exclusive: bool,
    state: RunState,
}

/// What a call has in a run.
#[derive(Debug, Clone)]
struct Part<T> {
    call: T,
    lease: u64,
    share: u32,
    rows: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RunState {
    InFlight,
    /// It has ended, and the device is not ready for another in its place. Its own call was at fault, or the failed run with this number will tell.
    Recovering(Option<u64>),
}

#[derive(Debug)]
struct ModelEntry {
    rules: Rules,
    /// Nanoseconds of device time, smoothed.
    row_cost: u64,
    /// Rows that run together at most: more have failed, though none of them did alone.
    most_together: usize,
    /// When a run of it was over last: until then nobody could have run, so nobody waited for company.
    free_since: Option<Instant>,
    /// Leases whose calls run without company, the last to be found out last.
    loners: VecDeque<u64>,
}

impl<T: Clone> Scheduler<T> {
    /// What a row is expected to take before one was measured, in nanoseconds. Only its order of magnitude matters, and only for the first run.
    const UNMEASURED_ROW: u64 = 1_000_000;
    /// Leases that are remembered for having failed in company. More than run on a device at a time, in practice; one that is forgotten costs a
    /// batch that fails.
    const LONERS: usize = 64;

    pub(super) fn new() -> Self {
        Self {
            models: Vec::new(),
            leases: LeaseTable::new(),
            running: Vec::new(),
            runs: 0,
            failed: Vec::new(),
            lost: None,
            owed: Vec::new(),
        }
    }

    /// One more model; answers its number. `row_time` is what a row takes, where that is known.
    pub(super) fn add_model(&mut self, rules: Rules, row_time: Option<Duration>) -> usize {
        let row_cost = row_time.map_or(Self::UNMEASURED_ROW, nanoseconds).max(1);
        let (most_together, loners) = (usize::MAX, VecDeque::new());
        self.models.push(ModelEntry { rules, row_cost, most_together, free_since: None, loners });
        self.models.len() - 1
    }

    /// Something to run.
    ///
    /// # Errors
    /// Too much of its lease waits already.
    pub(super) fn submit(&mut self, work: Work<T>) -> Result<(), TooMuchWaits> {
        self.leases.submit(work, self.running.is_empty())
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
        self.leases.waiting()
    }

    /// What calls owe for runs that gave them nothing, since this was last asked.
    pub(super) fn take_owed(&mut self) -> Vec<(T, Duration)> {
        std::mem::take(&mut self.owed)
    }

    /// What to run now.
    pub(super) fn pick(&mut self, now: Instant) -> Pick<T> {
        if self.running.iter().any(|run| run.exclusive) {
            return Pick::Nothing;
        }
        self.weigh_what_runs(now);
        let order = self.leases.by_turn();
        let rows = self.leases.waiting_rows(self.models.len());
        let mut earliest: Option<Instant> = None;
        for at in order {
            let Some(entry) = self.leases.entries.get(at) else { continue };
            let used = entry.used;
            for place in 0..entry.waiting.len() {
                let Some(work) = entry.waiting.get(place) else { continue };
                let ripe = self.ripe(work, rows.get(work.model).copied().unwrap_or(0));
                if ripe <= now {
                    if work.apart.is_some_and(|apart| apart.exclusive) && !self.running.is_empty() {
                        // Whoever ends the last of what runs looks again.
                        return Pick::Nothing;
                    }
                    self.leases.runs(used);
                    return self.batch(at, place, now).map_or(Pick::Nothing, Pick::Run);
                }
                earliest = Some(earliest.map_or(ripe, |other| other.min(ripe)));
            }
        }
        earliest.map_or(Pick::Nothing, Pick::Wait)
    }

    /// A call of a run is not begun after all: its caller is gone, or its lease does not stand any more.
    pub(super) fn leave_out(&mut self, batch: u64, work: &Work<T>) {
        if let Some(run) = self.running.iter_mut().find(|run| run.number == batch)
            && let Some(at) = run.parts.iter().position(|part| (part.lease, part.rows) == (work.lease, work.rows.len()))
        {
            run.parts.swap_remove(at);
        }
        self.settle(work, MemberOutcome::Gone);
    }

    /// A run is over, having taken so long. Answers the calls of it that have failed for good; the others have their answers, or wait to be tried
    /// apart. After [`Ended::Late`] and [`Ended::Lost`] the device counts as in use until [`Scheduler::recovered`].
    pub(super) fn over(&mut self, batch: &Batch<T>, ended: Ended, took: Duration, now: Instant) -> Vec<T> {
        let took = nanoseconds(took);
        let rows = batch.rows();
        if let Some(model) = self.models.get_mut(batch.model) {
            model.free_since = Some(now);
            if ended == Ended::Answered && rows > 0 {
                let sample = took / u64::try_from(rows).unwrap_or(u64::MAX).max(1);
                // An eighth, as TCP smooths its round trips: a run that the machine held up does not count for much.
                model.row_cost = (model.row_cost - model.row_cost / 8 + sample / 8).max(1);
            }
        }
        let recovers = matches!(ended, Ended::Late | Ended::Lost) && rows > 0;
        let is_beside = self.running.iter().any(|run| run.number != batch.number);
        let mut failed = Vec::new();
        let mut standing_for = None;
        match (ended, batch.works.as_slice()) {
            (_, []) => {}
            (Ended::Answered, works) => {
                for work in works {
                    self.leases.charge(work.lease, work.share, part(took, work.rows.len(), rows));
                    self.settle(work, MemberOutcome::Cleared);
                }
            }
            (_, [work]) if !self.may_be_innocent(batch.number, work, ended, is_beside) => {
                self.leases.charge(work.lease, work.share, took);
                self.owed.push((work.call.clone(), Duration::from_nanos(took)));
                if work.apart.is_some() {
                    self.keep_alone(work.model, work.lease);
                }
                // A mere error is not what took the device, or its time, before.
                let is_cleared = work.apart.is_some_and(|apart| apart.exclusive) && ended == Ended::Failed;
                self.settle(work, if is_cleared { MemberOutcome::Cleared } else { MemberOutcome::Failed });
                failed.push(work.call.clone());
            }
            (_, works) => {
                let number = self.failed_run(batch, ended);
                standing_for = Some(number);
                for work in works {
                    // A run beside others that the device was lost with: what it stood for before stays open no longer.
                    self.settle(work, MemberOutcome::Gone);
                    let is_late = ended == Ended::Late && work.until <= now;
                    let outcome = if is_late { MemberOutcome::Gone } else { MemberOutcome::Open };
                    let member = Part::of(work).with(outcome, part(took, work.rows.len(), rows));
                    let Some(run) = self.failed.iter_mut().find(|run| run.number == number) else { continue };
                    let member = run.add(member);
                    if is_late {
                        failed.push(work.call.clone());
                    } else {
                        let apart = Apart { failed: number, member, exclusive: recovers };
                        self.leases.again(Work { apart: Some(apart), ..work.clone() });
                    }
                }
                self.pay_if_settled(number);
            }
        }
        match self.running.iter_mut().find(|run| run.number == batch.number) {
            Some(run) if recovers => run.state = RunState::Recovering(standing_for),
            _ => self.running.retain(|run| run.number != batch.number),
        }
        failed
    }

    /// The device is ready again after a run that was [`Ended::Late`] or [`Ended::Lost`], which took so long.
    pub(super) fn recovered(&mut self, batch: u64, took: Duration) {
        let Some(at) = self.running.iter().position(|run| run.number == batch) else { return };
        let run = self.running.swap_remove(at);
        let took = nanoseconds(took);
        if let RunState::Recovering(Some(number)) = run.state
            && let Some(failed) = self.failed.iter_mut().find(|run| run.number == number)
        {
            failed.recovery = failed.recovery.saturating_add(took);
            self.pay_if_settled(number);
            return;
        }
        let rows = run.parts.iter().map(|part| part.rows).sum();
        for Part { call, lease, share, rows: own } in run.parts {
            let took = part(took, own, rows);
            self.leases.charge(lease, share, took);
            self.owed.push((call, Duration::from_nanos(took)));
        }
    }

    /// Whether a call that failed without company may have failed because of something else that ran on the device.
    fn may_be_innocent(&self, batch: u64, work: &Work<T>, ended: Ended, is_beside: bool) -> bool {
        let is_exclusive = work.apart.is_some_and(|apart| apart.exclusive);
        ended == Ended::Lost && !is_exclusive && (is_beside || self.lost.is_some_and(|(_, before)| batch < before))
    }

    /// The failed run that a batch belongs to: its own, or that of the device that was lost while it ran.
    fn failed_run(&mut self, batch: &Batch<T>, ended: Ended) -> u64 {
        if let Some((number, _)) = self.lost.filter(|(_, before)| batch.number < *before && ended != Ended::Failed)
            && self.failed.iter().any(|run| run.number == number)
        {
            return number;
        }
        let mut failed = FailedRun::new(batch.number, batch.model);
        if ended == Ended::Lost {
            // One that is past its deadline has cost the device.
            let past = |run: &&mut Running<T>| run.number != batch.number && run.state != RunState::InFlight;
            match self.running.iter_mut().find(past) {
                Some(Running { state: RunState::Recovering(Some(number)), .. }) => {
                    self.lost = Some((*number, self.runs));
                    return *number;
                }
                Some(run) => {
                    for part in &run.parts {
                        // It has paid for its run itself.
                        failed.add(part.clone().with(MemberOutcome::Culprit, 0));
                    }
                    run.state = RunState::Recovering(Some(batch.number));
                }
                None => {}
            }
            self.lost = Some((batch.number, self.runs));
        }
        self.failed.push(failed);
        batch.number
    }

    /// From now on calls of this lease run this model without company.
    fn keep_alone(&mut self, model: usize, lease: u64) {
        let Some(model) = self.models.get_mut(model) else { return };
        if model.loners.contains(&lease) {
            return;
        }
        if model.loners.len() >= Self::LONERS {
            model.loners.pop_front();
        }
        model.loners.push_back(lease);
    }

    /// What became of a call that was tried apart.
    fn settle(&mut self, work: &Work<T>, outcome: MemberOutcome) {
        let Some(apart) = work.apart else { return };
        if let Some(run) = self.failed.iter_mut().find(|run| run.number == apart.failed) {
            run.note(apart.member, outcome);
            self.pay_if_settled(apart.failed);
        }
    }

    /// Has a failed run paid for once the outcome of all its calls is known, and the device is ready again.
    fn pay_if_settled(&mut self, number: u64) {
        let is_open = |run: &Running<T>| run.state == RunState::Recovering(Some(number));
        if self.running.iter().any(is_open) {
            return;
        }
        let Some(at) = self.failed.iter().position(|run| run.number == number && run.is_settled()) else { return };
        let run = self.failed.swap_remove(at);
        for (member, took) in run.payers() {
            self.leases.charge(member.lease, member.share, took);
            self.owed.push((member.call.clone(), Duration::from_nanos(took)));
            if run.worst() == MemberOutcome::Gone {
                self.keep_alone(run.model, member.lease);
            }
        }
        if run.worst() == MemberOutcome::Cleared
            && let Some(model) = self.models.get_mut(run.model)
        {
            model.most_together = model.most_together.min(run.rows() / 2).max(1);
        }
    }

    /// The work of a lease, and then what may run with it.
    fn batch(&mut self, at: usize, place: usize, now: Instant) -> Option<Batch<T>> {
        let first = self.take(at, place)?;
        let model = first.model;
        let &ModelEntry { rules: Rules { max_rows, together, .. }, row_cost, most_together, .. } =
            self.models.get(model)?;
        let mut room = max_rows.min(most_together).saturating_sub(first.rows.len());
        let mut rows = first.rows.len();
        let mut until = first.until;
        let mut works = vec![first];
        while together && room > 0 {
            let Some(first) = works.first().filter(|first| self.sociable(first)) else { break };
            let is_in_time = |work: &Work<T>| {
                let expected = row_cost.saturating_mul((rows + work.rows.len()) as u64);
                let left = work.until.min(until).saturating_duration_since(now);
                expected.saturating_mul(2) <= nanoseconds(left)
            };
            let fits = |work: &Work<T>| {
                work.model == model
                    && work.rows.len() <= room
                    && work.kind == first.kind
                    && self.sociable(work)
                    && is_in_time(work)
            };
            let next = self.leases.entries.iter().enumerate().filter_map(|(at, entry)| {
                let place = entry.waiting.iter().position(fits)?;
                Some((entry.turn(), at, place))
            });
            let Some((_, at, place)) = next.min() else { break };
            let work = self.take(at, place)?;
            room -= work.rows.len();
            rows += work.rows.len();
            until = until.min(work.until);
            works.push(work);
        }
        let number = self.runs;
        self.runs += 1;
        self.running.push(Running {
            number,
            began: now,
            expected: works.iter().map(|work| self.expected(work)).fold(0, u64::saturating_add),
            parts: works.iter().map(Part::of).collect(),
            exclusive: works.iter().any(|work| work.apart.is_some_and(|apart| apart.exclusive)),
            state: RunState::InFlight,
        });
        Some(Batch { number, model, works })
    }

    /// Takes what waits at a place, or as much of it as one run may have. Until the run is over its lease counts as having used what is expected.
    fn take(&mut self, at: usize, place: usize) -> Option<Work<T>> {
        let entry = self.leases.entries.get_mut(at)?;
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
        let expected = by_share(self.expected(&taken), taken.share);
        let entry = self.leases.entries.get_mut(at)?;
        entry.in_flight = entry.in_flight.saturating_add(expected);
        Some(taken)
    }

    /// Nanoseconds of device time, by what rows of the model took lately.
    fn expected(&self, work: &Work<T>) -> u64 {
        let Some(model) = self.models.get(work.model) else { return 0 };
        let rows = if model.rules.cut { work.rows.len() as u64 } else { 1 };
        model.row_cost.saturating_mul(rows)
    }

    /// What each lease has under way, or may have to pay for: until that is known, what a failed run took counts for all that were in it. Else whoever
    /// makes runs fail would be next again before it is found out.
    fn weigh_what_runs(&mut self, now: Instant) {
        self.leases.entries.iter_mut().for_each(|entry| entry.in_flight = 0);
        for run in &self.failed {
            for (member, took) in run.suspects() {
                self.leases.weigh(member.lease, by_share(took, member.share));
            }
        }
        for run in self.running.iter().filter(|run| run.state == RunState::InFlight) {
            let passed = nanoseconds(now.saturating_duration_since(run.began)).max(run.expected).max(1);
            let rows = run.parts.iter().map(|part| part.rows).sum();
            for Part { lease, share, rows: own, .. } in &run.parts {
                self.leases.weigh(*lease, by_share(part(passed, *own, rows), *share));
            }
        }
    }

    /// When a call stops waiting for company, where `rows` of its model wait: enough of them are a batch, or near one where their shapes differ.
    ///
    /// It waits for company from when it could have run: those that a run just answered ask again within moments, and else the one that came
    /// during it would always run alone, and they without it.
    fn ripe(&self, work: &Work<T>, rows: usize) -> Instant {
        let Some(model) = self.models.get(work.model) else { return work.since };
        let Rules { max_rows, max_delay, together, .. } = model.rules;
        let enough = max_rows.min(model.most_together);
        if !together || max_delay.is_zero() || rows >= enough || !self.sociable(work) {
            return work.since;
        }
        // Who would be late by waiting does not wait.
        let from = model.free_since.map_or(work.since, |free| free.max(work.since));
        from.checked_add(max_delay).filter(|end| *end < work.until).unwrap_or(work.since)
    }

    fn sociable(&self, work: &Work<T>) -> bool {
        work.apart.is_none()
            && work.kind.0.is_some()
            && self.models.get(work.model).is_some_and(|model| !model.loners.contains(&work.lease))
    }

    fn take_out(&mut self, out: impl Fn(&Work<T>) -> bool) -> Vec<T> {
        let taken = self.leases.take_out(out);
        taken.iter().for_each(|work| self.settle(work, MemberOutcome::Gone));
        taken.into_iter().map(|work| work.call).collect()
    }
}

impl<T: Clone> Part<T> {
    fn of(work: &Work<T>) -> Self {
        Self { call: work.call.clone(), lease: work.lease, share: work.share, rows: work.rows.len() }
    }

    fn with(self, outcome: MemberOutcome, took: u64) -> Member<T> {
        let Self { call, lease, share, rows } = self;
        Member { call, lease, share, rows, took, outcome }
    }
}
