use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::Lease;
use sage_machine::{LeaseFolder, ResourceError, TurnEntry, TurnTable};
use sage_observe::Counter;

/// The turns of a run of a pipeline on a device of which other runs hold shares too. Before its queue starts
/// a call on the device, the run takes a turn, and it returns the turn after the call.
///
/// ```text
///  ask ─▶ Asking ── take: slot free, no waiting run first? ─▶ Turn ── over: charge by share ─▶ others check
///           ▲    no: wait for the doorbell or 10 ms ◀─┘        │  └ dropped: no charge
///           └──────────────── more calls wait ─────────────────┘
/// ```
///
/// **Fair by share.** Runs follow the same rule as the leases of one run (`Scheduler`): the run with the
/// least device time, divided by the sum of its leases' shares, is next. The device time lasts from taking a
/// turn to returning it, because other runs cannot use the slot during that time. A run that joins or returns
/// starts at the position of the others. Time that a run's idle leases do not use goes to its other leases
/// first.
///
/// **Slots.** All runs together have at most as many turns in flight as the device has slots, for any number
/// of runs.
///
/// **Heartbeats.** Each run publishes a heartbeat; its callers refresh it while one of its calls is in
/// flight. A run whose heartbeat is older than 0.1 s is ignored, both as waiting and as running: its process
/// is dead, stopped or without a CPU. A turn that lasts 1.5 s past its deadline is ignored too, because it
/// may hang. In these cases two runs may use the same slot at a time. The ignored time of a run is not
/// charged.
///
/// **Alone.** A run with the only place in the device's table takes no lock and reads no other entries, so a
/// turn costs almost nothing.
///
/// **Waiting.** A thread of the queue waits for the doorbell, for 10 ms at most. A run that returns a turn
/// rings the doorbell if another thread waits. No thread holds a lock while it waits.
#[derive(Debug)]
pub struct Turns {
    table: TurnTable,
    slots: u32,
    leases: Vec<Arc<Lease>>,
    /// A moment, and the table's time at that moment.
    epoch: (Instant, u64),
    own: Mutex<Own>,
    /// Nanoseconds that threads waited for other runs.
    waited: Counter,
}

#[derive(Debug)]
struct Own {
    /// The entry that other runs see.
    entry: TurnEntry,
    /// Whether the run has not yet started at the position of the others.
    is_new: bool,
    /// Whether the run had no work before this request, so that it starts at the position of the others.
    was_idle: bool,
    /// Sum of the shares of its leases in 1/10,000, and the time of that sum.
    share: (u64, u64),
    /// Threads of this run that were refused a turn, and wait for the doorbell or are about to wait.
    refused: u32,
    /// Nanoseconds during which a turn was in flight without a fresh heartbeat, so other runs ignored it.
    uncounted: u64,
    /// Time of the last turn. The next turn is charged with this estimate until its real time is known.
    usual: u64,
    /// Time of the last check whether silent runs are dead.
    asked_kernel: u64,
}

/// A request of a thread that has work to run. Dropping it withdraws the request.
#[derive(Debug)]
#[must_use]
pub(super) struct Asking<'a> {
    turns: &'a Turns,
    /// Time of the first refusal, and the doorbell's value at the last refusal.
    refused: Option<(Instant, u32)>,
    is_over: bool,
}

/// The right to run a call. Dropping it returns an unused turn.
#[derive(Debug)]
#[must_use]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    began: u64,
    charged: u64,
    /// The value of `uncounted` when the turn began.
    uncounted: u64,
    is_over: bool,
}

impl Turns {
    /// Age of a heartbeat after which a run is ignored. The value is five checks of a caller.
    pub(super) const LOOKS: Duration = Duration::from_millis(100);
    /// Time after its deadline for which a turn still counts. A device's own process is killed one second
    /// after the deadline.
    pub(super) const GRACE: Duration = Duration::from_millis(1500);
    /// Time after which a waiting thread checks again without a doorbell. A run that becomes silent delays
    /// the others by this time and [`Turns::LOOKS`].
    const PAUSE: Duration = Duration::from_millis(10);
    /// Age of a heartbeat after which the kernel is asked whether the run is dead, and interval of such
    /// checks. A check takes a few system calls.
    const DEAD: Duration = Duration::from_secs(1);
    /// Longest age of the sum of shares.
    const SHARES: Duration = Duration::from_millis(100);
    /// Used time for a nanosecond at a share of 1/10,000. The unit is fine enough for runs of a microsecond,
    /// and 64 bits hold a year of used time.
    const UNIT: u128 = 256;

