use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::failed_run::{Apart, FailedRun, MemberOutcome, part};
use super::lease_table::{LeaseTable, TooMuchWaits};
use super::running::{Part, RunState, Running};
use super::work::{Batch, Ended, Rules, Work, by_share, nanoseconds};

/// Chooses the next run of a model on a device, and the calls that run together. The scheduler has no
/// threads, and no clock except the times that it is given.
///
/// **Fair by share.** Each lease has a `used` time: its charged device time, divided by its share. The lease
/// with the least `used` time is next. This is deficit round-robin without a quantum (start-time fair
/// queueing: Goyal, Vin and Cheng, 1996). There is nothing to tune, and a lease that was idle is next at once
/// instead of after a round. A lease that returns starts at the position of the others, so idle time is not
/// saved.
///
/// **Charges.** A lease is charged at the end of a run by the device time of that run, whether it gave a
/// result, failed or hung, for any model and any length of inputs. The time of a batch is divided by rows.
/// During a run, its lease counts as having used the recent time of the model's rows, or the time since the
/// start of the run if that is more.
///
/// **Batches.** A run is one call, chosen by fairness, and then as many compatible calls of its model as fit
/// below `max_rows`, also chosen by fairness. A call does not join if its deadline, or a deadline in the
/// batch, leaves less than twice the expected time of the run. A call of more than `max_rows` is split, so no
/// call waits for more than one run of `max_rows`.
///
/// **Failures.** A call that failed in a batch is retried once in isolation, so each call is started at most
/// three times. [`FailedRun`] describes the charges. If a call fails in isolation too, its lease runs that
/// model without other leases from then on. If the calls of a model fail only in batches, the model uses half
/// as many rows per batch from then on. If the device itself was lost, all calls that ran are retried, with
/// nothing beside them.
///
/// The time of a run is not bounded: a run that has begun is not interrupted, and later calls wait for it.
#[derive(Debug)]
pub(super) struct Scheduler<T> {
    models: Vec<ModelEntry>,
    leases: LeaseTable<T>,
    /// Runs that were picked and are not over.
    running: Vec<Running<T>>,
    /// Number of runs that were picked so far.
    runs: u64,
    /// Failed runs with calls that are being retried in isolation.
    failed: Vec<FailedRun<T>>,
    /// The failed run for a lost device, and the number of the first run that began after the loss.
    lost: Option<(u64, u64)>,
    /// Device time that calls owe for runs without a result, since the last [`Scheduler::take_owed`].
    owed: Vec<(T, Duration)>,
}

/// The next step of the device.
#[derive(Debug)]
pub(super) enum Pick<T> {
    /// Run this batch, then call [`Scheduler::over`].
    Run(Batch<T>),
    /// Wait until this moment, or until a new call comes.
    Wait(Instant),
    /// No call can start now.
    Nothing,
}

#[derive(Debug)]
struct ModelEntry {
    rules: Rules,
    /// Nanoseconds of device time for a row, smoothed.
    row_cost: u64,
    /// Largest number of rows of a batch. Larger batches have failed although their calls succeeded in
    /// isolation.
    most_together: usize,
    /// End of the model's last run. No call could run before, so the wait for other calls starts here.
    free_since: Option<Instant>,
    /// Leases that run this model in isolation. The most recently added is last.
    isolated: VecDeque<u64>,
}

impl<T: Clone> Scheduler<T> {
    /// Expected nanoseconds of a row before the first measurement. Only the order of magnitude matters, and only for
    /// the first run.
    const UNMEASURED_ROW: u64 = 1_000_000;
    /// Number of leases that are remembered for failing in batches. In practice fewer leases run on a device
    /// at a time. A forgotten lease costs one failed batch.
    const MOST_ISOLATED: usize = 64;

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

    /// Adds a model and returns its number. `row_time` is the time of a row, if it is known.
    pub(super) fn add_model(&mut self, rules: Rules, row_time: Option<Duration>) -> usize {
        let row_cost = row_time.map_or(Self::UNMEASURED_ROW, nanoseconds).max(1);
        let (most_together, isolated) = (usize::MAX, VecDeque::new());
        self.models.push(ModelEntry { rules, row_cost, most_together, free_since: None, isolated });
        self.models.len() - 1
    }

