use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use sage_test_support::{Need, skip};
use sage_tests::{Outcome, Scenario};
use serde_json::Value;

use super::shell::{noise, pipeline, run_in_shell};

/// The data on the full disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Full {
    Output(&'static str),
    DeadLetters,
    Cache,
    Ledger,
}

/// Whether this process can mount a file system in a mount namespace of its own.
fn can_mount() -> bool {
    let script = "mount -t tmpfs -o size=4k none /mnt";
    let tried = Command::new("unshare").args(["--mount", "--propagation", "private", "sh", "-c", script]).output();
    tried.is_ok_and(|tried| tried.status.success())
}

pub(crate) fn lines(path: &Path) -> u64 {
    let bytes = fs::read(path).unwrap();
    let mut text = Vec::new();
    if path.to_str().unwrap().contains(".gz") {
        // A truncated file has no end mark, but all data before the cut is readable.
        let _ = flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut text);
    } else {
        text = bytes;
    }
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

fn on_a_full_disk(full: Full) -> (Scenario, Outcome) {
    let scenario = Scenario::new();
    scenario.file("in.txt", noise(40_000));
    fs::create_dir(scenario.path().join("full")).unwrap();
    let sink = match full {
        Full::Output(name) => format!("file = {{ path = \"full/{name}\" }}"),
        _ => "file = { path = \"out.txt\" }".to_owned(),
    };
    match full {
        Full::DeadLetters => {
            scenario.file("in.txt", "poison\n".repeat(40_000));
            pipeline(&scenario, "map_rejects_a_record", "on_error = { dead_letter = \"full/dead.jsonl\" }", &sink);
        }
        _ => pipeline(&scenario, "map_logs", "", &sink),
    }
    let arguments: &[&str] = match full {
        Full::Cache => &["--cache-folder", "full/cache"],
        Full::Ledger => &["--lease-folder", "full/leases"],
        _ => &[],
    };
    // For a cache and a ledger the disk is filled completely.
    let (room, filler) = match full {
        Full::Output(_) | Full::DeadLetters => ("512k", ""),
        Full::Cache | Full::Ledger => ("8k", "dd if=/dev/zero of=full/filler bs=1k count=64 2>/dev/null;"),
    };
    let script = format!("mount -t tmpfs -o size={room} none full; {filler} \"$@\"; rc=$?; cp -r full copy; exit $rc");
    let outcome = run_in_shell(&scenario, &["unshare", "--mount", "--propagation", "private"], &script, arguments);
    (scenario, outcome)
}

#[test]
fn what_a_full_disk_did_not_take_is_not_handled() {
    if !can_mount() {
        return skip(Need::Mount, "no file system can be mounted here");
    }
    for name in ["out.txt", "out.txt.gz"] {
        let (scenario, outcome) = on_a_full_disk(Full::Output(name));
        outcome.expect_exit(4).expect_conservation().expect_stderr("No space left on device");
        let out = outcome.stage("out");
        let written = lines(&scenario.path().join(format!("copy/{name}.partial")));
        assert!(written > 1000, "{written}");
        assert_eq!(out.count("handled"), written, "{name}: {:?}", out.value);
    }
    let (scenario, outcome) = on_a_full_disk(Full::DeadLetters);
    outcome.expect_exit(4).expect_conservation().expect_stderr("No space left on device");
    let letters = fs::read_to_string(scenario.path().join("copy/dead.jsonl")).unwrap();
    let whole = letters.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count() as u64;
    assert_eq!(outcome.stage("guest").count("dead_lettered"), whole);
}

#[test]
fn a_full_disk_below_cache_and_ledger_is_said_or_does_no_harm() {
    if !can_mount() {
        return skip(Need::Mount, "no file system can be mounted here");
    }
    let (scenario, outcome) = on_a_full_disk(Full::Cache);
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("out.txt").len(), 40_000, "without a cache a component is compiled each time");
    let (_, outcome) = on_a_full_disk(Full::Ledger);
    outcome.expect_exit(3).expect_stderr("No space left on device");
}

#[test]
fn a_device_that_takes_nothing_leaves_nothing_handled() {
    let cases = [
        ("", "file = { path = \"/dev/full\" }", "out", "handled"),
        ("", "file = { path = \"/dev/full\", compression = \"gzip\" }", "out", "handled"),
        ("on_error = { dead_letter = \"/dev/full\" }", "discard = {}", "guest", "dead_lettered"),
    ];
    for (more, sink, stage, count) in cases {
        let scenario = Scenario::new();
        scenario.file("in.txt", "a\nb\npoison\n");
        pipeline(&scenario, "map_rejects_a_record", more, sink);
        if more.is_empty() {
            scenario.file("in.txt", "a\nb\n");
        }
        let outcome = scenario.run();
        outcome.expect_exit(4).expect_conservation().expect_stderr("No space left on device");
        assert_eq!(outcome.stage(stage).count(count), 0, "{sink}: {:?}", outcome.stage(stage).value);
    }
}

#[test]
fn standard_output_that_takes_nothing_or_is_closed_leaves_nothing_handled_and_the_summary_on_standard_error() {
    // The pipe between the program and `true` may hold some lines before it breaks.
    for (script, handled) in [("exec \"$@\" >/dev/full", Some(0)), ("\"$@\" | true; exit ${PIPESTATUS[0]}", None)] {
        let scenario = Scenario::new();
        scenario.file("in.txt", noise(40_000));
        pipeline(&scenario, "map_logs", "", "stdout = {}");
        let outcome = run_in_shell(&scenario, &[], script, &[]);
        assert_eq!(outcome.exit(), 4, "{outcome:?}");
        if let Some(handled) = handled {
            outcome.expect_stderr(&format!("in = {handled} handled"));
        }
    }
}

#[test]
fn a_log_that_cannot_be_written_harms_no_record() {
    let scenario = Scenario::new();
    scenario.file("in.txt", "a\nb\n");
    pipeline(&scenario, "map_logs", "", "file = { path = \"out.txt\" }");
    let outcome = run_in_shell(&scenario, &[], "exec \"$@\" 2>/dev/full", &["--log-level", "trace"]);
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("out.txt"), ["a", "b"]);
}
