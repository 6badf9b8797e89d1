use std::fs;

use rustix::process::Signal;
use sage_tests::Scenario;

use super::scene::{CHECKPOINT, components, counted, killed_at, rejected};

/// A run that is killed in the middle, so that the next one goes on.
fn interrupted(scene: &super::scene::Scene) -> Scenario {
    let scenario = scene.scenario(true);
    killed_at(scene, &scenario, 20_000, Signal::KILL, &[]).expect("the run is slower than this");
    scenario
}

#[test]
fn a_pipeline_that_has_changed_is_refused_with_the_difference() {
    let scene = counted();
    let scenario = interrupted(&scene);
    let pipeline = fs::read_to_string(scenario.path().join("pipeline.toml")).unwrap();
    for (from, to, said) in [
        ("name = \"out\"", "name = \"renamed\"", "the pipeline has no \"out\" any more"),
        ("name = \"copy\"", "name = \"other\"", "the pipeline has no \"copy\" any more"),
        ("name = \"counted\"", "name = \"new\"", "they are of the pipeline \"counted\", and this is \"new\""),
        ("keys = 200", "keys = 201", "it generates other records now"),
    ] {
        scenario.file("pipeline.toml", pipeline.replacen(from, to, 1));
        scenario.run().expect_exit(2).expect_stderr(said).expect_stderr("--from none");
    }
    scenario.file("pipeline.toml", pipeline);
    scenario.run().expect_exit(0);
}

#[test]
fn an_input_that_has_changed_is_refused_with_the_file() {
    let scene = rejected();
    let scenario = interrupted(&scene);
    let file = scenario.path().join("rows-a.csv");
    let before = fs::read(&file).unwrap();
    fs::write(&file, &before[..before.len() / 2]).unwrap();
    scenario.run().expect_exit(2).expect_stderr("rows-a.csv has ").expect_stderr("at the last epoch");
    fs::write(&file, String::from_utf8(before.clone()).unwrap().replacen("w5", "w6", 1)).unwrap();
    scenario.run().expect_exit(2).expect_stderr("rows-a.csv has another content than at the last epoch");
    fs::write(&file, before).unwrap();
    fs::write(scenario.path().join("rows-aa.csv"), "n,word\n1,x\n").unwrap();
    scenario.run().expect_exit(2).expect_stderr("rows-aa.csv is new among the files of the source");
    fs::remove_file(scenario.path().join("rows-aa.csv")).unwrap();
    scenario.run().expect_exit(0);
    assert_eq!(scene.outputs(&scenario), scene.undisturbed());
}

#[test]
fn an_output_that_is_gone_is_refused() {
    let scenario = interrupted(&counted());
    fs::remove_file(scenario.path().join("counts.txt.partial")).unwrap();
    scenario.run().expect_exit(2).expect_stderr("counts.txt.partial\" is gone");
    scenario.run_with(["--from", "none"]).expect_exit(0);
}

#[test]
fn a_second_run_on_the_same_checkpoints_is_refused_by_name() {
    let scene = counted();
    let scenario = scene.scenario(true);
    let state = scenario.path().join("state/CURRENT");
    let mut first = scenario.start();
    first.until("its first epoch", |_| state.exists().then_some(()));
    let other = Scenario::new();
    let elsewhere = CHECKPOINT.replace("\"state\"", &format!("\"{}\"", scenario.path().join("state").display()));
    other.pipeline(&scene.pipeline(&elsewhere));
    let said = format!("are in use by process {}", first.id());
    // It lasts as long as the other one needs to look at it.
    first.signal(Signal::STOP);
    other.run().expect_exit(2).expect_stderr(&said);
    first.signal(Signal::CONT);
    first.wait().expect_exit(0);
}

#[test]
fn damage_is_refused_and_the_whole_epochs_are_named() {
    let scenario = interrupted(&components());
    let segments = || fs::read_dir(scenario.path().join("state")).unwrap().map(|entry| entry.unwrap().path());
    // The run may have been killed when it had made the next segment and written nothing to it.
    let segments = segments().filter(|path| path.extension().is_some_and(|end| end == "epochs"));
    let segment = segments.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 1;
    fs::write(&segment, bytes).unwrap();
    scenario.run().expect_exit(2).expect_stderr("is damaged at byte").expect_stderr("--from none");
    scenario.run_with(["--from", "none"]).expect_exit(0);
}

#[test]
fn what_cannot_keep_the_promise_is_refused_before_data_flows() {
    let stdin = Scenario::new();
    let out = "[[sink]]\nname = \"out\"\ninput = \"in\"\nfile = { path = \"out.txt\" }\n";
    stdin.pipeline(&format!(
        "[pipeline]\n{CHECKPOINT}\n[[source]]\nname = \"in\"\nstdin = {{ format = \"lines\" }}\n{out}"
    ));
    let outcome = stdin.run_fed(b"a\n");
    outcome.expect_exit(2).expect_stderr("no later run can read this input again");

    let plain = Scenario::new();
    plain.pipeline(&format!("[[source]]\nname = \"in\"\ngenerate = {{ count = 1, payload_bytes = 8 }}\n{out}"));
    plain.run_with(["--from", "epoch:3"]).expect_exit(2).expect_stderr("the pipeline saves no epochs");
    plain
        .run_with(["--from", "yesterday"])
        .expect_exit(2)
        .expect_stderr("write last, none, epoch:N, as epoch:12, or the folder of a savepoint");

    let inside = Scenario::new();
    inside.pipeline(&format!(
        "[pipeline]\n{CHECKPOINT}\n[[source]]\nname = \"in\"\ngenerate = {{ count = 1, payload_bytes = 8 }}\n{}",
        out.replace("out.txt", "state/out.txt")
    ));
    std::fs::create_dir(inside.path().join("state")).unwrap();
    inside.run().expect_exit(2).expect_stderr("which lies in the folder of checkpoints");
}
