use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::Lease;
use sage_machine::{LeaseFolder, ResourceError, TurnEntry, TurnTable};
use sage_observe::Counter;

/// A run's turns on a device that other runs hold shares of too: before its queue begins something it takes a turn, and gives it back when that is
/// over.
///
/// ```text
///  ask ─▶ Asking ── take: a slot is free, and nobody who waits is before it? ─▶ Turn ── over: what it took, by share ─▶ the others look
///            ▲ no: wait, for the doorbell or a moment ◀──┘                            │ └ dropped: as if it had never been
///            └──────────────────── there is more to run ─────────────────────────┘
/// ```
///
/// **Fair by share**, as among the leases of one run (`Scheduler`), and by the same rule: next is the run that had the least device time, divided by
/// what its leases' shares come to. The time is that from taking a turn to giving it back, since that is what others cannot have. One that comes or comes back starts where
/// the others are. What a run's idle leases leave goes to its other leases first.
///
/// **Slots.** What all runs have under way is at most the slots of the device, whatever number of runs there is.
///
/// **Nobody is waited for who does not look.** Each says when it looked last, which its callers see to while something runs for them. Who has not for
/// 0.1 s, being dead, stopped or without a CPU, does not count, neither as waiting nor as running; nor does what runs 1.5 s past its
/// deadline, since it may hang. So the two of them may run at a time then. What somebody did uncounted costs it nothing.
///
/// **Alone.** Who has the device's only place does not lock, does not look at others, and pays next to nothing.
///
/// **Who waits for whom.** A thread of the queue waits for the doorbell, which whoever gives a turn back rings where anybody waits, and for
/// 10 ms at most. Nobody waits holding anything.
#[derive(Debug)]
pub struct Turns {
    table: TurnTable,
    slots: u32,
    leases: Vec<Arc<Lease>>,
    /// A moment, and the table's time then.
    epoch: (Instant, u64),
    own: Mutex<Own>,
    /// Nanoseconds that threads waited for other runs.
    waited: Counter,
}

#[derive(Debug)]
struct Own {
    /// What the others see.
    entry: TurnEntry,
    /// It has never been where the others are.
    is_new: bool,
    /// It asks after it had nothing to do, so that it starts where the others are.
    was_idle: bool,
    /// What its leases' shares come to, in 1/10,000, and when that was so.
    share: (u64, u64),
    /// Threads of this run that were refused, and wait for the doorbell or are about to.
    refused: u32,
    /// Nanoseconds in which it did not look and so did not count, though it ran.
    uncounted: u64,
    /// What a run took last, charged before the next one is known.
    usual: u64,
    /// When it looked last whether those that do not look are dead.
    asked_kernel: u64,
}

/// A thread that has something to run. When it is dropped, it has not any more.
#[derive(Debug)]
#[must_use]
pub(super) struct Asking<'a> {
    turns: &'a Turns,
    /// Since when it is refused, and what the doorbell said then.
    refused: Option<(Instant, u32)>,
    is_over: bool,
}

/// The right to run something. Dropped, it was not used.
#[derive(Debug)]
#[must_use]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    began: u64,
    charged: u64,
    /// What was uncounted when it began.
    uncounted: u64,
    is_over: bool,
}

impl Turns {
    /// Who has not looked for so long is not waited for. Five looks of a caller.
    pub(super) const LOOKS: Duration = Duration::from_millis(100);
    /// How long a run may go on after its deadline before others begin: a device's own process is killed a second after it.
    pub(super) const GRACE: Duration = Duration::from_millis(1500);
    /// How long a thread waits before it looks again, whatever the doorbell says: what one that does not look costs, beside [`Turns::LOOKS`].
    const PAUSE: Duration = Duration::from_millis(10);
    /// How long nothing is asked about somebody who does not look, and how often it is then: some system calls.
    const DEAD: Duration = Duration::from_secs(1);
    /// How long the sum of the shares may be that of before.
    const SHARES: Duration = Duration::from_millis(100);
    /// Used time of a nanosecond at a share of 1/10,000: fine enough for runs of a microsecond, and with 64 bits enough for a year of them.
    const UNIT: u128 = 256;

    /// Joins those who use a device, for the leases that a run holds on it.
    ///
    /// # Errors
    /// As [`LeaseFolder::join_turns`]; there is no lease.
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

