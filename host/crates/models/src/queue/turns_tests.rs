//! Several runs on one device. Only the test moves the time.

use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::turns::{Asking, Turn, Turns};
use crate::Lease;
use sage_machine::LeaseFolder;

const RUN: Duration = Duration::from_millis(20);

struct Bench {
    place: tempfile::TempDir,
    folder: LeaseFolder,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let folder = LeaseFolder::at(&place.path().join("leases")).unwrap();
        Self { place, folder, now: Instant::now() }
    }

    /// A run with leases of these shares. Their tokens start at `token`.
    fn run(&self, token: u64, slots: usize, shares: &[u32]) -> Turns {
        let lease = |(share, token)| Lease::held(token, "cpu0", share, 0);
        let leases: Vec<Arc<Lease>> = shares.iter().copied().zip(token..).map(lease).collect();
        Turns::join(&self.folder, "cpu0", slots, leases).unwrap()
    }

    /// Lets the runs take `times` turns, one at a time, while all of them always have work. Returns the run
    /// of each turn.
    fn saturate(&mut self, runs: &[&Turns], times: usize) -> Vec<usize> {
        let mut asking: Vec<_> = runs.iter().map(|_| None).collect();
        let mut whose = Vec::new();
        while whose.len() < times {
            let (at, turn) = self.next(runs, &mut asking);
            whose.push(at);
            self.now += RUN;
            asking[at] = turn.over(self.now, true);
        }
        whose
    }

    /// The run that may start, after all runs have published heartbeats.
    fn next<'a>(&self, runs: &[&'a Turns], asking: &mut [Option<Asking<'a>>]) -> (usize, Turn<'a>) {
        let mut found = None;
        for _ in 0..2 {
            for at in (0..runs.len()).rev() {
                let ask = asking[at].take().unwrap_or_else(|| runs[at].ask());
                match ask.take(self.now) {
                    Ok(turn) => {
                        assert!(found.is_none(), "two at a time");
                        found = Some((at, turn));
                    }
                    Err(refused) => asking[at] = Some(refused),
                }
            }
        }
        found.expect("somebody may begin")
    }
}

fn take<'a>(turns: &'a Turns, now: Instant) -> Option<Turn<'a>> {
    turns.ask().take(now).ok()
}

#[test]
fn who_always_has_something_to_run_has_the_device_by_share() {
    for (shares, of_twenty) in [([7_500, 2_500], [15, 5]), ([5_000, 5_000], [10, 10]), ([1_000, 9_000], [2, 18])] {
        let mut bench = Bench::new();
        let (first, second) = (bench.run(1, 1, &[shares[0]]), bench.run(10, 1, &[shares[1]]));
        let whose = bench.saturate(&[&first, &second], 200);
        for (at, of_twenty) in of_twenty.into_iter().enumerate() {
            let runs = whose.iter().filter(|&&whose| whose == at).count();
            assert!(runs.abs_diff(of_twenty * 10) <= 2, "{shares:?}: {at} had {runs} of 200");
        }
    }
}

#[test]
fn a_run_has_what_all_of_its_leases_have_until_they_end() {
    let mut bench = Bench::new();
    let leases: Vec<_> = [1, 2, 3].map(|token| Lease::held(token, "cpu0", 2_500, 0)).into();
    let first = Turns::join(&bench.folder, "cpu0", 1, leases.clone()).unwrap();
    let second = bench.run(10, 1, &[2_500]);
    let runs = |whose: &[usize]| whose.iter().filter(|&&at| at == 0).count();
    assert!(runs(&bench.saturate(&[&first, &second], 100)).abs_diff(75) <= 2);
    leases[1..].iter().for_each(|lease| lease.release());
    bench.now += Duration::from_secs(1);
    assert!(runs(&bench.saturate(&[&first, &second], 100)).abs_diff(50) <= 6);
}

#[test]
fn who_was_idle_is_next_and_has_saved_nothing_up() {
    let mut bench = Bench::new();
    let (busy, idle) = (bench.run(1, 1, &[5_000]), bench.run(10, 1, &[5_000]));
    bench.saturate(&[&busy], 100);
    let whose = bench.saturate(&[&busy, &idle], 10);
    assert!(whose.iter().filter(|&&at| at == 1).count().abs_diff(5) <= 1, "{whose:?}");
}

