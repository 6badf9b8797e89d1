use proptest::prelude::*;
use sage_jobs::{JobOutcome, RestartClass};

use super::*;

const START: u64 = 1_000_000;
/// Longest deadline of any state: a drain of a day and its grace.
const LONGEST: u64 = Timeouts::LONGEST_DRAIN + Timeouts::DRAIN_GRACE;

fn submitted(on: Option<RestartOn>) -> Job {
    Job::submitted(RestartPolicy { on }, 30_000, START)
}

fn after(job: &Job, events: impl IntoIterator<Item = Event>) -> Job {
    events.into_iter().fold(job.clone(), |job, event| next(&job, event, START).0)
}

fn checked(class: RestartClass) -> Event {
    Event::Checked { class }
}

fn running(on: Option<RestartOn>, class: RestartClass) -> Job {
    after(&submitted(on), [checked(class), Event::Chosen, Event::Runs { attempt: 1 }])
}

fn crashed(attempt: u32) -> Event {
    Event::Crashed { attempt, message: "it is gone".to_owned() }
}

fn ended(attempt: u32, outcome: JobOutcome, exit_code: u8) -> Event {
    Event::Ended { attempt, outcome, exit_code, message: Some("why".to_owned()) }
}

fn any_event() -> impl Strategy<Value = Event> {
    let attempt = 0u32..6;
    let outcome = prop_oneof![
        Just(JobOutcome::Completed),
        Just(JobOutcome::Drained),
        Just(JobOutcome::Aborted),
        Just(JobOutcome::Failed),
        Just(JobOutcome::Refused),
        Just(JobOutcome::NoRoom),
        Just(JobOutcome::TenantFull),
        Just(JobOutcome::Invalid),
    ];
    let class =
        prop_oneof![Just(RestartClass::Idempotent), Just(RestartClass::AtLeastOnce), Just(RestartClass::LosesState)];
    let mode = prop_oneof![Just(StopMode::Drain), Just(StopMode::Abort), Just(StopMode::Kill)];
    let timeout = proptest::option::of(any::<u64>());
    prop_oneof![
        4 => class.prop_map(|class| Event::Checked { class }),
        1 => (2u8..4).prop_map(|exit_code| Event::Objected { exit_code, message: String::new() }),
        1 => Just(Event::CheckBroke { message: String::new() }),
        6 => Just(Event::Chosen),
        1 => attempt.clone().prop_map(|attempt| Event::NotStarted { attempt, message: String::new() }),
        4 => attempt.clone().prop_map(|attempt| Event::Runs { attempt }),
        4 => (attempt.clone(), outcome).prop_map(|(attempt, outcome)| ended(attempt, outcome, 0)),
        4 => attempt.clone().prop_map(crashed),
        1 => attempt.prop_map(|attempt| Event::NeverBegan { attempt }),
        1 => Just(Event::Restored),
        2 => (mode, timeout).prop_map(|(mode, timeout)| Event::Stop { mode, timeout }),
        3 => Just(Event::Start),
        2 => Just(Event::Restart),
        2 => (2u32..5, 0u64..60_000).prop_map(|(to, watch)| Event::RollOut { to, watch }),
        6 => Just(Event::Tick),
    ]
}

fn any_policy() -> impl Strategy<Value = Option<RestartOn>> {
    prop_oneof![Just(None), Just(Some(RestartOn::Never)), Just(Some(RestartOn::Crash)), Just(Some(RestartOn::Failure))]
}

