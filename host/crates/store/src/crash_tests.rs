//! Crashes after each operation, full and failing disks, and random runs, on a disk that lies.

use proptest::prelude::*;

use crate::error::StoreError;
use crate::lying_disk::Fault;
use crate::plain_model::{Action, Run};

const fn epoch(is_base: bool, bytes: usize) -> Action {
    Action::Epoch { is_base, bytes }
}

const fn dropped(is_base: bool, bytes: usize) -> Action {
    Action::Dropped { is_base, bytes }
}

/// Everything that a store does, and every way from one thing to another that is different on the disk.
const SCRIPT: [Action; 27] = [
    Action::Reopen,
    dropped(true, 900),
    epoch(true, 1500),
    epoch(false, 100),
    dropped(false, 2000),
    epoch(false, 600),
    Action::Keep(2),
    epoch(false, 20),
    epoch(true, 1200),
    epoch(false, 4000),
    epoch(false, 900),
    epoch(false, 3000),
    epoch(false, 10),
    Action::Reopen,
    epoch(false, 300),
    epoch(false, 5),
    Action::GoOnFrom(1),
    epoch(false, 700),
    dropped(true, 50),
    epoch(true, 400),
    epoch(true, 500),
    Action::GoOnFrom(0),
    epoch(false, 800),
    Action::GoOnFrom(2),
    epoch(true, 10),
    Action::GoOnFrom(9),
    epoch(true, 30),
];

/// The operations of the script.
fn operations() -> u64 {
    let mut run = Run::new();
    for action in SCRIPT {
        run.act(action).unwrap();
        run.plain.check(run.store.as_ref().unwrap());
    }
    run.disk.operations()
}

/// Runs the script up to an operation that fails.
fn run_until(operation: u64, fault: Fault) -> Option<(Run, StoreError, crate::plain_model::Plain)> {
    let mut run = Run::new();
    run.disk.fail_at(operation, fault);
    for action in SCRIPT {
        if let Err((error, after)) = run.act(action) {
            return Some((run, error, after));
        }
    }
    None
}

/// Goes on after a crash: with changes if there is something to change.
fn goes_on(run: &mut Run) {
    for action in [epoch(false, 40), epoch(true, 800), epoch(false, 60)] {
        run.act(action).unwrap();
    }
    run.plain.check(run.store.as_ref().unwrap());
    run.open().unwrap();
    run.plain.check(run.store.as_ref().unwrap());
}

#[test]
fn after_a_loss_of_power_at_any_operation_the_last_whole_epoch_is_restored() {
    let operations = operations();
    assert!(operations > 120, "{operations}");
    for operation in 1..=operations {
        for seed in 0..5 {
            let Some((mut run, _, after)) = run_until(operation, Fault::Stop) else { continue };
            let before = run.plain.clone();
            run.recover(run.disk.without_power(seed), &before, &after);
            // What was recovered survives another loss of power.
            let recovered = run.plain.clone();
            run.recover(run.disk.without_power(seed + 1), &recovered, &recovered);
            goes_on(&mut run);
        }
    }
}

#[test]
fn what_a_killed_process_left_is_on_the_disk_once_it_was_opened() {
    for operation in 1..=operations() {
        for seed in 0..5 {
            let Some((mut run, _, after)) = run_until(operation, Fault::Stop) else { continue };
            let before = run.plain.clone();
            run.recover(run.disk.killed(), &before, &after);
            let recovered = run.plain.clone();
            run.recover(run.disk.without_power(seed), &recovered, &recovered);
            goes_on(&mut run);
        }
    }
}

#[test]
fn a_full_or_failing_disk_ends_all_writing_and_loses_no_whole_epoch() {
    for (operation, fault) in (1..=operations()).flat_map(|at| [(at, Fault::Full), (at, Fault::Failure)]) {
        // The error of a proof after a whole epoch is only reported by the next epoch.
        let Some((mut run, error, after)) = run_until(operation, fault) else { continue };
        let is_told = error.is_full_disk() == (fault == Fault::Full) || matches!(error, StoreError::Poisoned { .. });
        assert!(is_told, "{error}");
        let before = run.plain.clone();
        let written = run.disk.operations();
        if let Some(store) = &mut run.store {
            for refused in [store.begin(true).err(), store.keep(1).err(), store.go_on_from(None).err()] {
                assert!(matches!(refused, Some(StoreError::Poisoned { .. })), "{refused:?}");
            }
        }
        let removals = run.disk.operations() - written;
        assert_eq!(removals, 0, "operation {operation}");
        run.store = None;
        run.recover(run.disk.killed(), &before, &after);
        let recovered = run.plain.clone();
        run.recover(run.disk.without_power(operation), &recovered, &recovered);
        goes_on(&mut run);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Act(Action),
    Killed,
    PowerLost(u64),
    /// The action is interrupted after so many operations.
    Interrupted(Action, u64, u64),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => (any::<bool>(), 0..3000usize).prop_map(|(is_base, bytes)| epoch(is_base && bytes % 3 == 0, bytes)),
        2 => (any::<bool>(), 0..3000usize).prop_map(|(is_base, bytes)| dropped(is_base, bytes)),
        1 => (0..5usize).prop_map(Action::Keep),
        1 => (0..5usize).prop_map(Action::GoOnFrom),
        1 => Just(Action::Reopen),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => action().prop_map(Step::Act),
        1 => Just(Step::Killed),
        1 => any::<u32>().prop_map(|seed| Step::PowerLost(seed.into())),
        2 => (action(), 1..12u64, any::<u32>())
            .prop_map(|(action, at, seed)| Step::Interrupted(action, at, seed.into())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_epochs_and_crashes_leaves_what_a_plain_list_holds(
        steps in proptest::collection::vec(step(), 1..50),
    ) {
        let mut run = Run::new();
        run.open().unwrap();
        for step in steps {
            let before = run.plain.clone();
            match step {
                Step::Act(action) => run.act(action).unwrap(),
                Step::Killed => run.recover(run.disk.killed(), &before, &before),
                Step::PowerLost(seed) => run.recover(run.disk.without_power(seed), &before, &before),
                Step::Interrupted(action, at, seed) => {
                    run.disk.fail_at(run.disk.operations() + at, Fault::Stop);
                    let after = match run.act(action) {
                        Ok(()) => run.plain.clone(),
                        Err((_, after)) => after,
                    };
                    let disk = if seed % 4 == 0 { run.disk.killed() } else { run.disk.without_power(seed) };
                    let before = run.plain.clone();
                    run.recover(disk, &before, &after);
                }
            }
            run.plain.check(run.store.as_ref().unwrap());
        }
    }
}