    /// Joins the runs that use a device, for the leases that this run holds on it.
    ///
    /// # Errors
    /// The errors of [`LeaseFolder::join_turns`]; there is no lease.
    pub fn join(
        folder: &LeaseFolder,
        device: &str,
        slots: usize,
        leases: Vec<Arc<Lease>>,
    ) -> Result<Self, ResourceError> {
        let token = leases.iter().map(|lease| lease.token()).min().unwrap_or(0);
        let table = folder.join_turns(device, token)?;
        let own = Own {
            entry: TurnEntry::default(),
            is_new: true,
            was_idle: true,
            share: (0, 0),
            refused: 0,
            uncounted: 0,
            usual: 0,
            asked_kernel: 0,
        };
        let turns = Self {
            table,
            slots: u32::try_from(slots).unwrap_or(u32::MAX).max(1),
            leases,
            epoch: epoch(),
            own: Mutex::new(own),
            waited: Counter::default(),
        };
        turns.own().weigh(turns.epoch.1, &turns.leases);
        Ok(turns)
    }

    /// Requests a turn.
    pub(super) fn ask(&self) -> Asking<'_> {
        let mut own = self.own();
        own.was_idle |= own.entry.waiting == 0 && own.entry.running == 0;
        own.entry.waiting = own.entry.waiting.saturating_add(1);
        Asking { turns: self, refused: None, is_over: false }
    }

    /// Publishes a heartbeat with this time.
    pub(super) fn look(&self, now: Instant) {
        let mut own = self.own();
        if own.entry.waiting > 0 || own.entry.running > 0 {
            own.look(self.time(now));
            self.table.publish(&own.entry);
        }
    }

    /// Nanoseconds that threads have waited for other runs.
    pub(super) fn waited(&self) -> u64 {
        self.waited.get()
    }

    /// Returns the run's place in the table, after all its turns have ended.
    pub(super) fn leave(&self) {
        self.table.leave();
    }

    /// Takes a turn. If there is none, returns the doorbell's value. `was_refused` says whether this request
    /// was already refused.
    fn take(&self, now: Instant, was_refused: bool) -> Result<Turn<'_>, u32> {
        let at = self.time(now);
        let mut own = self.own();
        let turn = self.decide(&mut own, at);
        own.refused = own.refused.saturating_add(turn.is_err().into()).saturating_sub(was_refused.into());
        turn
    }

    fn decide(&self, own: &mut Own, at: u64) -> Result<Turn<'_>, u32> {
        own.look(at);
        if self.table.is_alone() {
            let before = (own.entry, own.is_new, own.was_idle);
            own.begin(at);
            self.table.publish(&own.entry);
            // A run that joined in between has read the new entry, or is seen by this check.
            if self.table.is_alone() {
                return Ok(Turn { turns: self, began: at, charged: 0, uncounted: own.uncounted, is_over: false });
            }
            (own.entry, own.is_new, own.was_idle) = before;
        }
        let (turn, others) = {
            let _alone = self.table.exclusively();
            // The entry is published before the others are read, so a run that returns its turn later sees
            // that this run waits.
            self.table.publish(&own.entry);
            let doorbell = self.table.doorbell();
            let others = self.table.others();
            own.weigh(at, &self.leases);
            own.catch_up(&others, at);
            let may_go = may_go((self.table.place(), &own.entry), &others, self.slots, at);
            let turn = may_go.then(|| {
                own.begin(at);
                let charged = own.by_share(own.usual).max(1);
                own.entry.used = own.entry.used.wrapping_add(charged);
                Turn { turns: self, began: at, charged, uncounted: own.uncounted, is_over: false }
            });
            self.table.publish(&own.entry);
            (turn.ok_or(doorbell), others)
        };
        let silent = at.saturating_sub(nanoseconds(Self::DEAD));
        if own.asked_kernel < silent && others.iter().any(|(_, other)| other.seen < silent) {
            own.asked_kernel = at;
            self.table.forget_dead(silent);
        }
        turn
    }

    /// Publishes that fewer calls run or wait than before.
    fn changed(&self, own: &Own) {
        self.table.publish(&own.entry);
        let others_wait = || self.table.others().iter().any(|(_, other)| other.waiting > 0);
        if own.refused > 0 || (!self.table.is_alone() && others_wait()) {
            self.table.ring();
        }
    }

    /// Converts a moment to the table's time.
    fn time(&self, moment: Instant) -> u64 {
        let (epoch, then) = self.epoch;
        then.saturating_add(nanoseconds(moment.saturating_duration_since(epoch)))
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Own {
    /// Publishes a heartbeat. The time since the last heartbeat became too old is not charged, and the run
    /// starts at the position of the others.
    fn look(&mut self, at: u64) {
        let silent = at.saturating_sub(self.entry.seen).saturating_sub(nanoseconds(Turns::LOOKS));
        self.was_idle |= silent > 0;
        if self.entry.running > 0 {
            self.uncounted = self.uncounted.saturating_add(silent);
        }
        self.entry.seen = at;
    }

    fn begin(&mut self, at: u64) {
        let entry = &mut self.entry;
        entry.waiting = entry.waiting.saturating_sub(1);
        entry.running = entry.running.saturating_add(1);
        entry.start = entry.used;
        // A lower bound until [`Turn::lasts_until`] sets the deadline.
        entry.until = entry.until.max(at);
        self.is_new = false;
        self.was_idle = false;
    }

    /// Ends a turn. The deadline of the remaining turns is not stored separately, but it is not later than
    /// the present value.
    fn end(&mut self) {
        self.entry.running = self.entry.running.saturating_sub(1);
        if self.entry.running == 0 {
            self.entry.until = 0;
        }
    }

    /// Moves to the position of the others, after a time without work.
    fn catch_up(&mut self, others: &[(usize, TurnEntry)], at: u64) {
        if !std::mem::take(&mut self.was_idle) {
            return;
        }
        if let Some(clock) = clock(others, at)
            && (self.is_new || is_before(self.entry.used, clock))
        {
            self.entry.used = clock;
        }
    }

    fn weigh(&mut self, at: u64, leases: &[Arc<Lease>]) {
        let (share, when) = &mut self.share;
        if *share == 0 || at.saturating_sub(*when) > nanoseconds(Turns::SHARES) {
            let holds = leases.iter().filter(|lease| lease.state().goes_on());
            *share = holds.map(|lease| u64::from(lease.share())).sum::<u64>().max(1);
            *when = at;
        }
    }

    /// Used time for this device time.
    fn by_share(&self, time: u64) -> u64 {
        let used = u128::from(time) * Turns::UNIT / u128::from(self.share.0.max(1));
        u64::try_from(used).unwrap_or(u64::MAX)
    }
}

impl<'a> Asking<'a> {
    /// Takes a turn if this run is next. Otherwise returns the request, to be tried again after
    /// [`Asking::wait`].
    pub(super) fn take(mut self, now: Instant) -> Result<Turn<'a>, Self> {
        match self.turns.take(now, self.refused.is_some()) {
            Ok(turn) => {
                self.is_over = true;
                Ok(turn)
            }
            Err(doorbell) => {
                let since = self.refused.map_or(now, |(since, _)| since);
                self.refused = Some((since, doorbell));
                Err(self)
            }
        }
    }

    /// Waits until the doorbell has rung since the last refusal, for 10 ms at most.
    pub(super) fn wait(&self) {
        if let Some((_, doorbell)) = self.refused {
            self.turns.table.wait(doorbell, Turns::PAUSE);
        }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if let Some((since, _)) = self.refused {
            self.turns.waited.add(nanoseconds(since.elapsed()));
        }
        if !self.is_over {
            let mut own = self.turns.own();
            own.refused = own.refused.saturating_sub(self.refused.is_some().into());
            own.entry.waiting = own.entry.waiting.saturating_sub(1);
            self.turns.changed(&own);
        }
    }
}

