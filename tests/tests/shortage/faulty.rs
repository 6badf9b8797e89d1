//! File systems that fail, are slow or hang.

use std::time::Duration;

use rustix::io::Errno;
use rustix::process::Signal;
use sage_test_support::{Need, skip};
use sage_tests::faulty_files::{Fault, FaultyFiles, Operation};
use sage_tests::poison::beside_a_neighbour;
use sage_tests::{Scenario, guest, in_processes};

use super::disk::lines;
use super::shell::{noise, pipeline};

const FAILS: Fault = Fault::Fails(Errno::IO.raw_os_error());

/// A scenario whose folder `disk` is the folder `backing`, shown by a file system with faults; `None` without FUSE.
fn with_faulty_disk(scenario: Scenario) -> Option<(Scenario, FaultyFiles)> {
    for folder in ["backing", "disk"] {
        std::fs::create_dir(scenario.path().join(folder)).unwrap();
    }
    match FaultyFiles::mount(&scenario.path().join("backing"), &scenario.path().join("disk")) {
        Ok(files) => Some((scenario, files)),
        Err(error) => {
            skip(Need::Fuse, format!("a file system in user space cannot be mounted: {error}"));
            None
        }
    }
}

#[test]
fn what_a_failing_disk_did_not_take_is_not_handled() {
    // A compressed output leaves the program in larger and fewer writes.
    for (name, after) in [("out.txt", 3), ("out.txt.gz", 1)] {
        for (operation, after) in [(Operation::Write, after), (Operation::Sync, 0), (Operation::Rename, 0)] {
            let Some((scenario, disk)) = with_faulty_disk(Scenario::new()) else { return };
            scenario.file("in.txt", noise(40_000));
            pipeline(&scenario, "map_logs", "", &format!("file = {{ path = \"disk/{name}\" }}"));
            disk.set(operation, after, FAILS);
            let outcome = scenario.run();
            let case = format!("{name}, {operation:?}: {outcome:?}");
            let written = lines(&scenario.path().join(format!("backing/{name}.partial")));
            outcome.expect_exit(4).expect_conservation().expect_stderr("Input/output error");
            // A failed synchronisation does not say which bytes are lost.
            let handled = if operation == Operation::Sync { 0 } else { written };
            assert_eq!(outcome.stage("out").count("handled"), handled, "{case}");
            assert_eq!(written == 40_000, operation != Operation::Write, "{case}");
            assert!(!scenario.path().join(format!("backing/{name}")).exists(), "{case}");
        }
    }
}

#[test]
fn dead_letters_that_a_failing_disk_did_not_take_are_not_counted() {
    let Some((scenario, disk)) = with_faulty_disk(Scenario::new()) else { return };
    pipeline(
        &scenario,
        "map_rejects_a_record",
        "on_error = { dead_letter = \"disk/dead.jsonl\" }",
        "file = { path = \"out.txt\" }",
    );
    scenario.file("in.txt", "poison\n".repeat(40_000));
    disk.set(Operation::Write, 5, FAILS);
    let outcome = scenario.run();
    outcome.expect_exit(4).expect_conservation().expect_stderr("Input/output error");
    let written = lines(&scenario.path().join("backing/dead.jsonl"));
    assert_eq!(outcome.stage("guest").count("dead_lettered"), written);
}

#[test]
fn an_input_that_cannot_be_read_to_its_end_fails_the_run_with_its_place() {
    let Some((scenario, disk)) = with_faulty_disk(Scenario::new()) else { return };
    pipeline(&scenario, "map_logs", "", "file = { path = \"out.txt\" }");
    let text = scenario.read("pipeline.toml").unwrap();
    scenario.file("pipeline.toml", text.replace("in.txt", "disk/in.txt"));
    scenario.file("backing/in.txt", noise(40_000));
    disk.set(Operation::Read, 3, FAILS);
    let outcome = scenario.run();
    outcome.expect_exit(4).expect_conservation().expect_stderr("Input/output error").expect_stderr("disk/in.txt");
    assert!(!scenario.path().join("out.txt").exists());
}

