//! The charges of leases, on a device with calls that fail, hang and crash. Only the test moves the time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::scheduler::{Pick, Scheduler};
use super::work::{Batch, Ended, Kind, Rules, Work};
use crate::{Tensor, TensorData};

/// Microseconds in a millisecond.
const MS: u64 = 1_000;
/// Time between a missed deadline and the kill of a device's process, and the time of its restart.
const GRACE: u64 = 1_000 * MS;
const RESTART: u64 = 100 * MS;

/// The behaviour of a lease's calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Answer,
    /// Fails after the time of a run.
    Fail,
    /// Hangs until the device's process is killed, together with all other runs.
    Hang,
    /// Crashes the device's process after the time of a run, together with all other runs.
    Crash,
}

/// A lease that always has waiting calls.
#[derive(Debug, Clone, Copy)]
struct Caller {
    share: u32,
    does: Does,
    /// Microseconds for a row.
    row: u64,
    /// Calls with the same width run together.
    width: usize,
    /// Microseconds until the deadline of a call.
    timeout: u64,
}

const GOOD: Caller = Caller { share: 2_500, does: Does::Answer, row: 20 * MS, width: 1, timeout: 3_600_000 * MS };
const LONG: Caller = Caller { row: 200 * MS, width: 2, ..GOOD };
const FAILS: Caller = Caller { does: Does::Fail, row: 100 * MS, ..GOOD };
const HANGS: Caller = Caller { does: Does::Hang, timeout: 2_000 * MS, ..GOOD };
const CRASHES: Caller = Caller { does: Does::Crash, ..GOOD };
/// A caller with a timeout that is shorter than a run.
const HASTY: Caller = Caller { timeout: 5 * MS, ..GOOD };

/// Waiting and running calls of a lease. The number exceeds the slots, so the lease could always use more of
/// the device.
const LANES: usize = 24;

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Over(u64),
    /// The device's process is killed because of a late run.
    Killed(u64),
    Recovered(u64),
    /// A deadline, or the end of a wait.
    Look,
}

struct Run {
    batch: Batch<usize>,
    began: u64,
    until: u64,
}

struct Device {
    scheduler: Scheduler<usize>,
    slots: usize,
    epoch: Instant,
    callers: Vec<Caller>,
    /// The lease of each call.
    calls: Vec<usize>,
    /// Number of starts of each call.
    begun: Vec<usize>,
    told: Vec<Option<bool>>,
    running: BTreeMap<u64, Run>,
    recovering: BTreeMap<u64, (u64, Vec<usize>)>,
    events: BTreeSet<(u64, Event)>,
    /// Microseconds of device time that each lease caused.
    used: Vec<u64>,
    /// Microseconds that each lease was charged for runs without a result.
    owed: Vec<u64>,
}

impl Device {
    fn new(slots: usize, together: bool, callers: &[Caller]) -> Self {
        let mut scheduler = Scheduler::new();
        let rules = Rules { max_rows: 4, max_delay: Duration::ZERO, cut: true, together };
        scheduler.add_model(rules, None);
        Self {
            scheduler,
            slots,
            epoch: Instant::now(),
            callers: callers.to_vec(),
            calls: Vec::new(),
            begun: Vec::new(),
            told: Vec::new(),
            running: BTreeMap::new(),
            recovering: BTreeMap::new(),
            events: BTreeSet::new(),
            used: vec![0; callers.len()],
            owed: vec![0; callers.len()],
        }
    }

    fn at(&self, microseconds: u64) -> Instant {
        self.epoch + Duration::from_micros(microseconds)
    }

    fn ask(&mut self, now: u64, lease: usize) {
        let Caller { share, width, timeout, .. } = self.callers[lease];
        let call = self.calls.len();
        self.calls.push(lease);
        self.begun.push(0);
        self.told.push(None);
        let until = self.at(now + timeout);
        let input = Tensor::new(vec![1, width], TensorData::U8(vec![0; width])).unwrap();
        let work = Work {
            call,
            lease: lease as u64,
            share,
            model: 0,
            kind: Kind::of(&[input]),
            rows: 0..1,
            bytes: 0,
            since: self.at(now),
            until,
            apart: None,
        };
        self.scheduler.submit(work).unwrap();
        self.events.insert((now + timeout, Event::Look));
    }

    fn tell(&mut self, now: u64, call: usize, answered: bool) {
        assert_eq!(self.told[call].replace(answered), None, "each call is told once");
        self.ask(now, self.calls[call]);
    }