    /// Adds a waiting call.
    ///
    /// # Errors
    /// The lease already has too many waiting calls or bytes.
    pub(super) fn submit(&mut self, work: Work<T>) -> Result<(), TooMuchWaits> {
        self.leases.submit(work, self.running.is_empty())
    }

    /// Removes and returns calls after their deadline.
    pub(super) fn take_late(&mut self, now: Instant) -> Vec<T> {
        self.take_out(|work| work.until <= now)
    }

    /// Removes the waiting parts of a call.
    pub(super) fn give_up(&mut self, lease: u64, same: impl Fn(&T) -> bool) {
        self.take_out(|work| work.lease == lease && same(&work.call));
    }

    /// Removes and returns all waiting calls.
    pub(super) fn take_all(&mut self) -> Vec<T> {
        self.take_out(|_| true)
    }

    /// Number of waiting calls.
    pub(super) fn waiting(&self) -> usize {
        self.leases.waiting()
    }

    /// Device time that calls owe for runs without a result, since the last call of this function.
    pub(super) fn take_owed(&mut self) -> Vec<(T, Duration)> {
        std::mem::take(&mut self.owed)
    }

    /// Picks the next batch.
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
                        // The thread that ends the last running batch calls `pick` again.
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

    /// Removes a call from a picked run that did not start it, because its caller has left or its lease has
    /// ended.
    pub(super) fn leave_out(&mut self, batch: u64, work: &Work<T>) {
        if let Some(run) = self.running.iter_mut().find(|run| run.number == batch)
            && let Some(at) = run.parts.iter().position(|part| (part.lease, part.rows) == (work.lease, work.rows.len()))
        {
            run.parts.swap_remove(at);
        }
        self.settle(work, MemberOutcome::Gone);
    }