/// The invariants of revisions.
fn keeps_revisions(before: &Job, after: &Job, event: &Event) -> Result<(), TestCaseError> {
    if before.revision != after.revision {
        prop_assert!(!after.state.is_live(), "{:?} changed the revision under a process", event);
        let rollout = before.rollout.as_ref().expect("a rollout changes it");
        prop_assert!([rollout.from, rollout.to].contains(&after.revision));
    }
    match &after.rollout {
        None => {}
        Some(rollout) => {
            let watched = rollout.stage == RolloutStage::Watching;
            prop_assert_eq!(after.revision, if watched { rollout.to } else { rollout.from });
            prop_assert!(rollout.stage == RolloutStage::Checking || !after.state.is_ended(), "{:?}", after);
            if rollout.stage == RolloutStage::Switching {
                prop_assert!(after.state.ending().is_some(), "nothing ends the attempt before: {:?}", after);
            }
            if watched && after.state == State::Running {
                prop_assert!(rollout.until.is_some(), "nothing ends the watch: {:?}", after);
            }
            prop_assert!(after.state != State::Checking, "two checks at a time: {:?}", after);
        }
    }
    if before.rollout.is_some() && after.rollout.is_none() {
        let end = after.last_rollout.as_ref().expect("a rollout has an end");
        let kept = matches!(end.outcome, RolloutOutcome::Refused | RolloutOutcome::RolledBack);
        prop_assert!(!kept || after.revision == end.from, "{:?}", end);
    }
    Ok(())
}

proptest! {
    /// Events in any order, with any pauses between them.
    #[test]
    fn every_event_in_every_state_keeps_the_invariants(
        on in any_policy(),
        steps in prop::collection::vec((any_event(), 0u64..200_000), 1..80),
    ) {
        let mut job = submitted(on);
        let mut now = START;
        let mut last_spawned = 0;
        for (event, pause) in steps {
            now += pause;
            let before = job.clone();
            let (after, actions) = next(&before, event.clone(), now);
            let spawned: Vec<u32> = actions
                .iter()
                .filter_map(|action| match action { Action::Spawn { attempt } => Some(*attempt), _ => None })
                .collect();
            prop_assert!(spawned.len() <= 1);
            for attempt in spawned {
                prop_assert!(attempt > last_spawned, "attempt {} after {}", attempt, last_spawned);
                prop_assert_eq!(&event, &Event::Chosen);
                prop_assert!(!before.state.is_live(), "two processes at a time");
                prop_assert_eq!(after.state, State::Starting);
                prop_assert_eq!(after.attempt, attempt);
                last_spawned = attempt;
            }
            prop_assert_eq!(after.state.is_transitional(), after.deadline.is_some(), "{:?}", after);
            if let Some(deadline) = after.deadline {
                prop_assert!(deadline <= now + LONGEST, "{:?}", after);
            }
            if before.state.is_ended() && !after.state.is_ended() {
                let asked = matches!(event, Event::Start | Event::Restart)
                    || matches!((&event, &before.rollout), (Event::Checked { .. }, Some(_)));
                prop_assert!(asked, "{:?} revived it", event);
            }
            keeps_revisions(&before, &after, &event)?;
            let of = match event {
                Event::Crashed { attempt, .. } | Event::Ended { attempt, .. } | Event::NeverBegan { attempt } => attempt,
                _ => before.attempt,
            };
            if of != before.attempt {
                prop_assert_eq!(&before, &after, "another attempt's news");
            }
            if after.state == State::Queued && before.state != State::Queued {
                prop_assert!(actions.contains(&Action::Enqueue), "nobody would wake it");
            }
            prop_assert!(after.restarts.len() <= RestartPolicy::MOST);
            job = after;
        }
        // Whatever came before: a stop ends the job, with no help from its process but its death by a kill.
        let (mut job, _) = next(&job, Event::Stop { mode: StopMode::Drain, timeout: Some(1_000) }, now);
        let mut killed = job.state.is_ended();
        for _ in 0..4 {
            let Some(deadline) = job.deadline else { break };
            now = now.max(deadline);
            let (after, actions) = next(&job, Event::Tick, now);
            killed |= actions.iter().any(|action| matches!(action, Action::End { mode: StopMode::Kill, .. }));
            job = after;
        }
        prop_assert!(killed, "{:?}", job);
        let job = next(&job, crashed(job.attempt), now).0;
        prop_assert!(job.state.is_ended(), "{:?}", job);
        prop_assert_eq!(job.rollout, None, "a stop ends a rollout");
    }
}

