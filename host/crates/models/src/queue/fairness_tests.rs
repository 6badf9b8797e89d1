//! The order of runs. Only the test moves the time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::lease_table::{LeaseTable, TooMuchWaits};
use super::scheduler::{Pick, Scheduler};
use super::work::{Batch, Ended, Kind, Rules, Work};
use crate::{Tensor, TensorData};

const MS: u64 = 1_000;

/// A lease that makes calls. Times in microseconds.
#[derive(Clone, Copy)]
struct Asks {
    share: u32,
    model: usize,
    /// Rows of each call.
    rows: usize,
    /// Time between a result and the next call, up to a tenth more or less.
    after: u64,
    /// Number of such callers at once: the lanes of the lease.
    lanes: usize,
    /// Time of the first call.
    from: u64,
}

const FLOOD: Asks = Asks { share: 5_000, model: 0, rows: 1, after: 0, lanes: 64, from: 0 };
const LIGHT: Asks = Asks { share: 5_000, model: 0, rows: 1, after: 7 * MS, lanes: 1, from: 0 };

/// A device. Each run takes a fixed time and a time for each row.
struct Device {
    scheduler: Scheduler<usize>,
    slots: usize,
    /// Microseconds of a run and of each row, by model.
    takes: Vec<(u64, u64)>,
    epoch: Instant,
    calls: Vec<Asked>,
    asks: Vec<Asks>,
    random: u64,
    /// Every run, with its start and the owners of its rows.
    runs: Vec<(u64, Vec<(usize, usize)>)>,
}

struct Asked {
    lease: usize,
    came: u64,
    left: usize,
    rows: usize,
    done: Option<u64>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Over(usize),
    Asks(usize),
    Wake,
}

impl Device {
    fn new(slots: usize, models: &[(Rules, (u64, u64))], asks: &[Asks]) -> Self {
        let mut scheduler = Scheduler::new();
        for (rules, _) in models {
            scheduler.add_model(*rules, None);
        }
        let takes = models.iter().map(|(_, takes)| *takes).collect();
        let epoch = Instant::now();
        let (calls, runs) = (Vec::new(), Vec::new());
        Self { scheduler, slots, takes, epoch, calls, asks: asks.to_vec(), random: 7, runs }
    }

    /// Lets the time pass until `end`, in microseconds.
    fn run(&mut self, end: u64) {
        let mut events: BTreeSet<(u64, usize, Event)> = BTreeSet::new();
        let mut batches: BTreeMap<usize, Batch<usize>> = BTreeMap::new();
        let mut number = 0;
        for (lease, asks) in self.asks.clone().into_iter().enumerate() {
            for _ in 0..asks.lanes {
                number += 1;
                events.insert((asks.from + self.jitter(asks.after), number, Event::Asks(lease)));
            }
        }
        let mut busy = 0;
        while let Some((now, _, event)) = events.pop_first().filter(|(now, ..)| *now <= end) {
            match event {
                Event::Wake => {}
                Event::Asks(lease) => self.ask(now, lease),
                Event::Over(run) => {
                    busy -= 1;
                    for lease in self.over(now, batches.remove(&run).unwrap()) {
                        number += 1;
                        let after = self.jitter(self.asks[lease].after);
                        events.insert((now + after, number, Event::Asks(lease)));
                    }
                }
            }
            // All events of a moment are handled before a batch is picked.
            if events.first().is_some_and(|(next, ..)| *next == now) {
                continue;
            }
            while busy < self.slots {
                number += 1;
                match self.scheduler.pick(self.at(now)) {
                    Pick::Run(batch) => {
                        busy += 1;
                        let (fixed, row) = self.takes[batch.model];
                        let took = fixed + row * batch.rows() as u64;
                        let whose = |work: &Work<usize>| (self.calls[work.call].lease, work.rows.len());
                        self.runs.push((now, batch.works.iter().map(whose).collect()));
                        events.insert((now + took, number, Event::Over(number)));
                        batches.insert(number, batch);
                    }
                    Pick::Wait(moment) => {
                        let then = u64::try_from((moment - self.epoch).as_micros()).unwrap();
                        assert!(then > now, "it waits for a moment that is over");
                        events.insert((then, number, Event::Wake));
                        break;
                    }
                    Pick::Nothing => break,
                }
            }
        }
    }