#[test]
fn what_was_used_before_the_device_was_idle_counts_for_nobody() {
    let mut bench = Bench::new();
    let (busy, idle) = (bench.run(1, 1, &[5_000]), bench.run(10, 1, &[5_000]));
    bench.saturate(&[&busy], 100);
    // No run has work now.
    let newcomer = bench.run(20, 1, &[5_000]);
    let whose = bench.saturate(&[&newcomer, &idle, &busy], 30);
    for at in 0..3 {
        assert!(whose.iter().filter(|&&whose| whose == at).count().abs_diff(10) <= 2, "{whose:?}");
    }
}

#[test]
fn a_light_run_beside_two_that_flood_waits_for_the_turn_that_is_under_way() {
    let mut bench = Bench::new();
    let floods = [bench.run(1, 1, &[4_000]), bench.run(10, 1, &[4_000])];
    let light = bench.run(20, 1, &[2_000]);
    let runs = [&floods[0], &floods[1]];
    let mut asking: Vec<Option<Asking<'_>>> = vec![None, None];
    for _ in 0..100 {
        for _ in 0..6 {
            let (at, turn) = bench.next(&runs, &mut asking);
            bench.now += RUN;
            asking[at] = turn.over(bench.now, true);
        }
        let (at, turn) = bench.next(&runs, &mut asking);
        bench.now += RUN / 2;
        let light = light.ask().take(bench.now).expect_err("something runs");
        bench.now += RUN / 2;
        asking[at] = turn.over(bench.now, true);
        let light = light.take(bench.now).expect("it is next");
        bench.now += RUN;
        light.over(bench.now, false);
    }
}

#[test]
fn slots_are_the_devices_and_not_each_runs() {
    let bench = Bench::new();
    let runs = [bench.run(1, 2, &[3_000]), bench.run(10, 2, &[3_000]), bench.run(20, 2, &[3_000])];
    let first = take(&runs[0], bench.now).unwrap();
    let second = take(&runs[1], bench.now).unwrap();
    assert!(take(&runs[2], bench.now).is_none() && take(&runs[0], bench.now).is_none());
    second.over(bench.now + RUN, false);
    let third = take(&runs[2], bench.now + RUN).unwrap();
    assert!(take(&runs[1], bench.now + RUN).is_none());
    drop((first, third));
}

#[test]
fn who_is_alone_begins_what_it_likes() {
    let bench = Bench::new();
    let alone = bench.run(1, 2, &[5_000]);
    let turns: Vec<_> = (0..2).map(|_| take(&alone, bench.now).unwrap()).collect();
    let second = bench.run(10, 2, &[5_000]);
    assert!(take(&second, bench.now).is_none(), "what the one who was alone runs counts");
    drop(turns);
    assert!(take(&second, bench.now).is_some());
}

#[test]
fn a_turn_that_was_not_used_costs_nothing() {
    let mut bench = Bench::new();
    let (first, second) = (bench.run(1, 1, &[5_000]), bench.run(10, 1, &[5_000]));
    bench.saturate(&[&first, &second], 10);
    for _ in 0..50 {
        drop(take(&first, bench.now).unwrap());
    }
    let whose = bench.saturate(&[&first, &second], 20);
    assert!(whose.iter().filter(|&&at| at == 0).count().abs_diff(10) <= 1, "{whose:?}");
}

#[test]
fn one_that_waits_and_does_not_look_any_more_is_passed_over() {
    let mut bench = Bench::new();
    let (first, second) = (bench.run(1, 1, &[5_000]), bench.run(10, 1, &[5_000]));
    let turn = take(&second, bench.now).unwrap();
    let stopped = first.ask().take(bench.now).unwrap_err();
    bench.now += RUN;
    turn.over(bench.now, false);
    assert!(take(&second, bench.now).is_none(), "it is the other's turn");
    bench.now += Turns::LOOKS + RUN;
    take(&second, bench.now).expect("the other does not look").over(bench.now, false);
    // When the stopped run continues it is next, but it has saved no time.
    bench.saturate(&[&second], 100);
    let more = stopped.take(bench.now).unwrap().over(bench.now, true);
    let whose = bench.saturate(&[&first, &second], 20);
    assert!(whose.iter().filter(|&&at| at == 0).count().abs_diff(10) <= 2, "{whose:?}");
    drop(more);
}