#[test]
fn a_crash_restarts_what_can_run_again_and_nothing_else_unless_it_is_said() {
    use RestartClass::{AtLeastOnce, Idempotent, LosesState};
    let cases = [
        (None, Idempotent, true),
        (None, AtLeastOnce, true),
        (None, LosesState, false),
        (Some(RestartOn::Crash), LosesState, true),
        (Some(RestartOn::Never), Idempotent, false),
    ];
    for (on, class, restarts) in cases {
        let job = after(&running(on, class), [crashed(1)]);
        assert_eq!(job.state == State::Backoff, restarts, "{on:?} {class:?}: {:?}", job.state);
        assert_eq!(job.blame.unwrap().code, "crashed");
    }
}

#[test]
fn a_failure_restarts_only_with_the_policy_for_it() {
    for (on, restarts) in [(None, false), (Some(RestartOn::Crash), false), (Some(RestartOn::Failure), true)] {
        let job = after(&running(on, RestartClass::Idempotent), [ended(1, JobOutcome::Failed, 4)]);
        assert_eq!(job.state == State::Backoff, restarts, "{on:?}: {:?}", job.state);
        if !restarts {
            assert_eq!(job.state, State::Ended { outcome: Outcome::Failed, exit_code: 4 });
        }
    }
}

#[test]
fn pauses_double_up_to_five_minutes_and_a_storm_ends_the_job() {
    let mut job = running(Some(RestartOn::Crash), RestartClass::Idempotent);
    let mut now = START;
    let mut pauses = Vec::new();
    for attempt in 1.. {
        let (crashed, _) = next(&job, crashed(attempt), now);
        let Some(until) = crashed.deadline else {
            assert_eq!(crashed.blame.unwrap().code, "restart-storm");
            break;
        };
        pauses.push(until - now);
        now = until;
        job = [Event::Tick, Event::Chosen, Event::Runs { attempt: attempt + 1 }]
            .into_iter()
            .fold(crashed, |job, event| next(&job, event, now).0);
        assert_eq!(job.state, State::Running);
    }
    assert_eq!(pauses.len(), RestartPolicy::MOST);
    for (n, pause) in pauses.into_iter().enumerate() {
        let whole = 1000 << n;
        assert!((whole * 4 / 5..=whole).contains(&pause), "restart {n} after {pause} ms");
    }
    assert_eq!(RestartPolicy::pause(30, 0), 5 * 60 * 1000);
}

#[test]
fn a_healthy_attempt_makes_the_next_pause_the_first_one_again() {
    let job = Job { in_a_row: 4, ..running(None, RestartClass::Idempotent) };
    let now = START + RestartPolicy::HEALTHY;
    let job = next(&job, crashed(1), now).0;
    assert!(job.deadline.unwrap() - now <= 1000);
}

#[test]
fn a_stop_of_a_process_that_does_nothing_goes_from_drain_to_abort_to_kill() {
    let (mut job, actions) = next(
        &running(None, RestartClass::Idempotent),
        Event::Stop { mode: StopMode::Drain, timeout: Some(2_000) },
        START,
    );
    assert_eq!(actions, [Action::End { mode: StopMode::Drain, timeout: 2_000 }]);
    for (state, ends) in [(State::Aborting, StopMode::Abort), (State::Killing, StopMode::Kill)] {
        let (later, actions) = next(&job, Event::Tick, job.deadline.unwrap());
        assert_eq!(later.state, state);
        assert!(matches!(actions.as_slice(), [Action::End { mode, .. }] if *mode == ends), "{actions:?}");
        job = later;
    }
    let job = after(&job, [crashed(1)]);
    assert_eq!(job.state, State::Ended { outcome: Outcome::Aborted, exit_code: 130 });
    assert_eq!(job.blame.unwrap().code, "killed");
}