    fn ask(&mut self, now: u64, lease: usize) {
        let asks = self.asks[lease];
        let call = self.calls.len();
        self.calls.push(Asked { lease, came: now, left: asks.rows, rows: asks.rows, done: None });
        let work = Work {
            call,
            lease: lease as u64,
            share: asks.share,
            model: asks.model,
            kind: kind(1),
            rows: 0..asks.rows,
            bytes: 0,
            since: self.at(now),
            until: self.at(now + 3_600_000_000),
            apart: None,
        };
        self.scheduler.submit(work).unwrap();
    }

    /// Ends a run. Returns the leases of the calls that now have their results.
    fn over(&mut self, now: u64, batch: Batch<usize>) -> Vec<usize> {
        let (fixed, row) = self.takes[batch.model];
        let took = Duration::from_micros(fixed + row * batch.rows() as u64);
        let now_at = self.at(now);
        assert!(self.scheduler.over(&batch, Ended::Answered, took, now_at).is_empty());
        let mut answered = Vec::new();
        for work in batch.works {
            let call = &mut self.calls[work.call];
            call.left -= work.rows.len();
            if call.left == 0 {
                call.done = Some(now);
                answered.push(call.lease);
            }
        }
        answered
    }

    /// The time within which 99 of 100 calls of a lease were answered.
    fn p99(&self, lease: usize) -> u64 {
        let done = self.calls.iter().filter(|call| call.lease == lease);
        let mut took: Vec<u64> = done.filter_map(|call| Some(call.done? - call.came)).collect();
        took.sort_unstable();
        assert!(took.len() >= 100, "{} calls say nothing about one in a hundred", took.len());
        took[took.len() * 99 / 100]
    }

    /// Number of rows of a lease that were answered from this moment on.
    fn rows(&self, lease: usize, from: u64) -> usize {
        let done = self.calls.iter().filter(|call| call.lease == lease && call.done.is_some_and(|done| done >= from));
        done.map(|call| call.rows).sum()
    }

    fn at(&self, microseconds: u64) -> Instant {
        self.epoch + Duration::from_micros(microseconds)
    }

    /// Varies a time by up to a tenth, in the same way in every run of the test.
    fn jitter(&mut self, time: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        time - time / 10 + (self.random >> 33) % (time / 5).max(1)
    }
}

fn kind(width: usize) -> Kind {
    Kind::of(&[Tensor::new(vec![1, width], TensorData::U8(vec![0; width])).unwrap()])
}

fn rules(max_rows: usize, together: bool) -> Rules {
    Rules { max_rows, max_delay: Duration::ZERO, cut: true, together }
}

/// A scheduler with one model, and the moment at which calls come.
fn scheduler(rules: Rules) -> (Scheduler<usize>, Instant) {
    let mut scheduler = Scheduler::new();
    scheduler.add_model(rules, None);
    (scheduler, Instant::now())
}

fn work(call: usize, lease: u64, rows: usize, since: Instant) -> Work<usize> {
    let until = since + Duration::from_secs(60);
    let kind = kind(1);
    Work { call, lease, share: 5_000, model: 0, kind, rows: 0..rows, bytes: 0, since, until, apart: None }
}