#[test]
fn one_that_runs_and_does_not_look_any_more_is_not_waited_for_and_pays_for_what_counted() {
    let mut bench = Bench::new();
    let (first, second) = (bench.run(1, 1, &[5_000]), bench.run(10, 1, &[5_000]));
    let stopped = take(&first, bench.now).unwrap();
    stopped.lasts_until(bench.now + Duration::from_secs(600));
    for _ in 0..20 {
        bench.now += RUN;
        first.look(bench.now);
        assert!(take(&second, bench.now).is_none(), "it runs, and its callers look");
    }
    bench.now += Turns::LOOKS + RUN;
    drop(take(&second, bench.now).expect("it does not look"));
    bench.now += Duration::from_secs(500);
    let flood = take(&second, bench.now).unwrap();
    bench.now += RUN;
    let more = flood.over(bench.now, true);
    // A caller's heartbeat may come before the run ends.
    first.look(bench.now);
    stopped.over(bench.now, false);
    // The stopped run owes 20 runs and the time until it was ignored, but not 500 s.
    let whose = bench.saturate(&[&first, &second], 100);
    let runs = whose.iter().filter(|&&at| at == 0).count();
    assert!((30..=50).contains(&runs), "{runs} of 100");
    drop(more);
}

#[test]
fn one_that_runs_long_past_its_deadline_is_not_waited_for() {
    let mut bench = Bench::new();
    let (first, second) = (bench.run(1, 1, &[5_000]), bench.run(10, 1, &[5_000]));
    let hangs = take(&first, bench.now).unwrap();
    let deadline = bench.now + Duration::from_millis(300);
    hangs.lasts_until(deadline);
    while bench.now < deadline + Turns::GRACE - RUN {
        assert!(take(&second, bench.now).is_none(), "it has its deadline, and what ending it takes");
        bench.now += RUN;
        first.look(bench.now);
    }
    bench.now += 3 * RUN;
    first.look(bench.now);
    assert!(take(&second, bench.now).is_some());
    drop(hangs);
}

#[test]
fn whatever_the_file_is_filled_with_everybody_goes_on() {
    let mut bench = Bench::new();
    let (first, second) = (bench.run(1, 1, &[5_000]), bench.run(10, 1, &[5_000]));
    let entries = std::fs::read_dir(bench.folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let path = entries.into_iter().find(|path| path.extension().is_some_and(|end| end == "turns")).unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    let length = usize::try_from(file.metadata().unwrap().len()).unwrap();
    let mut random = 7_u64;
    for round in 0..40_u8 {
        let noise = (0..length).map(|at| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let [.., last] = (random >> 33).to_le_bytes();
            match round % 4 {
                0 => 0,
                1 => 0xff,
                2 => last,
                _ => [0x55, last][at % 2],
            }
        });
        file.write_all_at(&noise.collect::<Vec<_>>(), 0).unwrap();
        for turns in [&first, &second, &first] {
            let mut asking = turns.ask();
            // Every heartbeat rewrites its owner's place. 100 heartbeats take one second.
            let turn = (0..100).find_map(|_| {
                bench.now += Duration::from_millis(10);
                match std::mem::replace(&mut asking, turns.ask()).take(bench.now) {
                    Ok(turn) => Some(turn),
                    Err(refused) => {
                        asking = refused;
                        None
                    }
                }
            });
            bench.now += RUN;
            turn.unwrap_or_else(|| panic!("round {round}: no turn in a second")).over(bench.now, false);
        }
    }
    // After the corruption stops, turns are fair by share again.
    let whose = bench.saturate(&[&first, &second], 20);
    assert!(whose.iter().filter(|&&at| at == 0).count().abs_diff(10) <= 1, "{whose:?}");
    assert!(bench.place.path().exists());
}