#[test]
fn a_job_without_room_waits_again_and_one_that_can_never_fit_does_not() {
    let starting = after(&submitted(None), [checked(RestartClass::Idempotent), Event::Chosen]);
    let waits = after(&starting, [ended(1, JobOutcome::NoRoom, 3)]);
    assert_eq!(waits.state, State::Queued);
    assert_eq!(waits.blame.as_ref().unwrap().message, "why");
    let again = after(&waits, [Event::Chosen]);
    assert_eq!((again.state, again.blame.unwrap().code.as_str()), (State::Starting, "machine-full"));
    let of_tenant = after(&starting, [ended(1, JobOutcome::TenantFull, 3)]);
    assert_eq!((of_tenant.state, of_tenant.blame.unwrap().code.as_str()), (State::Queued, "tenant-full"));
    let refused = after(&starting, [ended(1, JobOutcome::Refused, 3)]);
    assert_eq!(refused.state, State::Ended { outcome: Outcome::Rejected, exit_code: 3 });
}

#[test]
fn a_restart_drains_and_runs_again_and_a_stop_after_it_wins() {
    let (draining, _) = next(&running(None, RestartClass::LosesState), Event::Restart, START);
    assert_eq!(draining.state, State::Draining);
    let again = after(&draining, [ended(1, JobOutcome::Drained, 0), Event::Chosen]);
    assert_eq!((again.state, again.attempt), (State::Starting, 2));
    let stopped =
        after(&draining, [Event::Stop { mode: StopMode::Drain, timeout: None }, ended(1, JobOutcome::Drained, 0)]);
    assert_eq!(stopped.state, State::Ended { outcome: Outcome::Stopped, exit_code: 0 });
}

#[test]
fn a_drain_during_the_start_stops_a_job_that_had_nothing_to_finish() {
    let starting = after(&submitted(None), [checked(RestartClass::Idempotent), Event::Chosen]);
    let stop = Event::Stop { mode: StopMode::Drain, timeout: None };
    let stopped = after(&starting, [stop.clone(), ended(1, JobOutcome::Aborted, 130)]);
    assert_eq!(stopped.state, State::Ended { outcome: Outcome::Stopped, exit_code: 130 });
    let cut = after(&running(None, RestartClass::Idempotent), [stop, ended(1, JobOutcome::Aborted, 130)]);
    assert_eq!(cut.state, State::Ended { outcome: Outcome::Aborted, exit_code: 130 });
}

const WATCH: u64 = 30_000;

fn rolling_out(job: &Job) -> Job {
    after(job, [Event::RollOut { to: 2, watch: WATCH }])
}

fn outcome_of(job: &Job) -> Option<RolloutOutcome> {
    job.last_rollout.as_ref().map(|end| end.outcome)
}

#[test]
fn a_rollout_checks_first_then_switches_and_is_done_after_its_time() {
    let job = running(None, RestartClass::AtLeastOnce);
    let (checking, actions) = next(&job, Event::RollOut { to: 2, watch: WATCH }, START);
    assert_eq!((checking.state, checking.revision, actions), (State::Running, 1, vec![Action::Check]));
    let (switching, actions) = next(&checking, checked(RestartClass::Idempotent), START);
    assert_eq!((switching.state, switching.revision), (State::Draining, 1));
    assert_eq!(actions, [Action::End { mode: StopMode::Drain, timeout: 30_000 }]);
    let queued = after(&switching, [ended(1, JobOutcome::Drained, 0)]);
    assert_eq!((queued.state, queued.revision, queued.class), (State::Queued, 2, Some(RestartClass::Idempotent)));
    let watched = after(&queued, [Event::Chosen, Event::Runs { attempt: 2 }]);
    assert_eq!((watched.attempt, outcome_of(&watched)), (2, None));
    assert_eq!(next(&watched, Event::Tick, START + WATCH - 1).0, watched);
    let done = next(&watched, Event::Tick, START + WATCH).0;
    assert_eq!((done.revision, done.rollout.clone(), outcome_of(&done)), (2, None, Some(RolloutOutcome::Done)));
}