    /// There is something to run.
    pub(super) fn ask(&self) -> Asking<'_> {
        let mut own = self.own();
        own.was_idle |= own.entry.waiting == 0 && own.entry.running == 0;
        own.entry.waiting = own.entry.waiting.saturating_add(1);
        Asking { turns: self, refused: None, is_over: false }
    }

    /// This process is alive at this time.
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

    /// Gives the run's place at the table back: nothing of it runs any more.
    pub(super) fn leave(&self) {
        self.table.leave();
    }

    /// Takes a turn, or says what the doorbell said when there was none to be had. For a thread that was refused already, or was not.
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
            // Whoever came in between sees what was just written, or is seen here.
            if self.table.is_alone() {
                return Ok(Turn { turns: self, began: at, charged: 0, uncounted: own.uncounted, is_over: false });
            }
            (own.entry, own.is_new, own.was_idle) = before;
        }
        let (turn, others) = {
            let _alone = self.table.exclusively();
            // Before the others are looked at: one that gives its turn back after that sees who waits.
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

    /// Says that less runs or waits than before.
    fn changed(&self, own: &Own) {
        self.table.publish(&own.entry);
        let others_wait = || self.table.others().iter().any(|(_, other)| other.waiting > 0);
        if own.refused > 0 || (!self.table.is_alone() && others_wait()) {
            self.table.ring();
        }
    }

    /// A moment as the table's time.
    fn time(&self, moment: Instant) -> u64 {
        let (epoch, then) = self.epoch;
        then.saturating_add(nanoseconds(moment.saturating_duration_since(epoch)))
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Own {
    /// Says that it looks now. What it did since others stopped to wait for it does not count, and it begins where they are.
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
        // Until it says.
        entry.until = entry.until.max(at);
        self.is_new = false;
        self.was_idle = false;
    }

    /// What is over runs no more: when the rest should be over is not known by itself, but not later than before.
    fn end(&mut self) {
        self.entry.running = self.entry.running.saturating_sub(1);
        if self.entry.running == 0 {
            self.entry.until = 0;
        }
    }

    /// Starts where the others are, after a time without anything to do.
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

    /// What so much device time comes to.
    fn by_share(&self, time: u64) -> u64 {
        let used = u128::from(time) * Turns::UNIT / u128::from(self.share.0.max(1));
        u64::try_from(used).unwrap_or(u64::MAX)
    }
}

impl<'a> Asking<'a> {
    /// Takes a turn, if it is this run's; else to be tried again after [`Asking::wait`].
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

    /// Waits until something has changed since the last refusal, or for a moment.
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
    /// What it is used for should be over by then.
    pub(super) fn lasts_until(&self, until: Instant) {
        let mut own = self.turns.own();
        own.entry.until = own.entry.until.max(self.turns.time(until));
        self.turns.table.publish(&own.entry);
    }

    /// What it was used for is over. Where there is more to run, that is asked for at the same moment: else whoever waits would be next, since nobody
    /// else waits until this thread has handed its answers out.
    pub(super) fn over(mut self, now: Instant, is_more: bool) -> Option<Asking<'a>> {
        self.is_over = true;
        let at = self.turns.time(now);
        let mut own = self.turns.own();
        own.look(at);
        // After that the others did without its slot.
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

/// Whether a run may begin something, being at a place and having asked.
fn may_go((place, own): (usize, &TurnEntry), others: &[(usize, TurnEntry)], slots: u32, at: u64) -> bool {
    let running = others.iter().filter(|(_, other)| is_running(other, at)).map(|(_, other)| other.running);
    let free = slots.saturating_sub(running.fold(own.running, u32::saturating_add));
    let is_first = |(other_place, other): &&(usize, TurnEntry)| {
        is_before(other.used, own.used) || (other.used == own.used && *other_place < place)
    };
    let before = others.iter().filter(|(_, other)| is_waiting(other, at)).filter(is_first);
    before.map(|(_, other)| other.waiting).fold(0, u32::saturating_add) < free
}

/// Where the others are: what the one that began last had used when it did, as in start-time fair queueing. Where none runs, the least of those that
/// wait; and of an idle device the most that anybody used, so that what was used before counts for nobody.
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

/// Used times go round, like the numbers of a wire: before is what is less than half way round behind.
fn is_before(a: u64, b: u64) -> bool {
    a != b && b.wrapping_sub(a) <= u64::MAX / 2
}

/// A moment and the table's time then. The best of some: between the two this thread may lose its CPU.
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
