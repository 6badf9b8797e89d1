use rustix::process::Signal;
use sage_tests::{Scenario, operator};

use super::scene::{components, counted, killed_at};

#[test]
fn a_signal_saves_an_epoch_and_the_next_run_goes_on_behind_it() {
    let scene = counted();
    let expected = scene.undisturbed();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let scenario = scene.scenario(true);
        let outcome = killed_at(&scene, &scenario, 80_000, signal, &[]).expect("the run is slower than this");
        outcome.expect_exit(130);
        let summary = outcome.summary();
        assert_eq!(
            (&summary["outcome"], &summary["continued_from"]),
            (&"interrupted".into(), &serde_json::Value::Null)
        );
        let last = summary["last_epoch"].as_u64().unwrap();
        // Nothing was read that was not saved: what the first run has written is all it has read.
        let second = scenario.run();
        second.expect_exit(0).expect_conservation();
        assert_eq!(second.summary()["continued_from"], last);
        let counts = |outcome: &sage_tests::Outcome| outcome.stage("in").count("records_out");
        assert_eq!(counts(&outcome) + counts(&second), 40_000);
        assert_eq!(scene.outputs(&scenario), expected);
    }
}

#[test]
fn a_run_that_came_to_its_end_leaves_nothing_to_go_on_from() {
    let scene = components();
    let scenario = scene.scenario(true);
    scenario.run().expect_exit(0);
    let first = scene.outputs(&scenario);
    let again = scenario.run();
    again.expect_exit(0);
    assert!(again.summary().get("continued_from").is_none());
    assert_eq!(again.stage("numbers").count("records_out"), 20_000);
    assert_eq!(scene.outputs(&scenario), first);
}

#[test]
fn from_none_begins_anew_and_from_an_epoch_goes_back_to_it() {
    let scene = counted();
    let expected = scene.undisturbed();
    for from in ["none", "epoch"] {
        let scenario = scene.scenario(true);
        let outcome = killed_at(&scene, &scenario, 100_000, Signal::TERM, &[]).expect("the run is slower than this");
        let last = outcome.summary()["last_epoch"].as_u64().unwrap();
        let from = match from {
            "none" => from.to_owned(),
            // Three epochs stay restorable.
            _ => format!("epoch:{}", last - 1),
        };
        let second = scenario.run_with(["--from", &from]);
        second.expect_exit(0);
        let expected_from = from.strip_prefix("epoch:").and_then(|number| number.parse::<u64>().ok());
        assert_eq!(second.summary()["continued_from"].as_u64(), expected_from);
        assert_eq!(scene.outputs(&scenario), expected, "{from}");
    }
}

#[test]
fn a_lane_that_had_ended_does_not_say_its_last_a_second_time() {
    // The totals of the first file are written long before the second source ends.
    let scenario = Scenario::new();
    scenario.file("in.txt", "a\nb\na\n");
    scenario.pipeline(&format!(
        r#"
[pipeline]
checkpoint = {{ folder = "state", interval = "20ms" }}
[[source]]
name = "in"
file = {{ path = "in.txt", format = "lines" }}
[[operator]]
name = "tally"
component = "{}"
input = "in"
[[sink]]
name = "totals"
input = "tally"
file = {{ path = "totals.txt" }}
[[source]]
name = "slow"
generate = {{ count = 20000, rate = 30000, payload_bytes = 8 }}
[[sink]]
name = "slowly"
input = "slow"
file = {{ path = "slow.txt" }}
"#,
        operator("tally").display()
    ));
    let mut kills = 0;
    for bytes in [30_000, 60_000, 90_000] {
        let partial = scenario.path().join("slow.txt.partial");
        let mut run = scenario.start();
        let reached = run.while_it_runs(|_| std::fs::metadata(&partial).ok().filter(|file| file.len() >= bytes));
        if reached.is_some() {
            run.signal(Signal::KILL);
            kills += 1;
        }
        run.gone();
    }
    assert!(kills > 0);
    scenario.run().expect_exit(0);
    let undisturbed = Scenario::new();
    undisturbed.file("in.txt", "a\nb\na\n");
    let text = std::fs::read_to_string(scenario.path().join("pipeline.toml")).unwrap();
    undisturbed.file("pipeline.toml", text.replace("checkpoint =", "# checkpoint ="));
    undisturbed.run().expect_exit(0);
    assert_eq!(scenario.lines("totals.txt"), undisturbed.lines("totals.txt"));
    assert_eq!(scenario.lines("slow.txt").len(), 20_000);
}

#[test]
fn a_signal_while_a_run_starts_is_not_taken_for_the_end_of_its_input() {
    let scenario = Scenario::new();
    scenario.file("in.txt", "a\nb\na\n".repeat(1000));
    scenario.pipeline(&format!(
        "[pipeline]\ncheckpoint = {{ folder = \"state\", interval = \"10ms\" }}\n[[source]]\nname = \"in\"\n\
         file = {{ path = \"in.txt\", format = \"lines\" }}\n[[operator]]\nname = \"tally\"\ncomponent = \"{}\"\n\
         input = \"in\"\n[[sink]]\nname = \"out\"\ninput = \"tally\"\nfile = {{ path = \"out.txt\" }}\n",
        operator("tally").display()
    ));
    scenario.run().expect_exit(0);
    let expected = scenario.lines("out.txt");
    let lock = scenario.path().join("state/lock");
    for _ in 0..10 {
        std::fs::remove_dir_all(scenario.path().join("state")).unwrap();
        std::fs::remove_file(scenario.path().join("out.txt")).unwrap();
        let mut run = scenario.start();
        if run.while_it_runs(|_| lock.exists().then_some(())).is_some() {
            run.signal(Signal::TERM);
        }
        let outcome = run.wait();
        if outcome.exit() != 0 {
            outcome.expect_exit(130);
            scenario.run().expect_exit(0);
        }
        assert_eq!(scenario.lines("out.txt"), expected, "{outcome:?}");
    }
}

#[test]
fn while_nothing_flows_there_are_no_epochs() {
    let scenario = Scenario::new();
    scenario.pipeline(
        "[pipeline]\ncheckpoint = { folder = \"state\", interval = \"10ms\" }\n\
         [[source]]\nname = \"in\"\ngenerate = { count = 3, rate = 2, payload_bytes = 8 }\n\
         [[sink]]\nname = \"out\"\ninput = \"in\"\nfile = { path = \"out.txt\" }\n",
    );
    let outcome = scenario.run();
    outcome.expect_exit(0);
    // One before the first record, one for each record, and two at the end. Without the rule there would be a hundred.
    assert!(outcome.summary()["last_epoch"].as_u64().unwrap() <= 8, "{outcome:?}");
}