#[test]
fn a_revision_that_is_refused_leaves_the_job_alone() {
    let job = running(None, RestartClass::AtLeastOnce);
    let objections = [
        Event::Objected { exit_code: 2, message: "no such stage".to_owned() },
        Event::CheckBroke { message: "it broke".to_owned() },
    ];
    for event in objections {
        let (refused, actions) = next(&rolling_out(&job), event, START);
        assert_eq!(outcome_of(&refused), Some(RolloutOutcome::Refused));
        assert_eq!(Job { last_rollout: None, ..refused }, job);
        assert_eq!(actions, []);
    }
}

#[test]
fn a_revision_that_fails_within_its_time_gives_way_to_the_one_before() {
    let job = running(None, RestartClass::AtLeastOnce);
    let switched = after(&rolling_out(&job), [checked(RestartClass::LosesState), ended(1, JobOutcome::Drained, 0)]);
    let starting = after(&switched, [Event::Chosen]);
    let watched = after(&starting, [Event::Runs { attempt: 2 }]);
    let failures = [
        (&starting, ended(2, JobOutcome::Invalid, 2)),
        (&starting, ended(2, JobOutcome::Refused, 3)),
        (&starting, ended(2, JobOutcome::NoRoom, 3)),
        (&starting, ended(2, JobOutcome::TenantFull, 3)),
        (&starting, Event::NotStarted { attempt: 2, message: "why".to_owned() }),
        (&watched, ended(2, JobOutcome::Failed, 4)),
        (&watched, crashed(2)),
    ];
    for (job, event) in failures {
        let back = after(job, [event.clone()]);
        assert_eq!((back.state, back.revision), (State::Queued, 1), "{event:?}");
        assert_eq!(back.class, Some(RestartClass::AtLeastOnce));
        let end = back.last_rollout.unwrap();
        assert_eq!((end.outcome, end.message.is_some()), (RolloutOutcome::RolledBack, true), "{event:?}");
    }
}

#[test]
fn an_attempt_that_cannot_be_started_while_it_gives_way_gives_way() {
    let starting = after(&submitted(None), [checked(RestartClass::Idempotent), Event::Chosen]);
    let switching = after(&rolling_out(&starting), [checked(RestartClass::Idempotent)]);
    let queued = after(&switching, [Event::NotStarted { attempt: 1, message: "no memory".to_owned() }]);
    assert_eq!((queued.state, queued.revision), (State::Queued, 2));
}

#[test]
fn a_stop_ends_a_rollout_and_a_completed_job_is_not_run_again() {
    let job = running(None, RestartClass::AtLeastOnce);
    let stop = Event::Stop { mode: StopMode::Drain, timeout: None };
    let (stopped, actions) = next(&rolling_out(&job), stop, START);
    assert_eq!((outcome_of(&stopped), stopped.revision), (Some(RolloutOutcome::Cancelled), 1));
    assert!(actions.contains(&Action::EndCheck));
    let switching = after(&rolling_out(&job), [checked(RestartClass::AtLeastOnce)]);
    for before in [rolling_out(&job), switching] {
        let completed = after(&before, [ended(1, JobOutcome::Completed, 0), checked(RestartClass::AtLeastOnce)]);
        assert_eq!(completed.state, State::Ended { outcome: Outcome::Completed, exit_code: 0 });
        assert_eq!((completed.revision, outcome_of(&completed)), (2, Some(RolloutOutcome::Done)));
    }
}

#[test]
fn a_rollout_of_a_job_that_has_ended_starts_it_and_does_not_start_the_revision_before() {
    let job = after(&running(None, RestartClass::AtLeastOnce), [ended(1, JobOutcome::Failed, 4)]);
    let queued = after(&rolling_out(&job), [checked(RestartClass::AtLeastOnce)]);
    assert_eq!((queued.state, queued.revision), (State::Queued, 2));
    let starting = after(&queued, [Event::Chosen]);
    assert_eq!(after(&starting, [ended(2, JobOutcome::NoRoom, 3)]).state, State::Queued, "it waits for room");
    let failed = after(&starting, [ended(2, JobOutcome::Failed, 4)]);
    assert_eq!((failed.revision, failed.state), (1, State::Ended { outcome: Outcome::Failed, exit_code: 4 }));
}