impl<'a> Turn<'a> {
    /// Sets the deadline of the turn.
    pub(super) fn lasts_until(&self, until: Instant) {
        let mut own = self.turns.own();
        own.entry.until = own.entry.until.max(self.turns.time(until));
        self.turns.table.publish(&own.entry);
    }

    /// Ends the turn after its use. If more calls wait, a new request is made at the same moment. Otherwise
    /// another waiting run would be next, because this run would count as waiting only after this thread has
    /// delivered its results.
    pub(super) fn over(mut self, now: Instant, is_more: bool) -> Option<Asking<'a>> {
        self.is_over = true;
        let at = self.turns.time(now);
        let mut own = self.turns.own();
        own.look(at);
        // After this time, the other runs ignored this turn.
        let counted = own.entry.until.max(self.began).saturating_add(nanoseconds(Turns::GRACE));
        let uncounted = own.uncounted.saturating_sub(self.uncounted);
        own.usual = at.min(counted).saturating_sub(self.began).saturating_sub(uncounted);
        if self.charged > 0 {
            let took = own.by_share(own.usual).max(1);
            own.entry.used = own.entry.used.wrapping_sub(self.charged).wrapping_add(took);
        }
        own.end();
        let more = is_more.then(|| {
            own.entry.waiting = own.entry.waiting.saturating_add(1);
            Asking { turns: self.turns, refused: None, is_over: false }
        });
        self.turns.changed(&own);
        more
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            let mut own = self.turns.own();
            own.entry.used = own.entry.used.wrapping_sub(self.charged);
            own.end();
            self.turns.changed(&own);
        }
    }
}