    fn run(&mut self, end: u64) {
        for lease in 0..self.callers.len() {
            for _ in 0..LANES {
                self.ask(0, lease);
            }
        }
        self.pick(0);
        while let Some((now, event)) = self.events.pop_first().filter(|(now, _)| *now <= end) {
            match event {
                Event::Look => {}
                Event::Over(number) => self.over(now, number),
                Event::Killed(number) => {
                    let culprits = self.recovering[&number].1.clone();
                    self.lose_all(now, &culprits);
                }
                Event::Recovered(number) => self.recovered(now, number),
            }
            for call in self.scheduler.take_late(self.at(now)) {
                self.tell(now, call, false);
            }
            for (call, took) in self.scheduler.take_owed() {
                self.owed[self.calls[call]] += u64::try_from(took.as_micros()).unwrap();
            }
            self.pick(now);
        }
    }

    fn pick(&mut self, now: u64) {
        while self.running.len() + self.recovering.len() < self.slots {
            match self.scheduler.pick(self.at(now)) {
                Pick::Run(batch) => self.begin(now, batch),
                Pick::Wait(moment) => {
                    let then = u64::try_from((moment - self.epoch).as_micros()).unwrap();
                    self.events.insert((then, Event::Look));
                    break;
                }
                Pick::Nothing => break,
            }
        }
    }

    fn begin(&mut self, now: u64, batch: Batch<usize>) {
        for work in &batch.works {
            self.begun[work.call] += 1;
        }
        let shortest = batch.works.iter().map(|work| work.until).min().unwrap();
        let shortest = u64::try_from((shortest - self.epoch).as_micros()).unwrap();
        let until = if batch.works.len() == 1 { shortest } else { now + (shortest - now) / 2 };
        let hangs = batch.works.iter().any(|work| self.callers[self.calls[work.call]].does == Does::Hang);
        let takes: u64 = batch.works.iter().map(|work| self.callers[self.calls[work.call]].row).sum();
        let over = if hangs { until } else { (now + takes).min(until) };
        self.events.insert((over, Event::Over(batch.number)));
        self.running.insert(batch.number, Run { batch, began: now, until });
    }

    fn does(&self, batch: &Batch<usize>) -> Vec<(usize, Does)> {
        batch.works.iter().map(|work| (self.calls[work.call], self.callers[self.calls[work.call]].does)).collect()
    }

    /// Ends all runs as lost, by a fault of these leases.
    fn lose_all(&mut self, now: u64, culprits: &[usize]) {
        while let Some((_, run)) = self.running.pop_first() {
            // A run that would have failed anyway pays for itself.
            let bad = self.does(&run.batch).into_iter().filter(|(_, does)| *does != Does::Answer);
            let own: Vec<usize> = bad.map(|(lease, _)| lease).collect();
            self.blame(if own.is_empty() { culprits } else { &own }, now - run.began);
            self.end(now, run, Ended::Lost, culprits);
        }
    }

    fn blame(&mut self, culprits: &[usize], took: u64) {
        for culprit in culprits {
            self.used[*culprit] += took / culprits.len() as u64;
        }
    }

    fn over(&mut self, now: u64, number: u64) {
        let Some(run) = self.running.remove(&number) else { return };
        let does = self.does(&run.batch);
        let culprits: Vec<usize> =
            does.iter().filter(|(_, does)| *does != Does::Answer).map(|(lease, _)| *lease).collect();
        let took = now - run.began;
        let has = |wanted| does.iter().any(|(_, does)| *does == wanted);
        if now >= run.until {
            let culprits = if culprits.is_empty() { vec![does[0].0] } else { culprits };
            self.blame(&culprits, took);
            self.end(now, run, Ended::Late, &culprits);
        } else if has(Does::Crash) {
            self.blame(&culprits, took);
            self.end(now, run, Ended::Lost, &culprits);
            self.lose_all(now, &culprits);
        } else if has(Does::Fail) {
            self.blame(&culprits, took);
            self.end(now, run, Ended::Failed, &culprits);
        } else {
            for (lease, _) in &does {
                self.used[*lease] += took / does.len() as u64;
            }
            self.end(now, run, Ended::Answered, &[]);
        }
    }

