use rustix::process::Signal;

use super::scene::{REACHED, Scene, components, counted, killed_at, rejected, timed, windowed};

/// The next number of a sequence, for the moments of kills.
pub(super) fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

/// Kills runs of a scene at moments that depend on the seed, lets the last one end, and compares all outputs.
fn survives(scene: &Scene, seeds: std::ops::Range<u64>) {
    let expected = scene.undisturbed();
    let (mut runs, mut all_kills) = (0, 0);
    let whole: usize = expected[0].iter().map(|line| line.len() + 1).sum();
    for number in seeds {
        let mut seed = number;
        let scenario = scene.scenario(true);
        let (mut at, mut kills) = (0, 0);
        while kills < 3 {
            at += next(&mut seed) % (whole as u64 / 3);
            match killed_at(scene, &scenario, at, Signal::KILL, &[]) {
                Some(_) => kills += 1,
                None => break,
            }
        }
        let outcome = scenario.run();
        outcome.expect_exit(0).expect_conservation();
        runs += 1;
        all_kills += kills;
        let found = scene.outputs(&scenario);
        for ((name, found), expected) in scene.exact.iter().zip(&found).zip(&expected) {
            let (lost, twice) = (found.len() < expected.len(), found.len() > expected.len());
            assert!(
                found == expected,
                "{name} of seed {number} after {kills} kills: {} records, not {}{}{}\n{outcome:?}",
                found.len(),
                expected.len(),
                if lost { ", some are lost" } else { "" },
                if twice { ", some came twice" } else { "" },
            );
        }
    }
    println!("{}: {runs} seeds, {all_kills} kills, 0 records lost, 0 twice", scene.name);
}

/// Seeds of each scene. `make chaos` tries more.
pub(super) fn seeds() -> std::ops::Range<u64> {
    0..std::env::var("SAGE_TEST_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(2)
}

#[test]
fn a_keyed_count_that_is_killed_goes_on_with_its_state() {
    survives(&counted(), seeds());
}

#[test]
fn files_rejects_and_dead_letters_come_once_however_often_a_run_is_killed() {
    survives(&rejected(), seeds());
}

#[test]
fn a_source_that_is_a_component_goes_on_from_its_position() {
    survives(&components(), seeds());
}

#[test]
fn windows_sessions_and_late_records_are_the_same_however_often_a_run_is_killed() {
    survives(&windowed(), seeds());
}

#[test]
fn event_time_does_not_fall_when_a_run_goes_on_though_all_later_records_are_old() {
    let scene = timed();
    let expected = scene.undisturbed();
    let whole: u64 = expected[0].iter().map(|line| line.len() as u64 + 1).sum();
    let scenario = scene.scenario(true);
    let mut kills = 0;
    for part in 2..5 {
        kills += u32::from(killed_at(&scene, &scenario, whole * part / 6, Signal::KILL, &[]).is_some());
    }
    assert!(kills > 0, "the run is too short");
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    assert!(outcome.summary()["continued_from"].as_u64().is_some());
    for stage in ["in", "pass", "count", "out"] {
        assert_eq!(outcome.stage(stage).text("watermark"), REACHED, "{stage}");
    }
    assert_eq!(scene.outputs(&scenario), expected);
}