/// Whether a run with a request at this place may start a call.
fn may_go((place, own): (usize, &TurnEntry), others: &[(usize, TurnEntry)], slots: u32, at: u64) -> bool {
    let running = others.iter().filter(|(_, other)| is_running(other, at)).map(|(_, other)| other.running);
    let free = slots.saturating_sub(running.fold(own.running, u32::saturating_add));
    let is_first = |(other_place, other): &&(usize, TurnEntry)| {
        is_before(other.used, own.used) || (other.used == own.used && *other_place < place)
    };
    let before = others.iter().filter(|(_, other)| is_waiting(other, at)).filter(is_first);
    before.map(|(_, other)| other.waiting).fold(0, u32::saturating_add) < free
}

/// The position of the other runs. While a run has a turn, the position is the used time at the latest start,
/// as in start-time fair queueing. Otherwise it is the least used time of the waiting runs. On an idle device
/// it is the largest used time, so earlier use counts for no run.
fn clock(others: &[(usize, TurnEntry)], at: u64) -> Option<u64> {
    let earlier = |a: u64, b: u64| if is_before(b, a) { b } else { a };
    let later = |a: u64, b: u64| if is_before(a, b) { b } else { a };
    let began = others.iter().filter(|(_, other)| is_running(other, at)).map(|(_, other)| other.start);
    let wait = others.iter().filter(|(_, other)| is_waiting(other, at)).map(|(_, other)| other.used);
    let used = others.iter().map(|(_, other)| other.used);
    began.reduce(later).or_else(|| wait.reduce(earlier)).or_else(|| used.reduce(later))
}

fn is_running(entry: &TurnEntry, at: u64) -> bool {
    entry.running > 0 && looks(entry, at) && at <= entry.until.saturating_add(nanoseconds(Turns::GRACE))
}

fn is_waiting(entry: &TurnEntry, at: u64) -> bool {
    entry.waiting > 0 && looks(entry, at)
}

fn looks(entry: &TurnEntry, at: u64) -> bool {
    entry.seen.abs_diff(at) <= nanoseconds(Turns::LOOKS)
}

/// Used times wrap around like sequence numbers of a network protocol. `a` is before `b` if it is less than
/// half of the range behind.
fn is_before(a: u64, b: u64) -> bool {
    a != b && b.wrapping_sub(a) <= u64::MAX / 2
}

/// A moment and the table's time at that moment. The best of several pairs, because the thread may lose its
/// CPU between the two readings.
fn epoch() -> (Instant, u64) {
    let one = || {
        let (before, moment) = (TurnTable::now(), Instant::now());
        (TurnTable::now().saturating_sub(before), moment, before)
    };
    let best = (0..8).map(|_| one()).min_by_key(|(gap, ..)| *gap);
    best.map_or_else(|| (Instant::now(), TurnTable::now()), |(_, moment, time)| (moment, time))
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
