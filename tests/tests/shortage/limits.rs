use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use sage_test_support::{Need, skip};
use sage_tests::{Outcome, Scenario, in_processes};
use serde_json::Value;

use super::shell::{noise, pipeline, run_in_shell};

fn scenario(parallelism: u32) -> Scenario {
    let scenario = Scenario::new();
    scenario.file("in.txt", noise(2000));
    pipeline(&scenario, "map_logs", &format!("parallelism = {parallelism}"), "file = { path = \"out.txt\" }");
    scenario
}

/// Asserts that a run under a limit either does all its work, or is refused before any work with the name of
/// the limit. No message may name a wrong cause.
fn works_or_names(outcome: &Outcome, scenario: &Scenario, limit: &str, what: &str) {
    for wrong in ["malformed", "seccomp", "internal fault", "report"] {
        assert!(!outcome.stderr.contains(wrong), "{what}: {wrong}\n{outcome:?}");
    }
    match outcome.exit() {
        0 => assert_eq!(scenario.lines("out.txt").len(), 2000, "{what}"),
        3 => {
            outcome.expect_stderr(limit);
            assert!(scenario.read("out.txt").is_none(), "{what}");
        }
        other => panic!("{what}: exit {other}\n{outcome:?}"),
    }
}

#[test]
fn addresses_that_are_short_are_told_as_the_hosts_limit() {
    for kibibytes in [1_000_000, 4_000_000, 12_000_000, 40_000_000] {
        let scenario = scenario(4);
        let script = format!("ulimit -v {kibibytes}; exec \"$@\"");
        let outcome = run_in_shell(&scenario, &[], &script, &["--overcommit"]);
        works_or_names(&outcome, &scenario, "RLIMIT_AS", &script);
    }
}

#[test]
fn descriptors_that_are_short_are_told_as_the_hosts_limit() {
    for most in [8, 12, 16, 20, 24, 28, 32, 48] {
        let scenario = scenario(2);
        let script = format!("ulimit -n {most}; exec \"$@\"");
        let outcome = run_in_shell(&scenario, &[], &script, &["--overcommit"]);
        works_or_names(&outcome, &scenario, "RLIMIT_NOFILE", &script);
    }
}

#[test]
fn threads_that_are_short_are_told_as_the_hosts_limit() {
    // The limit does not bind root, so the runs are those of another user.
    if !rustix::process::geteuid().is_root() {
        return skip(Need::Root, "this user cannot become another one");
    }
    if in_processes() {
        return skip(Need::Threads, "the other user has no control groups for workers");
    }
    for most in [1, 3, 6, 10, 40] {
        let scenario = scenario(8);
        // Gives the user of the run all rights here.
        for path in [scenario.path().to_owned(), scenario.path().join("in.txt"), scenario.path().join("pipeline.toml")]
        {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        }
        let script = format!("ulimit -u {most}; exec \"$@\"");
        let user = (60_000 + most).to_string();
        let wrapper = ["setpriv", "--reuid", &user, "--clear-groups"];
        let arguments = ["--overcommit", "--lease-folder", "leases-here", "--cache-folder", "cache-here"];
        let outcome = run_in_shell(&scenario, &wrapper, &script, &arguments);
        works_or_names(&outcome, &scenario, "RLIMIT_NPROC", &script);
    }
}

#[test]
fn files_that_may_not_grow_fail_the_run_and_not_the_program() {
    let scenario = Scenario::new();
    scenario.file("in.txt", noise(40_000));
    for (name, blocks) in [("out.txt", 512), ("out.txt.gz", 512)] {
        pipeline(&scenario, "map_logs", "", &format!("file = {{ path = \"{name}\" }}"));
        let outcome = run_in_shell(&scenario, &[], &format!("ulimit -f {blocks}; exec \"$@\""), &[]);
        if in_processes() && outcome.exit() == 3 {
            outcome.expect_stderr("RLIMIT_FSIZE");
            continue;
        }
        outcome.expect_exit(4).expect_conservation().expect_stderr("File too large").expect_stderr("RLIMIT_FSIZE");
        let partial = scenario.path().join(format!("{name}.partial"));
        assert_eq!(outcome.stage("out").count("handled"), super::disk::lines(&partial), "{name}");
    }
}

#[test]
fn dead_letters_that_may_not_grow_fail_the_run_and_those_written_are_counted() {
    let scenario = Scenario::new();
    scenario.file("in.txt", "poison\n".repeat(40_000));
    let letters = "on_error = { dead_letter = \"dead.jsonl\" }";
    pipeline(&scenario, "map_rejects_a_record", letters, "file = { path = \"out.txt\" }");
    let outcome = run_in_shell(&scenario, &[], "ulimit -f 512; exec \"$@\"", &[]);
    if in_processes() && outcome.exit() == 3 {
        outcome.expect_stderr("RLIMIT_FSIZE");
        return;
    }
    outcome.expect_exit(4).expect_conservation().expect_stderr("File too large").expect_stderr("RLIMIT_FSIZE");
    let letters = fs::read_to_string(scenario.path().join("dead.jsonl")).unwrap();
    let whole = letters.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count() as u64;
    assert_eq!(outcome.stage("guest").count("dead_lettered"), whole);
}

/// A cache that cannot hold the compiled code is not used; the ledger and the log need only some bytes.
#[test]
fn a_cache_a_ledger_and_a_log_that_may_not_grow_are_named_or_do_no_harm() {
    let one_kibibyte = 2;
    let cases = [
        ("cache", format!("ulimit -f {}; exec \"$@\"", 16 * one_kibibyte), &["--cache-folder", "cache-here"][..], 0),
        ("ledger", "ulimit -f 0; exec \"$@\"".to_owned(), &["--lease-folder", "leases-here"], 3),
        (
            "log",
            format!("head -c 40000 /dev/zero >log; ulimit -f {}; exec \"$@\" 2>>log", 32 * one_kibibyte),
            &["--log-level", "trace"],
            0,
        ),
    ];
    for (what, script, arguments, exit) in cases {
        let scenario = Scenario::new();
        scenario.file("in.txt", "a\nb\n");
        pipeline(&scenario, "map_logs", "", "file = { path = \"out.txt\" }");
        let outcome = run_in_shell(&scenario, &[], &script, arguments);
        if in_processes() && outcome.exit() == 3 {
            outcome.expect_stderr("RLIMIT_FSIZE");
            continue;
        }
        assert_eq!(outcome.exit(), exit, "{what}: {outcome:?}");
        if exit == 0 {
            assert_eq!(scenario.lines("out.txt"), ["a", "b"], "{what}");
        } else {
            outcome.expect_stderr("RLIMIT_FSIZE");
        }
    }
}