#[test]
fn a_slow_disk_loses_nothing() {
    let Some((scenario, disk)) = with_faulty_disk(Scenario::new()) else { return };
    scenario.file("in.txt", noise(20_000));
    pipeline(&scenario, "map_logs", "", "file = { path = \"disk/out.txt\" }");
    for operation in [Operation::Create, Operation::Write, Operation::Sync, Operation::Rename] {
        disk.set(operation, 0, Fault::Takes(Duration::from_millis(20)));
    }
    scenario.run().expect_exit(0).expect_conservation();
    assert_eq!(scenario.read("backing/out.txt"), scenario.read("in.txt"));
}

#[test]
fn a_granted_folder_on_a_disk_that_hangs_holds_no_lane_beyond_its_time() {
    let settings = "capabilities = { folders = [{ host = \"disk\", guest = \"/data\", write = true }] }
        limits = { call_timeout = \"300ms\" }
        on_error = \"skip\"";
    let all = [
        (Operation::Read, "read /data/note.txt"),
        (Operation::Open, "read /data/note.txt"),
        (Operation::Create, "write /data/new.txt"),
        (Operation::Write, "write /data/note.txt"),
    ];
    // A killed worker is waited for, so a case takes some seconds in processes.
    let cases = if in_processes() { &all[..1] } else { &all[..] };
    for &(operation, request) in cases {
        let Some((scenario, disk)) = with_faulty_disk(beside_a_neighbour(&guest("map_looks_around"), settings)) else {
            return;
        };
        scenario.file("backing/note.txt", "a note");
        scenario.file("in.txt", format!("{request}\nenvironment\n"));
        disk.set(operation, 0, Fault::Hangs);
        let mut run = scenario.start();
        disk.let_go_at_the_end_of(&mut run);
        let outcome = run.wait();
        outcome.expect_exit(0).expect_conservation();
        assert_eq!(scenario.lines("out.txt"), ["environment: 0"], "{operation:?}");
        assert_eq!(outcome.stage("guest").errors("timeout"), 1, "{operation:?}");
    }
}

#[test]
fn two_signals_end_a_run_with_a_summary_while_a_disk_hangs() {
    let folder = "capabilities = { folders = [{ host = \"disk\", guest = \"/data\", write = true }] }
        limits = { call_timeout = \"1h\" }";
    for (stage, operation) in [("in", Operation::Read), ("guest", Operation::Read), ("out", Operation::Write)] {
        let Some((scenario, disk)) = with_faulty_disk(Scenario::new()) else { return };
        scenario.file("backing/note.txt", "a note");
        scenario.file("in.txt", "read /data/note.txt\n");
        let sink = if stage == "out" { "file = { path = \"disk/out.txt\" }" } else { "file = { path = \"out.txt\" }" };
        pipeline(&scenario, "map_looks_around", if stage == "guest" { folder } else { "" }, sink);
        if stage == "in" {
            let text = scenario.read("pipeline.toml").unwrap();
            scenario.file("pipeline.toml", text.replace("in.txt", "disk/in.txt"));
            scenario.file("backing/in.txt", noise(40_000));
            // The format of an input is told by its first bytes, before the run begins.
            disk.set(operation, 2, Fault::Hangs);
        } else {
            disk.set(operation, 0, Fault::Hangs);
        }
        let mut run = scenario.start();
        run.until("the disk hangs", |_| disk.hangs().then_some(()));
        run.signal(Signal::INT);
        run.signal(Signal::TERM);
        disk.let_go_at_the_end_of(&mut run);
        let outcome = run.wait();
        outcome.expect_exit(130).expect_conservation();
        assert_eq!(outcome.summary()["outcome"], "interrupted", "{stage}");
    }
}