    /// Ends a run with its time. Returns the calls that have failed for good. The other calls have their
    /// results, or wait for a retry in isolation. After [`Ended::Late`] and [`Ended::Lost`] the device counts
    /// as in use until [`Scheduler::recovered`].
    pub(super) fn over(&mut self, batch: &Batch<T>, ended: Ended, took: Duration, now: Instant) -> Vec<T> {
        let took = nanoseconds(took);
        let rows = batch.rows();
        if let Some(model) = self.models.get_mut(batch.model) {
            model.free_since = Some(now);
            if ended == Ended::Answered && rows > 0 {
                let sample = took / u64::try_from(rows).unwrap_or(u64::MAX).max(1);
                // A weight of 1/8, as TCP uses for its smoothed round-trip time. A single delayed run has
                // little effect.
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
                // In an exclusive retry, a mere error proves that this call did not cause the earlier loss of
                // the device or of its time.
                let is_cleared = work.apart.is_some_and(|apart| apart.exclusive) && ended == Ended::Failed;
                self.settle(work, if is_cleared { MemberOutcome::Cleared } else { MemberOutcome::Failed });
                failed.push(work.call.clone());
            }
            (_, works) => {
                let number = self.failed_run(batch, ended);
                standing_for = Some(number);
                for work in works {
                    // If the call was a retry for an earlier failed run, that failed run stops waiting for
                    // it.
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

    /// The device is ready again after a run that was [`Ended::Late`] or [`Ended::Lost`]. `took` is the time
    /// of the recovery.
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

    /// Whether a call that failed alone may have failed because of another run on the device.
    fn may_be_innocent(&self, batch: u64, work: &Work<T>, ended: Ended, is_beside: bool) -> bool {
        let is_exclusive = work.apart.is_some_and(|apart| apart.exclusive);
        ended == Ended::Lost && !is_exclusive && (is_beside || self.lost.is_some_and(|(_, before)| batch < before))
    }

    /// The failed run to which a batch belongs: its own, or the failed run of the device that was lost while
    /// the batch ran.
    fn failed_run(&mut self, batch: &Batch<T>, ended: Ended) -> u64 {
        if let Some((number, _)) = self.lost.filter(|(_, before)| batch.number < *before && ended != Ended::Failed)
            && self.failed.iter().any(|run| run.number == number)
        {
            return number;
        }
        let mut failed = FailedRun::new(batch.number, batch.model);
        if ended == Ended::Lost {
            // A run past its deadline has caused the loss of the device.
            let past = |run: &&mut Running<T>| run.number != batch.number && run.state != RunState::InFlight;
            match self.running.iter_mut().find(past) {
                Some(Running { state: RunState::Recovering(Some(number)), .. }) => {
                    self.lost = Some((*number, self.runs));
                    return *number;
                }
                Some(run) => {
                    for part in &run.parts {
                        // Its own run is already charged.
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

    /// From now on calls of this lease run this model in isolation.
    fn keep_alone(&mut self, model: usize, lease: u64) {
        let Some(model) = self.models.get_mut(model) else { return };
        if model.isolated.contains(&lease) {
            return;
        }
        if model.isolated.len() >= Self::MOST_ISOLATED {
            model.isolated.pop_front();
        }
        model.isolated.push_back(lease);
    }

    /// Records the outcome of a call that was retried in isolation.
    fn settle(&mut self, work: &Work<T>, outcome: MemberOutcome) {
        let Some(apart) = work.apart else { return };
        if let Some(run) = self.failed.iter_mut().find(|run| run.number == apart.failed) {
            run.note(apart.member, outcome);
            self.pay_if_settled(apart.failed);
        }
    }

    /// Charges a failed run after the outcome of all its calls is known and the device is ready again.
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

    /// The work of a lease, and then the work that may run with it.
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
            let Some(first) = works.first().filter(|first| self.may_join(first)) else { break };
            let is_in_time = |work: &Work<T>| {
                let expected = row_cost.saturating_mul((rows + work.rows.len()) as u64);
                let left = work.until.min(until).saturating_duration_since(now);
                expected.saturating_mul(2) <= nanoseconds(left)
            };
            let fits = |work: &Work<T>| {
                work.model == model
                    && work.rows.len() <= room
                    && work.kind == first.kind
                    && self.may_join(work)
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

    /// Takes waiting work, or as many of its rows as one run may have. Until the run ends, the expected time
    /// counts as used by the lease.
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

    /// Expected device time in nanoseconds, by the model's recent time for a row.
    fn expected(&self, work: &Work<T>) -> u64 {
        let Some(model) = self.models.get(work.model) else { return 0 };
        let rows = if model.rules.cut { work.rows.len() as u64 } else { 1 };
        model.row_cost.saturating_mul(rows)
    }

    /// Computes `in_flight` of each lease: its running calls, and the runs for which it may have to pay.
    /// Until the culprit is known, the time of a failed run counts for all leases in it. Otherwise a lease
    /// that makes runs fail would be next again before it is found out.
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

    /// The moment at which a call stops waiting for other calls, if `rows` rows of its model are waiting.
    /// Enough rows are a full batch, or nearly full if their shapes differ.
    ///
    /// The wait starts when the call could have run. The callers of an ended run make their next calls within
    /// moments. Without this rule, a call that came during the run would always run alone, and the others
    /// without it.
    fn ripe(&self, work: &Work<T>, rows: usize) -> Instant {
        let Some(model) = self.models.get(work.model) else { return work.since };
        let Rules { max_rows, max_delay, together, .. } = model.rules;
        let enough = max_rows.min(model.most_together);
        if !together || max_delay.is_zero() || rows >= enough || !self.may_join(work) {
            return work.since;
        }
        // A call that would miss its deadline by waiting does not wait.
        let from = model.free_since.map_or(work.since, |free| free.max(work.since));
        from.checked_add(max_delay).filter(|end| *end < work.until).unwrap_or(work.since)
    }

    fn may_join(&self, work: &Work<T>) -> bool {
        work.apart.is_none()
            && work.kind.0.is_some()
            && self.models.get(work.model).is_some_and(|model| !model.isolated.contains(&work.lease))
    }

    fn take_out(&mut self, out: impl Fn(&Work<T>) -> bool) -> Vec<T> {
        let taken = self.leases.take_out(out);
        taken.iter().for_each(|work| self.settle(work, MemberOutcome::Gone));
        taken.into_iter().map(|work| work.call).collect()
    }
}