    fn end(&mut self, now: u64, run: Run, ended: Ended, culprits: &[usize]) {
        let took = Duration::from_micros(now - run.began);
        let failed = self.scheduler.over(&run.batch, ended, took, self.at(now));
        if matches!(ended, Ended::Late | Ended::Lost) {
            let hangs = self.does(&run.batch).iter().any(|(_, does)| *does == Does::Hang);
            // A run that is only slow ends within the grace, and the process continues.
            let left: u64 = run.batch.works.iter().map(|work| self.callers[self.calls[work.call]].row).sum();
            let recovery = match ended {
                Ended::Late if hangs => GRACE + RESTART,
                Ended::Late => left.saturating_sub(now - run.began),
                _ => RESTART,
            };
            self.recovering.insert(run.batch.number, (now, culprits.to_vec()));
            if ended == Ended::Late && hangs {
                self.events.insert((now + GRACE, Event::Killed(run.batch.number)));
            }
            self.events.insert((now + recovery, Event::Recovered(run.batch.number)));
        }
        if ended == Ended::Answered {
            for work in &run.batch.works {
                self.tell(now, work.call, true);
            }
        }
        for call in failed {
            self.tell(now, call, false);
        }
    }

    fn recovered(&mut self, now: u64, number: u64) {
        let (began, culprits) = self.recovering.remove(&number).unwrap();
        self.blame(&culprits, now - began);
        self.scheduler.recovered(number, Duration::from_micros(now - began));
    }

    /// Device time by share of each lease, relative to the mean of all leases.
    fn shares(&self) -> Vec<f64> {
        let by_share = |(used, caller): (&u64, &Caller)| *used as f64 / f64::from(caller.share);
        let all: Vec<f64> = self.used.iter().zip(&self.callers).map(by_share).collect();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        all.iter().map(|one| one / mean).collect()
    }
}

#[test]
fn leases_get_device_time_by_share_whatever_fails_hangs_or_is_long() {
    let quarter = |caller: Caller| Caller { share: 1_250, ..caller };
    let mixes: &[(&str, &[Caller])] = &[
        ("long and short calls", &[GOOD, LONG]),
        ("calls that fail", &[GOOD, FAILS]),
        ("calls that fail at half of the share", &[GOOD, quarter(FAILS)]),
        ("long calls at half of the share", &[GOOD, quarter(LONG), GOOD]),
        ("calls that hang", &[GOOD, HANGS]),
        ("calls that hang at half of the share", &[GOOD, GOOD, quarter(HANGS)]),
        ("calls that end the device", &[GOOD, CRASHES]),
        ("calls that are never in time", &[GOOD, HASTY]),
        ("all of it", &[GOOD, LONG, FAILS, HANGS, CRASHES]),
    ];
    let mut wrong = Vec::new();
    for (what, callers) in mixes {
        for (slots, together) in [(1, false), (1, true), (2, false), (3, true)] {
            let mut device = Device::new(slots, together, callers);
            device.run(200_000 * MS);
            let shares = device.shares();
            let within = shares.iter().all(|share| (0.9..=1.1).contains(share));
            if !within {
                wrong.push(format!("{what}, {slots} slots, together: {together}: {shares:.3?}, {:?}", device.used));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn whoever_does_nothing_wrong_is_answered_beside_what_fails_hangs_and_crashes() {
    for bad in [FAILS, HANGS, CRASHES, HASTY] {
        for (slots, together) in [(1, false), (1, true), (2, true), (3, false)] {
            let mut device = Device::new(slots, together, &[GOOD, bad, GOOD]);
            device.run(100_000 * MS);
            let told = device.told.iter().zip(&device.calls);
            let failed = told.filter(|(told, lease)| **lease != 1 && **told == Some(false)).count();
            assert_eq!(failed, 0, "{bad:?} with {slots} slots, together: {together}");
            assert!(device.begun.iter().all(|begun| *begun <= 3), "a call is begun three times at most");
        }
    }
}

#[test]
fn what_runs_without_an_answer_took_is_counted_for_who_is_to_blame() {
    for bad in [FAILS, HANGS, CRASHES] {
        let mut device = Device::new(2, true, &[GOOD, bad]);
        device.run(50_000 * MS);
        let (owed, used) = (device.owed[1] as f64, device.used[1] as f64);
        assert!(owed > 0.9 * used && owed < 1.1 * used, "{bad:?} owes {owed} for {used}");
        // The first run in a batch may be charged to all its calls until the culprit is known.
        assert!(device.owed[0] <= 200 * MS, "{bad:?}: {}", device.owed[0]);
    }
}