/// The calls of the next run.
fn next(scheduler: &mut Scheduler<usize>, now: Instant) -> Vec<usize> {
    match scheduler.pick(now) {
        Pick::Run(batch) => batch.works.iter().map(|work| work.call).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn a_light_lease_beside_a_flooding_one_waits_at_most_twice_as_long_as_alone() {
    // The requests of the flood and of the light lease, and the rows that one run of the flood takes.
    let cases = [
        ("single rows, one at a time", rules(32, false), (0, MS), 1, 1, 1),
        ("batches of 32", rules(32, false), (200, 100), 32, 32, 1),
        ("a flood of huge calls, which are cut", rules(32, false), (200, 100), 640, 32, 1),
        ("full batches, together", rules(32, true), (200, 100), 32, 32, 1),
        ("two slots", rules(32, false), (0, MS), 1, 1, 2),
    ];
    for (what, rules, takes, flood, light, slots) in cases {
        let light = Asks { rows: light, ..LIGHT };
        let mut alone = Device::new(slots, &[(rules, takes)], &[light]);
        alone.run(3_000 * MS);
        for shares in [5_000, 2_500] {
            let flood = Asks { rows: flood, share: shares, ..FLOOD };
            let mut beside = Device::new(slots, &[(rules, takes)], &[flood, Asks { share: shares, ..light }]);
            beside.run(3_000 * MS);
            let (p99, alone) = (beside.p99(1), alone.p99(0));
            assert!(p99 <= 2 * alone, "{what}: {p99} µs beside a flood, {alone} µs alone");
        }
    }
}

#[test]
fn who_is_batched_with_a_flood_waits_for_at_most_two_runs_of_max_rows() {
    let takes = (2 * MS, 100);
    let mut device = Device::new(1, &[(rules(32, true), takes)], &[FLOOD, LIGHT]);
    device.run(3_000 * MS);
    let run = 2 * MS + 32 * 100;
    assert!(device.p99(1) <= 2 * run, "{} µs, a full run is {run} µs", device.p99(1));
}

#[test]
fn leases_get_device_time_by_their_shares_under_saturation() {
    let cases = [
        ("one at a time", rules(32, false), 1, 1),
        ("together", rules(32, true), 1, 1),
        ("large calls", rules(32, true), 20, 1),
        ("cut", rules(32, true), 100, 1),
        ("two slots", rules(8, true), 1, 2),
    ];
    for (what, rules, rows, slots) in cases {
        let three = Asks { share: 7_500, rows, ..FLOOD };
        let one = Asks { share: 2_500, rows, ..FLOOD };
        let mut device = Device::new(slots, &[(rules, (200, 100))], &[three, one]);
        device.run(10_000 * MS);
        let ratio = device.rows(0, 0) as f64 / device.rows(1, 0) as f64;
        assert!((2.9..3.1).contains(&ratio), "{what}: {ratio} : 1");
    }
}

#[test]
fn leases_with_models_of_different_cost_share_time_not_rows() {
    let models = [(rules(32, false), (0, MS)), (rules(32, false), (0, 10 * MS))];
    let mut device = Device::new(1, &models, &[FLOOD, Asks { model: 1, ..FLOOD }]);
    device.run(20_000 * MS);
    // Both models start with the same estimated cost, until the costs are measured.
    let ratio = device.rows(0, 1_000 * MS) as f64 / device.rows(1, 1_000 * MS) as f64;
    assert!((9.5..10.5).contains(&ratio), "{ratio} cheap rows for a dear one");
}

#[test]
fn idling_saves_nothing_up_and_costs_nothing() {
    let late = Asks { from: 5_000 * MS, ..FLOOD };
    let mut device = Device::new(1, &[(rules(1, false), (0, MS))], &[FLOOD, late]);
    device.run(6_000 * MS);
    // The late lease does not catch up on time that it did not request, and the other lease does not pay for
    // having been alone.
    let rows = [device.rows(0, 5_000 * MS), device.rows(1, 5_000 * MS)];
    assert!(rows[0].abs_diff(rows[1]) <= 2, "{rows:?}");
    let first = device.runs.iter().filter(|(began, _)| *began >= 5_000 * MS).map(|(_, whose)| whose[0].0);
    let first: Vec<_> = first.take(20).collect();
    assert!(first.windows(3).all(|three| three.contains(&0) && three.contains(&1)), "{first:?}");
}

#[test]
fn a_lease_that_comes_and_goes_is_charged_for_what_it_used() {
    // A lease that makes one call at a time, and the next call as soon as it has the result. No call of it
    // waits while another one runs.
    let hopper = Asks { lanes: 1, rows: 32, ..FLOOD };
    let mut device = Device::new(1, &[(rules(32, false), (0, 100))], &[hopper, FLOOD]);
    device.run(10_000 * MS);
    let (large, small) = (device.rows(0, 0) as f64, device.rows(1, 0) as f64);
    assert!(large / small < 1.05, "{large} rows in large calls, {small} in small ones");
}

#[test]
fn what_waits_already_runs_together_up_to_max_rows() {
    let (mut scheduler, now) = scheduler(rules(4, true));
    for (call, lease, rows) in [(0, 1, 1), (1, 1, 2), (2, 2, 1), (3, 2, 3), (4, 2, 1)] {
        scheduler.submit(work(call, lease, rows, now)).unwrap();
    }
    assert_eq!(next(&mut scheduler, now), [0, 2, 1], "the least used lease is next each time");
    assert_eq!(next(&mut scheduler, now), [3, 4]);
    assert!(matches!(scheduler.pick(now), Pick::Nothing));
}

#[test]
fn only_calls_of_one_model_and_shape_run_together() {
    let (mut scheduler, now) = scheduler(rules(32, true));
    scheduler.add_model(rules(32, true), None);
    let wide = Work { kind: kind(2), ..work(1, 1, 1, now) };
    let other = Work { model: 1, ..work(2, 2, 1, now) };
    for work in [work(0, 1, 1, now), wide.clone(), other, work(3, 2, 1, now), Work { call: 4, ..wide }] {
        scheduler.submit(work).unwrap();
    }
    let mut runs: Vec<_> = (0..3).map(|_| next(&mut scheduler, now)).collect();
    runs.sort();
    assert_eq!(runs, [vec![0, 3], vec![1, 4], vec![2]]);
}

#[test]
fn a_call_waits_for_company_as_long_as_it_may_and_no_longer() {
    const DELAY: Duration = Duration::from_millis(5);
    let delayed = Rules { max_delay: DELAY, ..rules(4, true) };
    let (mut scheduler, now) = scheduler(delayed);
    scheduler.submit(work(0, 1, 1, now)).unwrap();
    assert!(matches!(scheduler.pick(now), Pick::Wait(until) if until == now + DELAY));
    scheduler.submit(work(1, 2, 1, now + DELAY / 2)).unwrap();
    assert!(matches!(scheduler.pick(now + DELAY / 2), Pick::Wait(until) if until == now + DELAY));
    assert_eq!(next(&mut scheduler, now + DELAY), [0, 1], "company goes with it, however short it has waited");

    for call in 0..4 {
        scheduler.submit(work(call, 1, 1, now)).unwrap();
    }
    assert_eq!(next(&mut scheduler, now), [0, 1, 2, 3], "a full batch waits for nobody");

    let hurried = Work { until: now + DELAY / 2, ..work(7, 1, 1, now) };
    scheduler.submit(hurried).unwrap();
    assert_eq!(next(&mut scheduler, now), [7], "one that would be late does not wait");
}

#[test]
fn those_that_a_run_answered_and_the_one_that_came_meanwhile_run_together() {
    let delayed = Rules { max_delay: Duration::from_millis(2), ..rules(4, true) };
    let eager = Asks { after: MS / 10, ..LIGHT };
    // A call that comes while the others run. When they have ended, it has already waited longer than its
    // `max_delay`.
    let late = Asks { from: 3 * MS, ..eager };
    let mut device = Device::new(1, &[(delayed, (4 * MS, MS))], &[eager, eager, eager, late]);
    device.run(1_000 * MS);
    let full = device.runs.iter().filter(|(_, works)| works.len() == 4).count();
    assert!(full * 10 > device.runs.len() * 9, "{full} of {} runs have all four", device.runs.len());
}

#[test]
fn a_device_does_not_stand_still_for_a_model_whose_calls_wait_for_company() {
    let (mut scheduler, now) = scheduler(Rules { max_delay: Duration::from_secs(1), ..rules(4, true) });
    scheduler.add_model(rules(4, true), None);
    scheduler.submit(work(0, 1, 1, now)).unwrap();
    scheduler.submit(Work { model: 1, ..work(1, 2, 1, now) }).unwrap();
    scheduler.submit(Work { model: 1, ..work(2, 1, 1, now) }).unwrap();
    assert_eq!(next(&mut scheduler, now), [2, 1]);
    assert!(matches!(scheduler.pick(now), Pick::Wait(_)));
}

#[test]
fn in_simulated_time_delays_are_kept_too() {
    let delayed = Rules { max_delay: Duration::from_millis(5), ..rules(32, true) };
    let sparse = Asks { after: 40 * MS, ..LIGHT };
    let mut device = Device::new(1, &[(delayed, (0, MS))], &[sparse, sparse]);
    device.run(5_000 * MS);
    for lease in [0, 1] {
        let p99 = device.p99(lease);
        assert!((6 * MS..=8 * MS).contains(&p99), "{p99} µs for 5 of delay and 1 or 2 of running");
    }
}

#[test]
fn calls_run_alone_where_the_model_is_not_batched() {
    let (mut scheduler, now) = scheduler(rules(32, false));
    for call in 0..3 {
        scheduler.submit(work(call, 1, 1, now)).unwrap();
    }
    for call in 0..3 {
        assert_eq!(next(&mut scheduler, now), [call]);
    }
}

#[test]
fn a_call_is_cut_only_where_its_first_dimension_is_rows() {
    let (mut scheduler, now) = scheduler(rules(4, true));
    scheduler.submit(work(0, 1, 10, now)).unwrap();
    scheduler.submit(work(1, 2, 1, now)).unwrap();
    let mut runs = Vec::new();
    while let Pick::Run(batch) = scheduler.pick(now) {
        runs.push(batch.works.iter().map(|work| (work.call, work.rows.clone())).collect::<Vec<_>>());
    }
    assert_eq!(runs, [vec![(0, 0..4)], vec![(1, 0..1)], vec![(0, 4..8)], vec![(0, 8..10)]]);

    let mut scheduler = Scheduler::new();
    scheduler.add_model(Rules { cut: false, ..rules(4, false) }, None);
    scheduler.submit(work(0, 1, 10, now)).unwrap();
    assert!(matches!(scheduler.pick(now), Pick::Run(batch) if batch.rows() == 10));
}

#[test]
fn what_failed_in_company_runs_alone_and_its_lease_too_once_it_failed_again() {
    let (mut scheduler, now) = scheduler(rules(4, true));
    for (call, lease) in [(0, 1), (1, 2)] {
        scheduler.submit(work(call, lease, 1, now)).unwrap();
    }
    let Pick::Run(batch) = scheduler.pick(now) else { panic!("nothing runs") };
    assert!(scheduler.over(&batch, Ended::Failed, Duration::from_millis(1), now).is_empty());
    scheduler.submit(work(2, 1, 1, now)).unwrap();
    let mut alone = Vec::new();
    for _ in 0..2 {
        let Pick::Run(batch) = scheduler.pick(now) else { panic!("nothing runs") };
        let calls: Vec<_> = batch.works.iter().map(|work| work.call).collect();
        let ended = if calls == [0] { Ended::Failed } else { Ended::Answered };
        let failed = scheduler.over(&batch, ended, Duration::from_millis(1), now);
        assert_eq!(failed, if calls == [0] { vec![0] } else { vec![] });
        alone.push(calls);
    }
    alone.sort();
    assert_eq!(alone, [[0], [1]]);
    scheduler.submit(work(3, 2, 1, now)).unwrap();
    scheduler.submit(work(4, 3, 1, now)).unwrap();
    let mut runs = [next(&mut scheduler, now), next(&mut scheduler, now)];
    runs.sort();
    assert_eq!(runs, [vec![2], vec![4, 3]], "the others keep each other company");
}

#[test]
fn what_is_too_late_or_given_up_does_not_run() {
    let (mut scheduler, now) = scheduler(rules(4, true));
    for call in 0..3 {
        scheduler.submit(work(call, 1, 1, now)).unwrap();
    }
    let hurried = Work { until: now + Duration::from_millis(1), ..work(3, 1, 1, now) };
    scheduler.submit(hurried).unwrap();
    scheduler.give_up(1, |call| *call == 1);
    assert!(scheduler.take_late(now).is_empty());
    assert_eq!(scheduler.take_late(now + Duration::from_millis(1)), [3]);
    assert_eq!(next(&mut scheduler, now), [0, 2]);
}

#[test]
fn what_one_lease_has_waiting_is_bounded() {
    let (mut scheduler, now) = scheduler(rules(4, true));
    for call in 0..LeaseTable::<usize>::WAITING_CALLS {
        scheduler.submit(work(call, 1, 1, now)).unwrap();
    }
    assert_eq!(scheduler.submit(work(0, 1, 1, now)), Err(TooMuchWaits));
    scheduler.submit(work(0, 2, 1, now)).unwrap();
    next(&mut scheduler, now);
    scheduler.submit(work(0, 1, 1, now)).unwrap();

    let large = |call| Work { bytes: LeaseTable::<usize>::WAITING_BYTES + 1, ..work(call, 3, 1, now) };
    scheduler.submit(large(0)).unwrap();
    assert_eq!(scheduler.submit(large(1)), Err(TooMuchWaits), "one that is too large by itself waits by itself");
}
